"""openai-python with whole files: transcriptions in its ways, errors as its own exceptions, speech, models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.options import settings
from tests.support.server import serve
from tests.support.speech import speak, write_wav

from .running import run, stock

pytestmark = [pytest.mark.anyio, stock]

KEY = "a-key-of-ours"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    write_wav(path, speak("one two three four five"))
    return path


async def test_files_with_openai_python(clip: Path, tmp_path: Path) -> None:
    async with serve(settings(hearing="pocketsphinx", api_key=KEY)) as server:
        told = await run("openai_files.py", server.url, KEY, clip, tmp_path)
    assert {"whisper-1", "tts-1"} <= set(told["models"]["ids"])
    text = told["json"]["text"]
    assert "four" in text
    assert told["json"]["seconds"] >= 1
    assert (told["verbose"]["language"], " ".join(told["verbose"]["words"])) == ("english", text)
    assert told["verbose"]["ends"] == sorted(told["verbose"]["ends"])
    assert " ".join(told["verbose"]["segments"]) == text
    assert told["srt"]["text"].startswith("1\n00:00:0")
    assert told["stream"]["kinds"][-1] == "transcript.text.done"
    assert told["stream"]["deltas"] == told["stream"]["text"] == text
    assert (told["bad file"]["param"], told["bad model"]["param"]) == ("file", "model")
    assert "no sound" in told["bad file"]["message"]
    assert told["speech"]["size"] > 10_000
