"""Wyoming on a bare socket: what a client that is wrong, slow or many gets. The stock client is in tests/clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import AimassError, InvalidInput
from aimass_stream.server import create_app
from aimass_stream.transports import wyoming
from aimass_stream.transports.wyoming import Event, as_samples, read_event
from tests.support.options import settings
from tests.support.realtime import spoken
from tests.support.server import Running
from tests.support.waiting import until
from tests.transports.realtime.place import server

pytestmark = pytest.mark.anyio

FORM: dict[str, Any] = {"rate": 24_000, "width": 2, "channels": 1}


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, kind: str, payload: bytes = b"", **data: Any) -> None:
        self.writer.write(Event(kind, data, payload).encode())
        await self.writer.drain()

    async def receive(self, seconds: float = 30) -> Event | None:
        async with asyncio.timeout(seconds):
            return await read_event(self.reader, 1 << 20)

    async def until(self, kind: str) -> Event:
        while True:
            event = await self.receive()
            assert event is not None, f"the connection ended before {kind}"
            if event.type == kind:
                return event


@asynccontextmanager
async def joined(running: Running) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.state.wyoming.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def parsed(data: bytes, most: int = 1000) -> Event | None:
    reader = asyncio.StreamReader(limit=wyoming.MAX_LINE)
    reader.feed_data(data)
    reader.feed_eof()
    return await read_event(reader, most)


async def test_events_are_read_as_they_are_written() -> None:
    event = Event("audio-chunk", {"rate": 16_000, "text": "ä"}, b"\x01\x02")
    assert await parsed(event.encode()) == event
    assert await parsed(b'{"type": "a", "data": {"x": 1}, "data_length": 8}\n{"y": 2}') == Event("a", {"x": 1, "y": 2})
    assert await parsed(b"") is None
    assert await parsed(b'{"type": "a", "payload_length": 9}\nshort') is None


@pytest.mark.parametrize("data", [
    b"hello\n", b"7\n", b"{}\n", b'{"type": 7}\n', b'{"type": "a", "data": 7}\n', b"[" * 5000 + b"\n",
    b'{"type": "a", "data_length": -1}\n', b'{"type": "a", "data_length": "9"}\n',
    b'{"type": "a", "data_length": 4}\nnull', b'{"type": "a", "data_length": 99999999}\n',
    b'{"type": "a", "payload_length": 1001}\n', b"x" * 70_000])
async def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(AimassError):
        await parsed(data)


def test_samples_of_all_widths() -> None:
    assert as_samples(b"\x80\xff\x00", 1, 1)[:, 0].tolist() == [0, 127 << 8, -128 << 8]
    assert as_samples(b"\x01\x00\xff\xff\x07", 2, 2).tolist() == [[1, -1]]  # half a sample is left out
    assert as_samples(np.array([1 << 16, -(1 << 31)], "<i4").tobytes(), 4, 1)[:, 0].tolist() == [1, -32768]


def test_it_is_not_open_to_the_world_by_accident() -> None:
    with pytest.raises(InvalidInput, match="Wyoming has no keys"):
        create_app(settings(host="0.0.0.0", api_key="a-key-of-ours", wyoming_port=0))
    assert create_app(settings(host="0.0.0.0", insecure=True, wyoming_port=0)) is not None


async def test_mistakes_are_answered_and_the_connection_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, "one two", wyoming_port=0) as (running, _), joined(running) as client:
        for kind, data, said in (
                ("audio-stop", {}, "audio-start"), ("audio-start", {}, "rate"),
                ("audio-start", FORM | {"rate": 1}, "rate"), ("audio-start", FORM | {"width": 3}, "width"),
                ("synthesize", {}, "text"), ("synthesize", {"text": "x" * 100_000}, "characters"),
                ("synthesize", {"text": "<speak>", "text_format": "ssml"}, "")):
            await client.send(kind, **data)
            error = await client.until("error")
            assert said in error.data["text"]
            assert error.data["code"] == "invalid"
        await client.send("never-heard-of", anything=1)
        await client.send("synthesize-chunk", text="without a start")
        await client.send("ping", text="there?")
        assert (await client.until("pong")).data == {"text": "there?"}
        await client.send("audio-start", **FORM)
        await client.send("audio-chunk", spoken("One, two.").tobytes(), **FORM)
        await client.send("audio-stop")
        assert (await client.until("transcript")).data["text"] == "one two"
        await client.send("audio-chunk", b"", **FORM)
        await client.send("audio-stop")
        assert (await client.until("transcript")).data["text"] == ""


async def test_garbage_ends_the_connection_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, wyoming_port=0, max_message=4096) as (running, _), joined(running) as other:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"x" * 100_000, b'{"type": "audio-chunk", "payload_length": 5000}\n'):
            async with joined(running) as client:
                client.writer.write(data)
                error = await client.until("error")
                assert error.data["code"] == "invalid"
                with contextlib.suppress(ConnectionResetError):
                    assert await client.receive() is None
        await other.send("ping")
        await other.until("pong")


async def test_a_full_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, wyoming_port=0, max_listeners=1) as (running, _), joined(running) as first, joined(
            running) as second:
        await first.send("audio-start", **FORM)
        await until(running.node.sessions)
        await second.send("audio-start", **FORM)
        assert (await second.until("error")).data["code"] == "busy"
        await second.send("describe")
        assert (await second.until("info")).data["asr"]
        first.writer.close()
        await until(lambda: not running.node.sessions())
        await second.send("audio-start", **FORM)
        await until(running.node.sessions)


async def test_one_that_does_not_read_is_bounded_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming, "STALL", 0.5)
    async with server(monkeypatch, wyoming_port=0, max_speech_text=100_000) as (running, _), joined(running) as dead:
        await dead.send("synthesize", text="The boats are out, and the sea is calm. " * 600)
        await until(running.node.sessions)
        await until(lambda: not running.node.sessions())


async def test_the_server_stops_while_somebody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, wyoming_port=0) as (running, _), joined(running) as client:
        await client.send("synthesize-start")
        await client.send("synthesize-chunk", text="The boats are out. ")
        await client.until("audio-chunk")
        await running.state.wyoming.close()
        while await client.receive() is not None:
            pass
        assert not running.node.sessions()


async def test_json_of_info_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, wyoming_port=0) as (running, _), joined(running) as client:
        await client.send("describe")
        info = (await client.until("info")).data
        for program in [*info["asr"], *info["tts"]]:
            assert {"name", "attribution", "installed", "description", "version"} <= set(program)
        assert json.dumps(info)
