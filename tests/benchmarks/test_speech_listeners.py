"""What a benchmark's client takes from another server: all that the server's own client would have."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from aimass_stream.speech.words import HEARING_RATE
from benchmarks.speech import listeners

pytestmark = pytest.mark.anyio

LATE = 0.3  # s after the last sound: a server that is behind


async def _slow(socket: ServerConnection) -> None:
    """As WhisperLive answers: it closes at END_OF_AUDIO, and the last segment is never marked completed."""
    await socket.recv()
    await socket.send(json.dumps({"message": "SERVER_READY"}))
    shown = [{"start": "0.000", "text": " The old man", "completed": True}]
    await socket.send(json.dumps({"segments": shown}))
    heard = 0

    async def later() -> None:
        await asyncio.sleep(LATE)
        await socket.send(json.dumps({"segments": [*shown, {"start": "1.0", "text": " walked", "completed": False}]}))

    news: asyncio.Task[None] | None = None
    async for message in socket:
        if message == b"END_OF_AUDIO":
            break
        heard += len(message) // 4
        if news is None and heard >= HEARING_RATE // 2:
            news = asyncio.create_task(later())
    if news is not None:
        news.cancel()


async def test_a_server_that_closes_at_the_end_is_waited_for_first_and_its_last_words_count(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "AFTER", 0.1)
    monkeypatch.setattr(listeners, "QUIET", 3 * LATE)
    async with serve(_slow, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        listener = listeners.WhisperLive(f"ws://127.0.0.1:{port}", {})
        updates = await listener.listen(np.zeros(HEARING_RATE // 2, np.float32))
    assert [update.committed for update in updates] == ["The old man", "The old man", "The old man walked"]
    assert updates[1].partial == "walked"
    assert updates[2].at == updates[1].at  # when it was shown, not when the stream was given up
