"""The stock client of Wyoming, unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.hearing.recognizers import RECOGNIZERS
from tests.support import prompter
from tests.support.options import settings
from tests.support.realtime import spoken
from tests.support.server import serve

from .running import run, stock

pytestmark = [pytest.mark.anyio, stock, pytest.mark.timeout(300)]

QUESTION = "What is the weather like?"


async def test_wyoming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "question").write_bytes(spoken(QUESTION).tobytes())
    monkeypatch.setitem(RECOGNIZERS, "prompted", "tests.support.prompter:Prompted")
    prompter.SCRIPT.clear()
    prompter.SCRIPT.append("what is the weather like")
    async with serve(settings(hearing="prompted", wyoming_port=0)) as server:
        port = server.state.wyoming.port
        told = await run("wyoming_voice.py", "127.0.0.1", str(port), tmp_path / "question")
    info, heard, whole, streamed = (told[name] for name in ("info", "heard", "spoken", "streamed"))
    assert ["prompted", ["script"]] in info["asr"]
    assert all(info["streaming"])
    assert info["voices"]["espeak"] > 10
    assert {"en-us", "en"} & set(info["languages"])
    assert told["pong"]["text"] == "hello"
    assert heard["transcript"] == "what is the weather like"
    assert heard["chunks"] == heard["transcript"]
    assert heard["kinds"][-2:] == ["transcript", "transcript-stop"]
    assert 0 <= heard["started"] < 700 < heard["stopped"]
    assert whole["kinds"][0] == "audio-start"
    assert whole["bytes"] > whole["rate"] * 2 * 0.7
    assert streamed["bytes"] > 1.5 * whole["bytes"]
    assert streamed["kinds"].count("audio-start") == 1
