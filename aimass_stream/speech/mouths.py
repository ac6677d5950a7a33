"""Processes that speak, and whose turn it is to be said.

A voice whose library is one global state of C, or dies of some texts, lives in processes of its own; what is said to
them is in `mouth_wire.py`.

Each process has a few parts that it says in turns; the others wait here, parts that begin an utterance before those
that go on with one: their callers have heard nothing yet. When a process dies, the part it was at fails with
`ModelFailed`; the others go on in its successor where they were, with their next word.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import children
from ..errors import AimassError, Busy, InvalidInput, ModelFailed, Unavailable
from ..frames import Samples
from . import mouth_wire as wire

log = logging.getLogger(__name__)

MOST_WAITING = 512  # parts of all callers
START_SECONDS = 10.0  # for a process to begin
PART_SECONDS = 10.0  # without a sound of the part at work: it hangs
DEATHS = 5  # in a row, of processes that had said nothing yet: then it is given up


@dataclass(slots=True)
class Piece:
    samples: Samples  # (n, 1)
    begin: int  # its first sample, counted in its part
    words: list[tuple[int, int, int, int]]  # first and last character + 1, first and last sample + 1 in the part


@dataclass(slots=True, eq=False)
class Job:
    """One part of an utterance."""

    voice: str  # as its process calls it
    text: str
    rate: int
    pitch: int
    volume: int
    pause: bool  # that follows such a clause; False: nothing follows
    first: bool  # of its utterance
    number: int = 0
    said: int = 0  # samples
    done: int = 0  # characters that have been said
    since: int = 0  # the first character and sample of what the process at work was given
    offset: int = 0
    over: bool = False
    error: AimassError | None = None
    pieces: deque[Piece] = field(default_factory=lambda: deque(maxlen=4096))  # a part is a few hundred words at most
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def packed(self) -> bytes:
        voice, text = self.voice.encode(), self.text[self.since :].encode("utf-8", "replace")
        return wire.SPEAK_HEAD.pack(wire.SPEAK, self.number, self.rate, self.pitch, self.volume, self.pause,
                                     len(voice), len(text)) + voice + text

    def end(self, error: AimassError | None = None) -> None:
        self.over, self.error = True, error
        self.news.set()


class Desk:
    """Made anywhere, opened and used on one event loop."""

    def __init__(self, name: str, argv: Sequence[str], *, processes: int, depth: int) -> None:
        """`argv` starts a process; each has up to `depth` parts at a time."""
        self.name = name
        self._depth = depth
        self._workers = [Worker(self, argv) for _ in range(processes)]
        self._starts: deque[Job] = deque(maxlen=MOST_WAITING)
        self._others: deque[Job] = deque(maxlen=MOST_WAITING)
        self._numbers = itertools.count(1)
        self._closed = False

    async def open(self) -> dict[str, Any]:
        """Start the processes; what the first of them tells of itself. Raises `Unavailable`."""
        starting = [asyncio.create_task(worker.start()) for worker in self._workers]
        try:
            await asyncio.wait(starting)  # for all of them: what is just beginning could not be ended
            first, *_ = [each.result() for each in starting]
            return first
        except BaseException:
            for each in starting:
                each.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await self.close()
            raise

    async def speak(self, job: Job) -> AsyncGenerator[Piece, None]:
        """The part's sound as it is made; closing the iterator cancels it. Raises `Busy`, `ModelFailed`."""
        self._add(job)
        try:
            while True:
                while job.pieces:
                    yield job.pieces.popleft()
                if job.error is not None:
                    raise job.error
                if job.over:
                    return
                job.news.clear()
                await job.news.wait()
        finally:
            self._remove(job)

    async def close(self) -> None:
        self._closed = True
        for job in (*self._starts, *self._others):
            job.end(Unavailable("the voice was closed"))
        self._starts.clear()
        self._others.clear()
        await asyncio.gather(*(worker.close() for worker in self._workers))

    @property
    def processes(self) -> list[int]:
        """Their process ids."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def _add(self, job: Job) -> None:
        if self._closed:
            raise Unavailable("the voice was closed")
        if len(self._starts) + len(self._others) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} pieces of text wait to be spoken")
        if all(worker.given_up for worker in self._workers):
            raise ModelFailed(f"{self.name} died too often and was given up")
        job.number = next(self._numbers) & 0xFFFFFFFF
        (self._starts if job.first else self._others).append(job)
        self.dispatch()

    def _remove(self, job: Job) -> None:
        for waiting in (self._starts, self._others):
            if job in waiting:
                waiting.remove(job)
        for worker in self._workers:
            worker.cancel(job)

    def again(self, jobs: list[Job]) -> None:
        """Parts that a process had not begun when it died."""
        for job in reversed(jobs):
            (self._starts if job.first else self._others).appendleft(job)
        self.dispatch()

    def dispatch(self) -> None:
        """Hand out what waits, to the process that has the least to do."""
        while self._starts or self._others:
            free = [worker for worker in self._workers if worker.ready and len(worker.jobs) < self._depth]
            if not free:
                if all(worker.given_up for worker in self._workers):
                    for waiting in (self._starts, self._others):
                        while waiting:
                            waiting.popleft().end(ModelFailed(f"{self.name} died too often and was given up"))
                return
            waiting = self._starts or self._others
            min(free, key=lambda worker: len(worker.jobs)).give(waiting.popleft())


class Worker:
    """One process, started anew when it dies."""

    def __init__(self, desk: Desk, argv: Sequence[str]) -> None:
        self.desk = desk
        self.process: children.Child | None = None
        self.jobs: dict[int, Job] = {}
        self._turn = 0  # whose it is: a job's number
        self.ready = False
        self.given_up = False
        self._argv = list(argv)
        self._deaths = 0
        self._heard = 0.0  # s on the loop's clock: when it last said something, or was given something to say
        self._timer: asyncio.TimerHandle | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Any]:
        told = await self._start()
        self._serving = asyncio.create_task(self._serve(), name=self.desk.name)
        return told

    def give(self, job: Job) -> None:
        if not self.jobs:
            self._heard = asyncio.get_running_loop().time()
        job.since, job.offset = job.done, job.said
        self.jobs[job.number] = job
        self._write(job.packed())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PART_SECONDS / 2, self._look)

    def cancel(self, job: Job) -> None:
        """It is still counted until the process says that it is done with it."""
        if not job.over and self.jobs.get(job.number) is job:
            job.over = True
            self._write(wire.CANCEL_HEAD.pack(wire.CANCEL, job.number))

    async def close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
        if self._timer is not None:
            self._timer.cancel()
        await self._end()
        for job in self.jobs.values():
            job.end(Unavailable("the voice was closed"))
        self.jobs.clear()

    def _write(self, data: bytes) -> None:
        if self.process is not None and self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(data)  # at most `depth` parts and as many cancellations: a few kilobytes

    async def _start(self) -> dict[str, Any]:
        self.process = await children.start(
            self._argv, stdin=children.PIPE, stdout=children.PIPE, limit=1 << 20,
            env={name: os.environ[name] for name in ("LANG", "LC_ALL", "SYSTEMROOT") if name in os.environ})
        try:
            async with asyncio.timeout(START_SECONDS):
                kind, _, size, _ = wire.ANSWER.unpack(await self._read(wire.ANSWER.size))
                told: dict[str, Any] = json.loads(await self._read(size))
        except (TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            await self._end()
            raise Unavailable(f"{self.desk.name} does not start: {type(error).__name__}") from error
        self.ready = kind == wire.READY
        return told

    async def _read(self, size: int) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        return await self.process.stdout.readexactly(size)

    async def _serve(self) -> None:
        """Read what the process says, for as long as there is one."""
        while True:
            try:
                await self._listen()
            except (asyncio.IncompleteReadError, ConnectionError):
                await self._died()
            if self.given_up:
                return

    async def _listen(self) -> None:
        while True:
            kind, number, count, samples = wire.ANSWER.unpack(await self._read(wire.ANSWER.size))
            body = await self._read(count * wire.WORD.size + samples * 2) if kind == wire.PIECE else b""
            self._heard = asyncio.get_running_loop().time()
            self._answered(kind, number, count, body)

    def _look(self) -> None:
        """Every few seconds while there is work: a process that says nothing for too long hangs, and is ended."""
        self._timer = None
        loop = asyncio.get_running_loop()
        if self.jobs and self.process is not None:
            if loop.time() - self._heard > PART_SECONDS and self.process.returncode is None:
                log.warning("%s has said nothing for %g s at a text that waits", self.desk.name, PART_SECONDS)
                self.process.kill()
            self._timer = loop.call_later(PART_SECONDS / 2, self._look)

    def _answered(self, kind: int, number: int, count: int, body: bytes) -> None:
        job = self.jobs.get(number)
        if kind == wire.TURN:
            self._turn = number
        if job is None or kind == wire.TURN:
            return
        self._deaths = 0
        if kind == wire.PIECE:
            if not job.over:
                job.pieces.append(_piece(job, count, body))
                job.news.set()
            return
        del self.jobs[number]
        if not job.over:
            missing = InvalidInput(f"{self.desk.name} has no voice {job.voice!r}", field="voice")
            job.end(missing if kind == wire.NONE else None)
        self.desk.dispatch()

    async def _died(self) -> None:
        """What it was at is lost; what it had not begun is said by the next one."""
        self.ready = False
        await self._end()
        status = None if self.process is None else self.process.returncode
        jobs, self.jobs = self.jobs, {}
        culprit = jobs.pop(self._turn, None)
        if culprit is not None and not culprit.over:
            log.warning("%s died (status %s) at a text of %d characters", self.desk.name, status, len(culprit.text))
            culprit.end(ModelFailed(f"{self.desk.name} died at this text; it has been started anew"))
        self._deaths += 1
        self.desk.again([job for job in jobs.values() if not job.over])
        while self._deaths < DEATHS and not self.ready:
            try:
                await self._start()
            except Unavailable as error:
                self._deaths += 1
                log.warning("%s", error)
        self.given_up = not self.ready
        self.desk.dispatch()

    async def _end(self) -> None:
        self.ready = False
        process = self.process
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.close()


def _piece(job: Job, count: int, body: bytes) -> Piece:
    packed = (wire.WORD.unpack_from(body, place * wire.WORD.size) for place in range(count))
    words = [(first + job.since, last + job.since, start + job.offset, end + job.offset)
             for first, last, start, end in packed]
    samples = np.frombuffer(body, "<i2", offset=count * wire.WORD.size).astype(np.int16).reshape(-1, 1)
    piece = Piece(samples, job.said, words)
    job.said += len(samples)
    job.done = words[-1][1] if words else job.done
    return piece
