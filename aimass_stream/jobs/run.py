"""One job while it is being done: its child process, what that tells, and what is written down of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .. import sandbox
from ..errors import AimassError, Conflict, NoSpace, NotFound, SandboxError, SandboxKilled, SandboxRaised, Unavailable
from ..uncut import opened, to_the_end
from .report import Preview, Report, heard

if TYPE_CHECKING:  # they bring SQLAlchemy, which takes most of a second to import
    from ..store.blobs import Blobs
    from ..store.jobs import Job as Row
    from ..store.jobs import Jobs as Table

log = logging.getLogger(__name__)

SURE = 0.02  # share of the work from which on it can be foretold how long the rest takes
BEATS = 4  # a lease is renewed so many times before it would run out


@dataclass(frozen=True, slots=True)
class Work:
    """A module's generator function, which runs in a child with its `limits` and yields what `report` makes. It gets
    the number of the open file that it writes its result to, then `arguments`. The open `files` have the same numbers
    in the child; they are closed here when the job has ended."""

    function: Callable[..., Iterator[bytes]]
    arguments: tuple[Any, ...]
    limits: sandbox.Limits
    files: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Here:
    """Work that no child can do, for it asks this server's models, the network or the database: an async generator on
    the loop, which waits much and computes nothing. It gets the job, and the file that it writes its result to."""

    function: Callable[[Row, Path], AsyncGenerator[Report, None]]


Make: TypeAlias = Callable[[dict[str, Any]], Work | Here | Awaitable[Work]]
Finish: TypeAlias = Callable[["Row", Path], Awaitable[None]]


class Run:
    """Of a job that was leased to this process."""

    def __init__(self, row: Row, make: Make, finish: Finish | None, table: Table, blobs: Blobs, lease: float) -> None:
        self.row = row  # as it is now, which is newer than what is written down
        self.preview = b""
        self.previews = 0
        self.changed = asyncio.Event()  # set when anything is; then there is another one
        self.begun = asyncio.Event()  # its task has had its first turn
        self.why: Literal["", "cancelled", "closed", "lost"] = ""  # it is ended before its time
        self._make, self._finish, self._table, self._blobs, self._lease = make, finish, table, blobs, lease
        self._left: float | None = None  # s, as its child says
        self._begun = time.monotonic()

    @property
    def eta(self) -> float | None:
        """Seconds until it is done, as far as can be foretold."""
        if self._left is not None or self.row.progress < SURE:
            return self._left
        return (time.monotonic() - self._begun) * (1 - self.row.progress) / self.row.progress

    def touch(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Until it has ended, or waits again, and that is written down."""
        task = asyncio.current_task()
        assert task is not None
        beat = asyncio.create_task(self._beat(task), name=f"beat {self.row.id}")
        try:
            await self._work()
        except asyncio.CancelledError:
            if not self.why:
                raise
            task.uncancel()
            await self._leave()
        except Exception as error:
            await self._fail(error)
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def _work(self) -> None:
        made = self._make(self.row.payload) if inspect.iscoroutinefunction(self._make) else (
            await asyncio.to_thread(self._make, self.row.payload))
        work: Work | Here = made if isinstance(made, (Work, Here)) else await made
        try:
            async with self._blobs.scratch() as path:
                if isinstance(work, Work):
                    await self._child(work, path)
                else:
                    await self._here(work, path)
                if self._finish is not None:
                    await self._finish(self.row, path)
                blob = await self._blobs.adopt(path)
                self.row = await to_the_end(self._table.complete(
                    self.row, blob=blob, message=self.row.message, facts=self.row.facts))
        finally:
            _later(work.files if isinstance(work, Work) else ())

    async def _here(self, work: Here, path: Path) -> None:
        async with aclosing(work.function(self.row, path)) as told:
            async for said in told:
                self._note(said)

    async def _child(self, work: Work, path: Path) -> None:
        number = await opened(lambda: os.open(path, os.O_RDWR | os.O_CLOEXEC))
        limits = replace(work.limits, niceness=max(sandbox.BACKGROUND, work.limits.niceness))
        try:
            async with aclosing(sandbox.stream(work.function, number, *work.arguments, files=[number, *work.files],
                                               limits=limits)) as pieces:
                async for piece in pieces:
                    self._hear(piece)
            if not os.fstat(number).st_size:
                raise SandboxError("it came to nothing")
        finally:
            _later([number])

    def _hear(self, piece: bytes) -> None:
        self._note(heard(piece))

    def _note(self, told: Report) -> None:
        if isinstance(told, Preview):
            self.preview, self.previews = told.jpeg, self.previews + 1
        else:
            self._left = told.left
            self.row = replace(self.row, progress=told.share, message=told.message, facts=self.row.facts | told.facts)
        self.touch()

    async def _beat(self, task: asyncio.Task[Any]) -> None:
        """Says that this process lives and how far it is; ends the work when it is not to go on."""
        while True:
            await asyncio.sleep(self._lease / BEATS)
            row = self.row
            try:
                asked = await self._table.progress(row, row.progress, row.message, row.facts, self._lease)
                why: Literal["", "cancelled", "lost"] = "cancelled" if asked.cancelling else ""
            except Conflict:
                why = "lost"
            except Exception:
                log.exception("job %s can't be written down; another process may take it", row.id)
                continue
            if why:
                self.why = self.why or why
                task.cancel()
                return

    async def _leave(self) -> None:
        if self.why == "lost":
            return await self._reread()
        going = self._table.release if self.why == "closed" else self._table.stop
        try:
            self.row = await to_the_end(going(self.row))
        except Conflict:  # it had just ended by itself, or somebody else has it
            await self._reread()

    async def _reread(self) -> None:
        try:
            self.row = await self._table.get(self.row.id)
        except NotFound:  # forgotten meanwhile
            self.row = replace(self.row, state="cancelled")

    async def _fail(self, error: Exception) -> None:
        told, retry = _told(self.row.id, error)
        try:
            self.row = await to_the_end(self._table.fail(self.row, told.problem(), retry=retry))
        except Conflict:
            await self._reread()


def _told(job_id: str, error: Exception) -> tuple[AimassError, bool]:
    """What people are told, and whether another attempt is worth it."""
    if isinstance(error, SandboxRaised) and error.exception == "OSError" and "[Errno 28]" in error.detail:
        error = NoSpace("there is no room left on the server's disk")
    if isinstance(error, SandboxKilled):
        return error, error.signal == signal.SIGKILL  # which is what comes of too little memory
    if isinstance(error, AimassError):
        return error, isinstance(error, (Unavailable, NoSpace))
    log.error("job %s failed", job_id, exc_info=error)
    return AimassError("something of ours went wrong; the server's log has more"), True


def _later(files: Sequence[int]) -> None:
    """Closed in a thread: the last of a large file takes its time, and nobody waits for it."""
    if files:
        asyncio.get_running_loop().run_in_executor(None, _close, files)


def _close(files: Sequence[int]) -> None:
    for number in files:
        os.close(number)
