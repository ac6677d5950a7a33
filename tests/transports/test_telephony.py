"""Twilio Media Streams: calls as Twilio makes them, written from its documentation."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from aimass_stream import clips
from aimass_stream.codecs import g711
from aimass_stream.frames import Samples, now
from aimass_stream.transports import telephony
from tests.support.options import settings
from tests.support.realtime import spoken
from tests.support.server import Running, serve
from tests.support.waiting import until
from tests.transports.realtime.place import FIRST, server

pytestmark = pytest.mark.anyio

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"
STEP = 160  # samples of 20 ms


class Twilio:
    """Twilio's side of a call."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.messages: list[dict[str, Any]] = []
        self.played: list[tuple[float, Samples]] = []  # when it came (s, monotonic), and the sound
        self.returns_marks = True
        self._count = 0
        self._at = 0

    async def send(self, event: str, **fields: Any) -> None:
        self._count += 1
        await self.websocket.send(json.dumps({"event": event, "sequenceNumber": str(self._count),
                                              "streamSid": STREAM, **fields}))

    async def start(self, **parameters: str) -> None:
        await self.send("connected", protocol="Call", version="1.0.0")
        await self.send("start", start={
            "accountSid": "AC1", "streamSid": STREAM, "callSid": "CA1", "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters})

    async def media(self, data: bytes) -> None:
        await self.send("media", media={"track": "inbound", "chunk": str(self._at // 20 + 1),
                                        "timestamp": str(self._at), "payload": base64.b64encode(data).decode()})
        self._at += len(data) // 8

    async def say(self, samples: Samples, *, pause: float = 0.0) -> None:
        """In real time, as a phone does, and silence behind it."""
        silence = np.zeros((int(pause * 8000), 1), np.int16)
        data = g711.encode(np.concatenate([samples, silence]), "mu")
        begun = now()
        for begin in range(0, len(data) - STEP + 1, STEP):
            await asyncio.sleep(max(0.0, begun + begin / 8000 - now()))
            await self.media(data[begin : begin + STEP])

    async def listen(self) -> None:
        """Until the call ends; every mark is returned at once."""
        async for text in self.websocket:
            message = json.loads(text)
            assert message["streamSid"] == STREAM
            self.messages.append(message)
            if message["event"] == "media":
                self.played.append((now(), g711.decode(base64.b64decode(message["media"]["payload"]), "mu")))
            elif message["event"] == "mark" and self.returns_marks:
                await self.send("mark", mark=message["mark"])

    @property
    def kinds(self) -> list[str]:
        return [message["event"] for message in self.messages]

    @property
    def sound(self) -> Samples:
        return np.concatenate([samples for _, samples in self.played])


@asynccontextmanager
async def calling(running: Running, **parameters: str) -> AsyncIterator[Twilio]:
    async with connect(f"{running.ws_url}/v1/telephony/twilio", proxy=None, close_timeout=1) as websocket:
        twilio = Twilio(websocket)
        listening = asyncio.create_task(twilio.listen())
        await twilio.start(**parameters)
        try:
            yield twilio
        finally:
            await twilio.send("stop", stop={"accountSid": "AC1", "callSid": "CA1"})
            await listening


async def test_sound_goes_through_the_callers_pipeline_and_comes_back_marked() -> None:
    tone = clips.tone(1.0, 440, -12, rate=8000)
    async with serve() as running:
        async with calling(running, pipeline='[{"stage": "gain", "db": -6}]') as twilio:
            await twilio.say(tone, pause=0.3)
            await until(lambda: "mark" in twilio.kinds)
            [session] = running.node.sessions()
            assert session.transport == "telephony"
            await until(lambda: session.stats().transport["heard"] == 1)
        sound = twilio.sound.astype(float)
        assert len(sound) == pytest.approx(8000, abs=800)
        loudness = np.sqrt(np.mean(sound**2)) / np.sqrt(np.mean(tone.astype(float) ** 2))
        assert loudness == pytest.approx(0.5, rel=0.1)
        assert np.argmax(np.abs(np.fft.rfft(sound[:, 0]))) * 8000 / len(sound) == pytest.approx(440, abs=5)
        assert twilio.kinds.count("mark") == 1  # and no silence is sent
        await until(lambda: not running.node.sessions())


async def test_a_call_is_answered_and_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    story, stop = spoken("Tell me a story.", 8000), spoken("Wait a moment, please stop it.", 8000)
    async with server(monkeypatch, "tell me a story", "wait a moment please stop it") as (running, chat), calling(
            running) as twilio:
        await twilio.say(story, pause=1.0)
        talking = asyncio.create_task(twilio.say(np.zeros((16_000, 1), np.int16)))
        await until(lambda: len(twilio.played) > 40)
        await talking
        assert np.abs(twilio.sound).max() > 2000
        asked = [str(each["messages"][-1]["content"]) for each in chat.requests]  # a pause may have asked with less
        assert asked[-1].startswith("tell me a story")
        before = len(asked)
        await twilio.say(stop, pause=1.5)
        assert "clear" in twilio.kinds
        await until(lambda: len(chat.requests) > before)
        heard = [each["content"] for each in chat.requests[before]["messages"] if each["role"] == "assistant"]
        assert heard[0].startswith(FIRST[:10])


async def test_keys_and_what_the_protocol_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as running, calling(running, pipeline="[]") as twilio:
        await twilio.send("dtmf", dtmf={"track": "inbound_track", "digit": "5"})
        await twilio.send("dtmf", dtmf={"digit": "many"})
        await twilio.send("something.new", field=1)
        await twilio.send("media", media={"track": "outbound", "payload": "AAAA"})
        for media in ({"payload": "&&&"}, {"payload": 7}, {"payload": "AAAA", "timestamp": "never"}, "none",
                      {"payload": ""}):
            await twilio.send("media", media=media)
        await twilio.say(clips.tone(0.2, 440, -12, rate=8000))
        await until(lambda: len(twilio.played) >= 8)
        [session] = running.node.sessions()
        assert session.stats().drops["audio-0/garbage"] == 3
        assert session.stats().drops["audio-0/empty"] == 1


async def ended(running: Running, *messages: str | bytes) -> tuple[int, str]:
    """The close code and reason after these messages."""
    async with connect(f"{running.ws_url}/v1/telephony/twilio", proxy=None) as websocket:
        with contextlib.suppress(ConnectionClosed):
            for message in messages:
                await websocket.send(message)
        async with asyncio.timeout(30):
            await websocket.wait_closed()
        assert websocket.close_code is not None
        return websocket.close_code, websocket.close_reason or ""


def start(**fields: Any) -> str:
    return json.dumps({"event": "start", "streamSid": STREAM, "start": fields})


async def test_calls_that_cannot_be_are_closed_with_the_reason() -> None:
    async with serve(settings(max_sessions=1)) as running:
        media = json.dumps({"event": "media", "media": {"payload": "AAAA"}})
        for messages, code, said in (
                (("{",), 1003, "JSON"), ((b"\x00",), 1003, "binary"), (("[" * 60_000,), 1003, "JSON"),
                (('{"no": "event"}',), 1003, "event"), ((media,), 1003, "before 'start'"),
                ((json.dumps({"event": "start"}),), 1003, "start"),
                ((start(mediaFormat={"encoding": "audio/opus"}),), 1003, "mu-law"),
                (("x" * 70_000,), 1009, "characters"),
                ((start(customParameters={"pipeline": "["}),), 1008, "JSON"),
                ((start(customParameters={"pipeline": '[{"stage": "nope"}]'}),), 1008, "nope"),
                ((start(customParameters={"pipeline": "[]"}), start()), 1003, "second start"),
                ((start(customParameters={"pipeline": "[]"}), "{"), 1003, "JSON")):
            got, reason = await ended(running, *messages)
            assert got == code, (messages, reason)
            assert said in reason
            await until(lambda: not running.node.sessions())
        async with calling(running, pipeline="[]"):
            await until(running.node.sessions)
            code, reason = await ended(running, start(customParameters={"pipeline": "[]"}))
            assert (code, "sessions are taken" in reason) == (1013, True)


async def test_the_key_is_a_parameter_of_the_stream() -> None:
    async with serve(settings(api_key="a-key-of-ours")) as running:
        code, reason = await ended(running, start(customParameters={"pipeline": "[]"}))
        assert (code, "API key" in reason) == (1008, True)
        code, _ = await ended(running, start(customParameters={"pipeline": "[]", "key": "wrong-key"}))
        assert code == 1008
        async with calling(running, pipeline="[]", key="a-key-of-ours") as twilio:
            await twilio.say(clips.tone(0.2, 440, -12, rate=8000))
            await until(lambda: twilio.played)


async def test_barge_in_takes_back_what_has_not_been_played() -> None:
    async with serve() as running, calling(running, pipeline="[]") as twilio:
        twilio.returns_marks = False  # it still plays
        await twilio.say(clips.tone(0.2, 440, -12, rate=8000))
        await until(lambda: "mark" in twilio.kinds)
        [session] = running.node.sessions()
        session.flush("audio-0")
        session.flush("audio-0")  # there is nothing left to take back
        await until(lambda: "clear" in twilio.kinds)
        assert twilio.kinds.count("clear") == 1


@pytest.mark.parametrize("bound", ["STALL", "MAX_WAITING"])
async def test_a_phone_that_does_not_read_is_bounded_and_ended(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either one message takes too long to leave, or too many wait behind it."""
    monkeypatch.setattr(telephony, bound, {"STALL": 0.5, "MAX_WAITING": 300}[bound])
    noise = np.random.default_rng(2).integers(-20_000, 20_000, (STEP, 1)).astype(np.int16)
    media = base64.b64encode(g711.encode(noise, "mu")).decode()
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel holds megabytes that nobody reads
    async with serve() as running:
        line.connect(("127.0.0.1", running.server.bound_port))
        line.setblocking(False)
        async with connect(f"{running.ws_url}/v1/telephony/twilio", proxy=None, close_timeout=0.1, sock=line,
                           max_queue=1, ping_interval=None) as websocket:
            phone = Twilio(websocket)
            await phone.start(pipeline="[]")
            await until(running.node.sessions)
            [session] = running.node.sessions()
            waiting, at = 0, 0
            async with asyncio.timeout(30):
                while session.state != "closed":  # it speaks, gets all of it back, and reads nothing
                    with contextlib.suppress(ConnectionClosed):
                        await phone.send("media", media={"track": "inbound", "timestamp": str(at), "payload": media})
                    at += 20
                    waiting = max(waiting, session.stats().transport.get("waiting", 0))
                    await asyncio.sleep(0)
            assert 0 < waiting <= telephony.MAX_WAITING
            await until(lambda: not running.node.sessions())
