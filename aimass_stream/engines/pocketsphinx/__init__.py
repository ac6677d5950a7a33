"""PocketSphinx with the English model in its wheel: a process that has it loaded, and one more for each stream."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ... import children
from ...errors import Busy, InvalidInput, ModelFailed, Unavailable
from ...inference.device import cores
from ...speech.words import Waveform
from . import child

log = logging.getLogger(__name__)

PER_CORE = 4  # streams of recognisers; one takes about a fifth of a core while somebody speaks
PAIRS_PER_CORE = 2  # of streams for commands, apart from those; a pair takes as much
START_SECONDS = 60.0  # to load the model
ANSWER_SECONDS = 30.0
END_SECONDS = 3.0


class Stream:
    """One decoder. Calls come one after another; each raises `ModelFailed` once its process has died."""

    def __init__(self, pool: Decoders, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *,
                 command: bool) -> None:
        self.command = command
        self._pool = pool
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self.failed = False

    async def begin(self) -> None:
        await self._ask(child.BEGIN)

    async def hear(self, sound: Waveform) -> dict[str, Any]:
        return await self._ask(child.HEAR, sound.astype("<f4", copy=False).tobytes())

    async def finish(self) -> dict[str, Any]:
        return await self._ask(child.FINISH)

    async def known(self, words: list[str]) -> list[str]:
        """Which of these words can be heard."""
        return cast(list[str], (await self._ask(child.WORDS, json.dumps(words).encode()))["known"])

    async def listen_for(self, jsgf: str) -> None:
        """Raises `InvalidInput` for a grammar that can't be read."""
        error = (await self._ask(child.GRAMMAR, jsgf.encode())).get("error")
        if error:
            raise InvalidInput(f"the grammar can't be used: {error}", field="phrases")

    async def listen_freely(self) -> None:
        """For any phones in any order."""
        await self._ask(child.FREE)

    async def feed(self, sound: Waveform) -> None:
        """More of an utterance that `begin` began, by a stream that listens for something."""
        await self._ask(child.FEED, sound.astype("<f4", copy=False).tobytes())

    async def path(self) -> list[list[Any]]:
        """The utterance is over. What it was, by what is listened for: text, first and last frame, score, phones."""
        return cast(list[list[Any]], (await self._ask(child.PATH))["words"])

    def drop(self) -> None:
        """Close, without waiting until it is."""
        self._pool.streams.discard(self)
        self._writer.close()

    async def close(self) -> None:
        self.drop()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _ask(self, kind: int, payload: bytes = b"") -> dict[str, Any]:
        async with self._turn:
            if self.failed:
                raise ModelFailed("this stream's decoder has died")
            self.failed = True  # until it has answered: a call that was given up leaves an answer nobody wants
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._writer.write(child.HEAD.pack(kind, len(payload)) + payload)
                    await self._writer.drain()
                    (size,) = child.ANSWER.unpack(await self._reader.readexactly(child.ANSWER.size))
                    answer = await self._reader.readexactly(size)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                raise ModelFailed("this stream's decoder has died, or hangs") from error
            self.failed = False
        return cast(dict[str, Any], json.loads(answer))


class Decoders:
    """All decoders of this server; shared by the name "pocketsphinx" (`Engine.share`)."""

    def __init__(self, most: int | None = None, pairs: int | None = None) -> None:
        self.most = most or PER_CORE * cores()
        self.pairs = pairs or PAIRS_PER_CORE * cores()
        self.streams: set[Stream] = set()
        self._process: children.Child | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._opening = {True: 0, False: 0}  # streams, by whether they are for commands
        self._closed = False

    @classmethod
    async def open(cls, most: int | None = None, pairs: int | None = None) -> Decoders:
        """Raises `Unavailable` when PocketSphinx does not start."""
        decoders = cls(most, pairs)
        await decoders._start()
        return decoders

    @property
    def process(self) -> int | None:
        """The process id of the one that has the model."""
        return self._process.pid if self._process is not None else None

    async def stream(self, *, command: bool = False) -> Stream:
        """A decoder of its own. Raises `Busy` when there are as many as this machine can keep up with.

        Those for commands, of which an utterance takes two, are counted for themselves: neither kind takes the other's.
        """
        most = 2 * self.pairs if command else self.most
        if sum(stream.command == command for stream in self.streams) + self._opening[command] >= most:
            raise Busy(f"PocketSphinx hears {most} streams already", retry_after=5)
        self._opening[command] += 1
        try:
            stream = Stream(self, *await asyncio.open_connection(sock=await self._connected()), command=command)
        finally:
            self._opening[command] -= 1
        self.streams.add(stream)
        return stream

    async def close(self) -> None:
        self._closed = True
        for stream in list(self.streams):
            await stream.close()
        await self._end()

    async def _connected(self) -> socket.socket:
        """Our end of a new stream's socket."""
        for _ in range(2):
            await self._start()
            assert self._control is not None
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    socket.send_fds(self._control, [b"stream"], [theirs.fileno()])
                return ours
            except OSError as error:  # the process has died, and nobody has noticed yet
                ours.close()
                reason = error
                async with self._starting:
                    await self._end()
        raise Unavailable(f"PocketSphinx has no process for a stream: {reason}")

    async def _start(self) -> None:
        async with self._starting:
            if self._closed:
                raise Unavailable("PocketSphinx was closed")
            if self._process is not None and self._process.returncode is None:
                return
            await self._end()
            self._control, theirs = socket.socketpair()
            self._control.setblocking(False)
            with theirs:
                self._process = await children.start(
                    [sys.executable, "-I", "-B", str(Path(child.__file__)), str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),))
            try:
                async with asyncio.timeout(START_SECONDS):
                    ready = await asyncio.get_running_loop().sock_recv(self._control, 16)
            except (OSError, TimeoutError) as error:
                ready, reason = b"", repr(error)
            else:
                reason = "its process ended"
            if not ready:
                await self._end()
                raise Unavailable(f"PocketSphinx does not start: {reason}")

    async def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None and self._process.returncode is None:
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None
