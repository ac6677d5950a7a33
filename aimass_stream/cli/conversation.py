"""A conversation with a server's assistant from here: sound out, replies in, and what happens, told in lines."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import wire
from ..client import Client
from ..client.files import FileReader, FileWriter
from ..codecs.pcm import Converter
from ..events import Event
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples, now
from .sound_device import Loudspeaker, Microphone

PIECE = AUDIO_RATE // 50  # samples, 20 ms
READY = 60.0  # s that the server may take to load its recogniser
ANSWER = 8.0  # s that a reply to a file may take to begin
AFTER = 0.7  # s of silence after a reply, before the next file


class Conversation:
    def __init__(self, client: Client, pipeline: list[dict[str, Any]], *, files: list[Path], out: Path | None,
                 tell: Callable[[str], None]) -> None:
        """Without `files` the microphone, without `out` the loudspeaker; `tell` gets a line at a time."""
        self._client, self._pipeline, self._files, self._out, self._tell = client, pipeline, files, out, tell
        self._stop, self._ready, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._state = "listening"
        self._replies = 0
        self._unanswered: list[str] = []  # names of files
        self._refused = False
        self._writer: FileWriter | None = None
        self._said: dict[str, str] = {}  # by turn
        self._heard: dict[str, str] = {}  # by utterance

    async def run(self) -> int:
        """Until the files are through, the session ended, or Ctrl-C; the exit code: 1 if nobody listened, or a file
        was not answered."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._stop.set)
        formats = wire.AudioFormat.decode({"codec": "pcm_s16le", "rate": AUDIO_RATE, "channels": 1})
        speaker = Loudspeaker() if self._out is None else None
        try:
            async with self._client.stream(pipeline=self._pipeline, audio=formats) as session:
                tasks = [asyncio.create_task(work) for work in (
                    self._speak(session), self._listen(session), self._play(session, speaker),
                    self._stop.wait())]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                for task in done:
                    task.result()
            if session.error is not None:
                raise session.error
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            if self._writer is not None:
                await asyncio.to_thread(self._writer.close)
                self._tell(f"Wrote {self._writer.written['audio'] * 0.02:.1f} s to {self._out}")
            if speaker is not None:
                speaker.close()
        if self._unanswered:
            self._tell(f"No answer to {', '.join(self._unanswered)}.")
        return 1 if self._refused or self._unanswered or (self._files and not self._replies) else 0

    # sound out -------------------------------------------------------------------------------------

    async def _speak(self, session: Any) -> None:
        begun, number = now(), 0
        async with contextlib.aclosing(self._sound()) as pieces:  # type: ignore[type-var]
            async for samples in pieces:
                if self._files:
                    await asyncio.sleep(max(0.0, begun + number * 0.02 - now()))
                await session.send(AudioFrame(samples=samples, pts=number * PIECE, time_base=AUDIO_TIME_BASE,
                                              track="audio-0"))
                number += 1

    async def _sound(self) -> AsyncIterator[Samples]:
        if not self._files:
            async for piece in Microphone().pieces():
                yield piece
            return
        async for piece in self._silence(lambda: self._ready.is_set(), READY):
            yield piece
        if self._pipeline[0].get("greeting"):
            async for piece in self._reply(0):
                yield piece
        for path in self._files:
            self._tell(f"({path.name})")
            before = self._replies
            for piece in await asyncio.to_thread(_read, path):
                yield piece
            async for piece in self._reply(before):
                yield piece
            if not self._answered_since(before):
                self._unanswered.append(path.name)

    async def _reply(self, before: int) -> AsyncIterator[Samples]:
        """Silence while one more than so many replies is waited for and spoken."""
        async for piece in self._silence(partial(self._answered_since, before), ANSWER):
            yield piece
        async for piece in self._silence(lambda: self._state == "listening", READY):
            yield piece
        async for piece in self._silence(lambda: False, AFTER):
            yield piece

    def _answered_since(self, replies: int) -> bool:
        return self._replies > replies

    async def _silence(self, until: Callable[[], bool], seconds: float) -> AsyncIterator[Samples]:
        for _ in range(round(seconds * 50)):
            if until():
                return
            yield np.zeros((PIECE, 1), np.int16)

    # what comes back -------------------------------------------------------------------------------

    async def _play(self, session: Any, speaker: Loudspeaker | None) -> None:
        async for frame in session.frames():
            if isinstance(frame, AudioFrame) and speaker is not None:
                speaker.play(frame.samples)
            elif isinstance(frame, AudioFrame) and self._ready.is_set():  # a refused conversation leaves no file
                await asyncio.to_thread(self._write, frame)

    def _write(self, frame: AudioFrame) -> None:
        if self._writer is None:
            assert self._out is not None
            self._writer = FileWriter(self._out, expect={"audio"})
        self._writer.write(frame)

    async def _listen(self, session: Any) -> None:
        async for event in session.events():
            self._happened(event)

    def _happened(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "hearing.ready":
                self._tell(f"Listening with {data['engine']} {data['model']}: {data['reason']}.")
                self._ready.set()
            case "transcript.committed":
                text = f"{self._heard.pop(data['utterance'], '')} {data['text']}".strip()
                if data["final"]:
                    self._tell(f"You: {text}")
                else:
                    self._heard[data["utterance"]] = text
            case "assistant.understood":
                self._tell(f"  (taken for: {data['text']})")
            case "assistant.reply":
                text = self._said.pop(data["turn"], "") + data["delta"]
                if data["final"]:
                    self._tell(f"Assistant: {text}")
                else:
                    self._said[data["turn"]] = text
            case "assistant.interrupted":
                self._tell(f"  (interrupted; heard of it: {data['heard'] or 'nothing'})")
                self._said.pop(data["turn"], None)
            case "assistant.resumed":
                self._tell("  (that was nothing; it goes on)")
            case "assistant.action":
                self._tell(f"  ({data['name']}: {'done' if data['ok'] else 'refused'})")
            case "assistant.state":
                self._replies += data["state"] == "speaking"
                self._state = data["state"]
            case "turn.latency":
                parts = " + ".join(f"{name} {data[name]:.0f}" for name in
                                   ("endpoint", "recognition", "brain", "voice", "wire"))
                self._tell(f"  {data['total']:.0f} ms = {parts}")
            case "stage.failed" | "error":
                self._tell(f"  {data['detail']}")
                if data.get("stage") == "assistant" and not self._ready.is_set():  # nobody will ever listen
                    self._refused = True
                    self._stop.set()


def _read(path: Path) -> list[Samples]:
    """A sound file in pieces of 20 ms, 48 kHz mono."""
    converter = Converter(AUDIO_RATE, 1)
    found = [converted.samples for frame in FileReader(path).sound()
             if (converted := converter.convert(frame)) is not None]
    whole = np.concatenate(found) if found else np.zeros((0, 1), np.int16)
    whole = np.concatenate([whole, np.zeros((-len(whole) % PIECE, 1), np.int16)])
    return [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
