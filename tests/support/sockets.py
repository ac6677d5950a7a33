"""A plain websocket client for `/v1/stream`, written from docs/api/websocket.md and not from our client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from aimass_stream import clips

PCM, OPUS, JPEG, VP8, H264 = 1, 2, 16, 17, 18
HELLO: dict[str, Any] = {"type": "hello", "version": 1,
                         "in": {"audio": {"codec": "pcm_s16le", "rate": 16_000}, "video": {"codec": "jpeg"}}}


@dataclass(frozen=True)
class Piece:
    """A media message, taken apart by hand."""

    codec: int
    flags: int
    track: int
    pts: int
    payload: bytes

    @property
    def keyframe(self) -> bool:
        return bool(self.flags & 1)

    @property
    def gap(self) -> bool:
        return bool(self.flags & 2)

    @property
    def number(self) -> int | None:
        """Which drawn picture a JPEG shows."""
        picture = cv2.imdecode(np.frombuffer(self.payload, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return clips.read_number(np.asarray(picture, np.uint8))


class Socket:
    def __init__(self, websocket: ClientConnection, acknowledge: bool) -> None:
        self.websocket = websocket
        self.acknowledge = acknowledge
        self.received = 0
        self.hello: dict[str, Any] = {}
        self.texts: list[dict[str, Any]] = []  # everything that came, in order
        self.pieces: list[Piece] = []

    async def say(self, message: dict[str, Any] | str | bytes) -> None:
        await self.websocket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def send(self, codec: int, track: int, pts: int, payload: bytes, flags: int = 0) -> None:
        await self.say(struct.pack("!BBBxq", codec, flags, track, pts) + payload)

    async def sound(self, pts: int, samples: int = 320, value: int = 0) -> None:
        await self.send(PCM, 0, pts, struct.pack("<h", value) * samples)

    async def picture(self, number: int, width: int = 160, height: int = 120, pts: int | None = None) -> None:
        await self.send(JPEG, 1, number * 3000 if pts is None else pts, jpeg(number, width, height))

    async def receive(self, seconds: float = 30) -> dict[str, Any] | Piece:
        async with asyncio.timeout(seconds):
            message = await self.websocket.recv()
        self.received += 1
        if self.acknowledge:
            with contextlib.suppress(ConnectionClosed):  # what came just before the end is read all the same
                await self.say({"type": "ack", "received": self.received})
        if isinstance(message, str):
            self.texts.append(json.loads(message))
            return self.texts[-1]
        codec, flags, track, pts = struct.unpack_from("!BBBxq", message)
        self.pieces.append(Piece(codec, flags, track, pts, message[12:]))
        return self.pieces[-1]

    async def event(self, name: str, seconds: float = 30, **data: Any) -> dict[str, Any]:
        """The next text message of this type, with these fields in its data; others are kept in `texts`."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.receive(seconds)
                if isinstance(message, dict) and message["type"] == name and all(
                        message["data"][key] == value for key, value in data.items()):
                    return message

    async def piece(self, track: int, seconds: float = 30) -> Piece:
        """The next media message of this track."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.receive(seconds)
                if isinstance(message, Piece) and message.track == track:
                    return message

    @property
    def seqs(self) -> list[int]:
        return [text["seq"] for text in self.texts if "seq" in text]


@asynccontextmanager
async def joined(ws_url: str, hello: dict[str, Any] | None = None, *, acknowledge: bool = True,
                 **options: Any) -> AsyncIterator[Socket]:
    """A socket whose hello has been answered."""
    async with connect(ws_url + "/v1/stream", compression=None, proxy=None, close_timeout=1, **options) as websocket:
        socket = Socket(websocket, acknowledge)
        await socket.say(hello or HELLO)
        answer = await socket.receive()
        assert isinstance(answer, dict)
        assert answer["type"] == "hello", answer
        socket.hello = answer
        yield socket


async def refusal(ws_url: str, first: dict[str, Any] | str | bytes, **options: Any) -> tuple[dict[str, Any], int, str]:
    """What happens to this first message: the error event's data, the close code and reason."""
    async with connect(ws_url + "/v1/stream", compression=None, proxy=None, **options) as websocket:
        await websocket.send(json.dumps(first) if isinstance(first, dict) else first)
        message = json.loads(await websocket.recv())
        assert (message["type"], message["seq"]) == ("error", 0)
        await websocket.wait_closed()
        assert websocket.close_code is not None
        return message["data"], websocket.close_code, websocket.close_reason or ""


def jpeg(number: int, width: int = 160, height: int = 120) -> bytes:
    done, data = cv2.imencode(".jpg", clips.draw(number, width, height))
    assert done
    return data.tobytes()
