"""What is said in sessions of the voice protocols has subtitles, too, with the times of the session's own clock."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.support.realtime import silence, spoken, talking

from .realtime.place import server
from .test_wyoming import FORM, joined

pytestmark = pytest.mark.anyio

SAID = ["one two", "three"]


def cues(srt: str) -> list[tuple[float, str]]:
    """Begin (s) and text."""
    found = re.findall(r"^\d+\n00:(\d\d):(\d\d),(\d{3}) --> .*\n(.*)\n", srt, re.MULTILINE)
    return [(int(minute) * 60 + int(second) + int(rest) / 1000, text) for minute, second, rest, text in found]


def check(srt: httpx.Response) -> None:
    assert srt.headers["content-type"].startswith("application/x-subrip")
    (first, one), (second, two) = cues(srt.text)
    assert [one, two] == SAID
    assert second - first > 0.5  # the second turn lies behind the first one


async def test_of_a_realtime_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, *SAID) as (running, _), talking(running.ws_url) as talk, httpx.AsyncClient(
            base_url=running.url) as http:
        await talk.configure(aimass={"events": True}, audio={"input": {"transcription": {"model": "whisper-1"}}})
        for _ in SAID:
            await talk.say(spoken("One, two."))
            await talk.say(silence(1.2))
            await talk.until("conversation.item.input_audio_transcription.completed")
        session = running.node.sessions()[0].id
        check(await http.get(f"/v1/sessions/{session}/transcript", params={"format": "srt"}))
        ours = [event["event"] for event in talk.of("aimass.event")]
        [ready] = [event["data"] for event in ours if event["type"] == "hearing.ready"]
        assert (ready["engine"], ready["model"]) == ("prompted", "script")
        assert ready["reason"]
    assert "transcript.committed" in {event["type"] for event in ours}


async def test_of_a_wyoming_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, *SAID, wyoming_port=0) as (running, _), joined(running) as client, httpx.AsyncClient(
            base_url=running.url) as http:
        for text in SAID:
            await client.send("audio-start", **FORM)
            await client.send("audio-chunk", spoken("One, two.").tobytes(), **FORM)
            await client.send("audio-stop")
            started = await client.until("voice-started")
            assert started.data["timestamp"] < 700  # of this utterance's own clock
            assert (await client.until("transcript")).data["text"] == text
        session = running.node.sessions()[0].id
        check(await http.get(f"/v1/sessions/{session}/transcript", params={"format": "srt"}))
