"""What the walk-through of painting and its reference do by hand with curl works as it stands there."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import cv2
import pytest

from aimass_stream import clips
from tests.support.media_files import write_clip
from tests.support.picture_files import file
from tests.support.server import serve

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL, REFERENCE = DOCS / "tutorials" / "paint-a-picture.md", DOCS / "api" / "images.md"
HERE = "http://127.0.0.1:8000"

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")]


def commands(path: Path) -> list[str]:
    """Of its blocks, without those that speak of a job which only a reader has."""
    text = path.read_text()
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = [*blocks.splitlines(), *re.findall(r"^    (.*)$", text, re.MULTILINE)]
    return [line.partition("  #")[0] for line in lines if line.startswith("curl") and "/jobs/" not in line]


@pytest.mark.parametrize(("path", "least"), [(TUTORIAL, 5), (REFERENCE, 1)], ids=["tutorial", "reference"])
async def test_every_command_is_answered(tmp_path: Path, path: Path, least: int) -> None:
    (tmp_path / "me.jpg").write_bytes(file(clips.draw(1, 128, 96), "JPEG"))
    (tmp_path / "like.jpg").write_bytes(file(clips.draw(9, 96, 128), "JPEG"))
    await asyncio.to_thread(write_clip, tmp_path / "clip.mp4", seconds=0.3, width=64, height=48)
    found = commands(path)
    assert len(found) >= least
    async with serve() as server:
        for command in found:
            answer = await ran(command.replace(HERE, server.url), tmp_path)
            if "-o painted.png" in command:
                painted = cv2.imread(str(tmp_path / "painted.png"))
                assert painted is not None
                assert painted.shape == (96, 128, 3)
            elif "said=" in command:
                assert json.loads(answer)["meant"] == "starry-night"


async def ran(command: str, folder: Path) -> bytes:
    process = await asyncio.create_subprocess_shell(command.replace("curl", "curl -fsS", 1), cwd=folder,
                                                    stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, told = await process.communicate()
    assert process.returncode == 0, f"{command}: {told.decode()}"
    return out
