"""Files that lie, are broken or endless beside somebody who speaks: the live session does not notice."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support import recordings
from tests.support.options import settings
from tests.support.recordings import encoded, tone
from tests.support.server import serve
from tests.support.sockets import PCM, Socket, joined
from tests.support.speech import speak

pytestmark = pytest.mark.anyio

RATE, FRAME = 16_000, 320  # Hz, samples
HELLO: dict[str, Any] = {"type": "hello", "version": 1, "pipeline": [{"stage": "vad"}],
                         "in": {"audio": {"codec": "pcm_s16le", "rate": RATE}},
                         "out": {"audio": {"codec": "pcm_s16le", "rate": RATE}}}
TEN_HOURS = 10 * 3600 * RATE * 2  # bytes
LEAST = 4.0  # s that the live session lasts at least


@pytest.fixture(scope="module")
def talk() -> list[bytes]:
    """A short sentence and a second of silence, in frames."""
    spoken = np.concatenate([speak("One two three.")[::3], np.zeros((RATE, 1), np.int16)])
    return [spoken[at : at + FRAME].tobytes() for at in range(0, len(spoken) - FRAME + 1, FRAME)]


@pytest.fixture(scope="module")
def files() -> list[tuple[str, bytes, int]]:
    """Name, content, and the status that it gets."""
    second = tone(1)
    whole = {kind: encoded(tone(3, 48_000), 48_000, kind, codec)
             for kind, codec in (("mp3", "mp3"), ("flac", "flac"), ("webm", "libopus"))}
    return [
        ("song.mp3", recordings.zipped(), 400),
        ("empty.wav", b"", 400),
        ("rate.wav", recordings.wav(second, told_rate=4_000_000_000), 400),
        ("channels.wav", recordings.wav(second, told_channels=60_000), 400),
        ("length.wav", recordings.wav(second, told_bytes=0xFFFFFFFF), 200),
        ("ten hours by its header.wav", recordings.wav(second, told_bytes=TEN_HOURS), 200),
        ("ten hours.flac", recordings.long_flac(10), 413),
        ("half a header.wav", recordings.wav(second)[:20], 400),
        *((f"cut off.{kind}", data[: len(data) // 2], 200) for kind, data in whole.items()),
        ("nothing but a head.flac", whole["flac"][:40], 400),
    ]


async def send(socket: Socket, talk: list[bytes], enough: asyncio.Event) -> int:
    """At wall-clock pace, again and again; how many frames."""
    begun, number = asyncio.get_running_loop().time(), 0
    while not enough.is_set() or number < LEAST * RATE / FRAME or number % len(talk):
        await asyncio.sleep(max(0.0, begun + number * FRAME / RATE - asyncio.get_running_loop().time()))
        await socket.send(PCM, 0, number * FRAME, talk[number % len(talk)])
        number += 1
    return number


async def read(socket: Socket) -> None:
    while True:
        await socket.receive()


async def ask(http: httpx.AsyncClient, name: str, data: bytes) -> httpx.Response:
    return await http.post("/v1/audio/transcriptions", files={"file": (name, data)}, data={"model": "pocketsphinx"})


async def test_bad_files_get_their_errors_and_a_live_session_loses_nothing(
        talk: list[bytes], files: list[tuple[str, bytes, int]]) -> None:
    options = settings(max_upload=64 << 20, max_audio_seconds=4 * 3600)
    async with serve(options) as server, joined(server.ws_url, HELLO) as socket, \
            httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        await socket.event("session.created")
        enough = asyncio.Event()
        reading = asyncio.create_task(read(socket))
        sending = asyncio.create_task(send(socket, talk, enough))
        for name, data, status in files:
            answer = await ask(http, name, data)
            assert answer.status_code == status, f"{name}: {answer.text}"
            assert status == 200 or answer.json()["error"]["param"] == "file"
        enough.set()
        sent = await sending
        async with asyncio.timeout(30):
            while len(socket.pieces) < sent:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            rounds = sent // len(talk)
            while kinds(socket).count("speech.stopped") < rounds:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        reading.cancel()
    assert [piece.pts for piece in socket.pieces] == [number * FRAME for number in range(sent)]
    assert [piece.payload for piece in socket.pieces] == [talk[number % len(talk)] for number in range(sent)]
    assert not any(piece.gap for piece in socket.pieces)
    speech = [kind for kind in kinds(socket) if kind.startswith("speech.")]
    assert speech == ["speech.started", "speech.stopped"] * rounds
    assert socket.seqs == sorted(set(socket.seqs))


def kinds(socket: Socket) -> list[str]:
    return [text["type"] for text in socket.texts]
