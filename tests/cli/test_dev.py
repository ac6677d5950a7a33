"""`aimass dev` as a person runs it: a process of its own, its page, and a camera over a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from aimass_stream import clips
from aimass_stream.client import Client, MediaSession
from aimass_stream.events import Event
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame, now

SOURCE = """
import numpy as np
from aimass_stream.functions import VideoFrame, stage

@stage
def paint(frame: VideoFrame, light: float = 1.0) -> VideoFrame:
    return frame.with_bgr(np.full_like(frame.bgr, int({shade} * light)))
"""
# voice and ears are not made ready beside the first pictures, and a busy machine takes them too
QUIET = {"AIMASS_FETCH": "false", "AIMASS_WARM": "false", "AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10"}
PICTURE = Picture.from_bgr(clips.draw(1, 320, 240))


def save(file: Path, shade: int, more: str = "") -> float:
    file.write_text(SOURCE.format(shade=shade) + more)
    return now()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address that is printed, and the file."""
    file = tmp_path / "my_stage.py"
    save(file, 60)
    process = subprocess.Popen([sys.executable, "-m", "aimass_stream", "dev", str(file), "--port", "0"],
                               env=os.environ | QUIET, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = next(found[0] for line in process.stdout or () if (found := re.search(r"http://\S+", line)))
        yield address, file
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


async def camera(session: MediaSession) -> None:
    """30 pictures a second, at their time."""
    begun = now()
    for number in itertools.count():
        await asyncio.sleep(max(0, begun + number / 30 - now()))
        await session.send(VideoFrame(picture=PICTURE, pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0"))


@pytest.mark.anyio
async def test_a_save_changes_the_picture_while_the_camera_runs(served: tuple[str, Path]) -> None:
    address, file = served
    url, link = address.split("#")
    pipeline = json.loads(unquote(link).removeprefix("pipeline="))
    assert pipeline == [{"stage": "paint"}]
    async with httpx.AsyncClient() as http:
        assert "<html" in (await http.get(url)).text
    seen: list[tuple[float, int]] = []  # when, and how light

    async def watch(session: MediaSession) -> None:
        async for frame in session.frames():
            assert isinstance(frame, VideoFrame)
            seen.append((now(), int(frame.bgr[100, 100, 0])))
            news.set()

    async def until(shade: int) -> None:
        async with asyncio.timeout(30):
            while not seen or abs(seen[-1][1] - shade) > 4:
                news.clear()
                await news.wait()

    news = asyncio.Event()
    async with Client(url) as client, client.stream(pipeline=[{"stage": "paint", "light": 0.5}],
                                                    video="jpeg") as session:
        tasks = [asyncio.create_task(camera(session)), asyncio.create_task(watch(session))]
        await until(30)
        saved = await asyncio.to_thread(save, file, 200)
        await until(100)  # the new shade with the parameter it had
        assert now() - saved < 10
        await asyncio.to_thread(save, file, 10, "def broken(:")
        reloads = [event.data async for event in _some(session, "stage.reloaded", 2)]
        assert [data["ok"] for data in reloads] == [True, False]
        assert "SyntaxError" in reloads[1]["detail"]
        assert abs(seen[-1][1] - 100) <= 4
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        described = {item["name"]: item for item in await client.stages()}
        assert list(described["paint"]["params"]["properties"]) == ["light"]
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(seen) if after > saved]
    assert max(gaps) < 0.5  # from the first save on


async def _some(session: MediaSession, kind: str, count: int) -> AsyncIterator[Event]:
    """The first events of a kind."""
    async for event in session.events():
        if event.type == kind:
            yield event
            count -= 1
            if not count:
                return
