"""Clients of the servers that are compared: each sends 16 kHz sound at wall-clock pace and notes what it is shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import websockets
from websockets.asyncio.client import ClientConnection

from aimass_stream.speech.words import HEARING_RATE, Waveform

from .delays import Update

PIECE = 0.1  # s of sound in one message, for every server
AFTER = 2.5  # s of silence behind the last word, so that every server's endpointing has its time
QUIET = 4.0  # s without news after the end, then a stream is over
LIMIT = 30.0  # s after the end, then it is over in any case


class Listener(ABC):
    """One stream. `listen` answers what was shown, and when."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.url = url
        self.options = options
        self.updates: list[Update] = []
        self._begun = 0.0
        self._news = 0.0
        self._over = asyncio.Event()

    async def listen(self, audio: Waveform) -> list[Update]:
        """Raises `ConnectionError` with the server's reason when it does not take the stream."""
        async with websockets.connect(self.address(), max_size=None, ping_interval=None,
                                      open_timeout=60) as socket:
            await self.greet(socket)
            reader = asyncio.create_task(self._read(socket))
            self._begun = self._news = time.monotonic()
            try:
                await self._send(socket, np.concatenate([audio, np.zeros(int(AFTER * HEARING_RATE), np.float32)]))
                await self.finish(socket)
                await self._settled()
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader
        return self.updates

    async def _send(self, socket: ClientConnection, audio: Waveform) -> None:
        step = int(PIECE * HEARING_RATE)
        for number, start in enumerate(range(0, len(audio), step)):
            due = self._begun + (number + 1) * PIECE  # a microphone has a piece when its last sample is there
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await socket.send(self.encode(audio[start : start + step], start))

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in socket:
                for committed, partial in self.decode(message):
                    self._show(committed, partial)
        self._over.set()

    def _show(self, committed: str, partial: str) -> None:
        if not self.updates or (self.updates[-1].committed, self.updates[-1].partial) != (committed, partial):
            self._news = time.monotonic()
            self.updates.append(Update(self._news - self._begun, committed, partial))

    async def _settled(self) -> None:
        end = time.monotonic()
        while not self._over.is_set() and time.monotonic() - end < LIMIT:
            if time.monotonic() - max(self._news, end) > QUIET:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), 0.2)

    def address(self) -> str:
        return self.url

    async def greet(self, socket: ClientConnection) -> None:  # noqa: B027  most say nothing first
        """What is said before any sound."""

    async def finish(self, socket: ClientConnection) -> None:  # noqa: B027  nor last
        """What is said after all sound."""

    @abstractmethod
    def encode(self, audio: Waveform, start: int) -> bytes: ...

    @abstractmethod
    def decode(self, message: str | bytes) -> Sequence[tuple[str, str]]: ...


def pcm16(audio: Waveform) -> bytes:
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


class Ours(Listener):
    """`options`: the parameters of the `asr` stage."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        super().__init__(url, options)
        self.committed = ""
        self.lags: list[tuple[float, float]] = []  # of every committed word by its own time: its end, s behind that
        self.failures: list[str] = []

    async def greet(self, socket: ClientConnection) -> None:
        sound = {"codec": "pcm_s16le", "rate": HEARING_RATE, "channels": 1}
        await socket.send(json.dumps({
            "type": "hello", "version": 1, "pipeline": [{"stage": "asr", **self.options}, {"stage": "mute"}],
            "in": {"audio": sound}, "out": {"audio": sound}}))
        answer = json.loads(await socket.recv())
        if answer["type"] != "hello":
            raise ConnectionError(answer.get("data", {}).get("detail", str(answer)))
        async with asyncio.timeout(60):
            while json.loads(await _text(socket))["type"] != "session.created":
                pass

    def encode(self, audio: Waveform, start: int) -> bytes:
        return struct.pack("!BBBxq", 1, 0, 0, start) + pcm16(audio)

    def decode(self, message: str | bytes) -> Sequence[tuple[str, str]]:
        if isinstance(message, bytes):
            return []
        event = json.loads(message)
        if event["type"] == "transcript.committed":
            self.committed = f"{self.committed} {event['data']['text']}".strip()
            now = time.monotonic() - self._begun
            self.lags += [(word["end"], now - word["end"]) for word in event["data"]["words"]]
            return [(self.committed, "")]
        if event["type"] == "transcript.partial":
            return [(self.committed, event["data"]["text"])]
        if event["type"] == "stage.failed":
            self.failures.append(event["data"]["detail"])
        return []


async def _text(socket: ClientConnection) -> str:
    while True:
        message = await socket.recv()
        if isinstance(message, str):
            return message


class WhisperLiveKit(Listener):
    """Lines are what it has committed; its buffer is what may change."""

    def address(self) -> str:
        return f"{self.url}/asr"

    async def finish(self, socket: ClientConnection) -> None:
        await socket.send(b"")  # an empty message ends the stream

    def encode(self, audio: Waveform, start: int) -> bytes:
        return pcm16(audio)

    def decode(self, message: str | bytes) -> Sequence[tuple[str, str]]:
        told = json.loads(message)
        if told.get("type") == "ready_to_stop":
            self._over.set()
        if "lines" not in told:
            return []
        lines = " ".join(line.get("text") or "" for line in told["lines"])
        return [(lines.strip(), (told.get("buffer_transcription") or "").strip())]


class WhisperLive(Listener):
    """Segments that it marks completed are committed; the last one may change. It sends the last ten only.

    It closes at END_OF_AUDIO without completing its last segment. As its own client does, we wait until nothing new
    comes before we say so, and take that segment as it stood.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        super().__init__(url, options)
        self.done: dict[float, str] = {}  # completed segments by their start

    async def greet(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({
            "uid": str(uuid.uuid4()), "language": "en", "task": "transcribe", "model": "small", "use_vad": True,
            "max_clients": 16, "max_connection_time": 3600, **self.options}))
        async with asyncio.timeout(60):
            while True:
                told = json.loads(await _text(socket))
                if told.get("message") == "SERVER_READY":
                    return
                if told.get("status") in ("ERROR", "WAIT"):
                    raise ConnectionError(str(told.get("message")))

    async def listen(self, audio: Waveform) -> list[Update]:
        updates = await super().listen(audio)
        if updates and updates[-1].partial:
            last = updates[-1]
            updates.append(Update(last.at, f"{last.committed} {last.partial}".strip(), ""))
        return updates

    async def finish(self, socket: ClientConnection) -> None:
        await self._settled()
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send(b"END_OF_AUDIO")

    def encode(self, audio: Waveform, start: int) -> bytes:
        return audio.astype("<f4").tobytes()

    def decode(self, message: str | bytes) -> Sequence[tuple[str, str]]:
        told = json.loads(message)
        segments = told.get("segments")
        if not segments:
            return []
        self.done |= {float(one["start"]): one["text"].strip() for one in segments if one.get("completed")}
        partial = " ".join(one["text"].strip() for one in segments if not one.get("completed"))
        return [(" ".join(text for _, text in sorted(self.done.items())), partial)]
