"""A plain client of the Realtime protocol, written from the protocol and not from our server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import numpy as np
import soxr
from websockets.asyncio.client import ClientConnection, connect

from aimass_stream.frames import Samples
from tests.support.speech import SENTENCE, speak

RATE = 24_000
WAIT = 40.0  # s for one event


@cache
def spoken(text: str = SENTENCE, rate: int = RATE) -> Samples:
    """The text by the bundled voice, (n, 1) int16."""
    samples: Samples = soxr.resample(speak(text)[:, 0].astype(np.float32), 48_000, rate).astype(np.int16)[:, None]
    return samples


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros((int(seconds * rate), 1), np.int16)


def as_base64(samples: Samples | bytes) -> str:
    return base64.b64encode(samples if isinstance(samples, bytes) else samples.tobytes()).decode()


class Client:
    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.events: list[dict[str, Any]] = []  # everything that came, in order
        self._read = 0  # of `events`, by `until`

    async def send(self, kind: str, **fields: Any) -> None:
        await self.websocket.send(json.dumps({"type": kind, **fields}))

    async def receive(self, seconds: float = WAIT) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            event: dict[str, Any] = json.loads(await self.websocket.recv())
            await asyncio.sleep(0)
        assert event["event_id"].startswith("event_")
        self.events.append(event)
        return event

    async def until(self, kind: str, seconds: float = WAIT, **fields: Any) -> dict[str, Any]:
        """The next event of this type (and with these fields) that no earlier call has gone past."""
        async with asyncio.timeout(seconds):
            while True:
                while self._read < len(self.events):
                    event = self.events[self._read]
                    self._read += 1
                    if event["type"] == kind and all(event.get(key) == value for key, value in fields.items()):
                        return event
                await self.receive(seconds)

    async def error(self, kind: str, **fields: Any) -> dict[str, Any]:
        """What is answered to an event that is refused."""
        await self.send(kind, event_id="mine", **fields)
        event = await self.until("error")
        assert event["error"]["event_id"] == "mine"
        assert set(event["error"]) == {"type", "code", "message", "param", "event_id"}
        error: dict[str, Any] = event["error"]
        return error

    async def say(self, samples: Samples | bytes, *, chunk: float = 0.1, rate: int = RATE) -> None:
        """Append sound, as fast as it is taken."""
        data = samples if isinstance(samples, bytes) else samples.tobytes()
        step = int(chunk * rate) * 2
        for begin in range(0, len(data), step):
            await self.send("input_audio_buffer.append", audio=as_base64(data[begin : begin + step]))

    async def configure(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))["session"]  # type: ignore[no-any-return]

    def of(self, *kinds: str) -> Iterator[dict[str, Any]]:
        return (event for event in self.events if event["type"] in kinds)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def sound(self, item_id: str | None = None) -> bytes:
        return b"".join(base64.b64decode(event["delta"]) for event in self.of("response.output_audio.delta")
                        if item_id in (None, event["item_id"]))


@asynccontextmanager
async def talking(ws_url: str, query: str = "?model=test", **options: Any) -> AsyncIterator[Client]:
    """A client that has been greeted."""
    async with connect(f"{ws_url}/v1/realtime{query}", compression=None, proxy=None, close_timeout=1,
                       max_size=None, **options) as websocket:
        client = Client(websocket)
        assert (await client.receive())["type"] == "session.created"
        yield client
