"""The jobs of this process: who waits, who runs, what came of them."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

from .. import metrics, sandbox
from ..errors import AimassError, Busy, Conflict, NotFound, SandboxError, Unavailable
from ..settings import Settings
from .report import Preview, heard

log = logging.getLogger(__name__)

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED = frozenset({"done", "failed", "cancelled"})
MOST_KEPT = 256  # jobs that have ended
RETRY = 30  # s after which somebody who was refused may ask again
SURE = 0.02  # share of the work from which on it can be foretold how long the rest takes


@dataclass(frozen=True, slots=True)
class Work:
    """A module's generator function, which runs in a child with its `limits` and yields what `report` makes. It gets
    the number of the open file that it writes its result to, then `arguments`. The open `files` have the same numbers
    in the child; they are closed here when the job has ended."""

    function: Callable[..., Iterator[bytes]]
    arguments: tuple[Any, ...]
    limits: sandbox.Limits
    files: Sequence[int] = ()


@dataclass(slots=True, eq=False)
class Job:
    id: str
    kind: str  # "style-video"...
    owner: str  # the caller's name
    name: str  # of the result's file, for people
    media_type: str  # of the result
    state: State = "queued"
    progress: float = 0.0  # 0 to 1
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # JSON
    preview: bytes = b""  # a JPEG file, empty while there is none
    previews: int = 0  # how many there were
    left: float | None = None  # s, as its child says
    error: AimassError | None = None
    size: int = 0  # bytes of the result
    created: float = field(default_factory=time.time)  # s since the epoch
    expires: float | None = None  # s since the epoch; only what has ended does
    begun: float = 0.0  # s, monotonic
    file: IO[bytes] | None = None  # the result
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set when anything is; then there is another one

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def eta(self) -> float | None:
        """Seconds until it is done, as far as can be foretold."""
        if self.state != "running":
            return None
        if self.left is not None or self.progress < SURE:
            return self.left
        return (time.monotonic() - self.begun) * (1 - self.progress) / self.progress

    def result(self) -> Path:
        """Where it can be read while the job is known. Raises `Conflict` while there is none."""
        if self.state != "done" or self.file is None:
            raise Conflict(f"the job is {self.state}" + (f": {self.error.detail}" if self.error else ""))
        return Path(f"/proc/self/fd/{self.file.fileno()}")  # it has no other name

    def hear(self, piece: bytes) -> None:
        told = heard(piece)
        if isinstance(told, Preview):
            self.preview, self.previews = told.jpeg, self.previews + 1
        else:
            self.progress, self.message, self.left = told.share, told.message, told.left
            self.facts |= told.facts
        self.touch()

    def touch(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Jobs:
    """Used on one event loop; `close` leaves no process, task or file behind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns: dict[str, asyncio.Semaphore] = {}  # by kind: a long one holds up no others
        self._jobs: dict[str, Job] = {}  # the oldest first
        self._tasks: dict[str, asyncio.Task[int]] = {}  # of those that have not ended
        self._timers: dict[str, asyncio.TimerHandle] = {}  # of those that have
        self._closed = False

    def add(self, kind: str, work: Work, *, owner: str, name: str, media_type: str,
            facts: dict[str, Any] | None = None) -> Job:
        """A new job, which is begun as soon as it is its turn. Raises `Busy`, or `Unavailable` while the server stops;
        `work.files` are closed then, too."""
        try:
            self.admit()
        except AimassError:
            _close(*work.files)
            raise
        job = Job(f"job_{secrets.token_urlsafe(12)}", kind, owner, name, media_type, facts=facts or {})
        self._jobs[job.id] = job
        self._tasks[job.id] = task = asyncio.create_task(self._run(job, work), name=f"job {job.id}")
        task.add_done_callback(partial(self._settle, job, work))
        self._count()
        return job

    def admit(self) -> None:
        """Raises what `add` would."""
        if self._closed:
            raise Unavailable("the server is stopping", retry_after=RETRY)
        if len(self._tasks) >= self._settings.max_jobs:
            metrics.JOBS.labels("refused").inc()
            raise Busy(f"{self._settings.max_jobs} jobs run or wait already, which is the limit", retry_after=RETRY)

    def get(self, job_id: str, owner: str) -> Job:
        """Raises `NotFound`, also for somebody else's."""
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFound(f"there is no job {job_id[:64]!r}; results are kept for "
                           f"{self._settings.job_keep_seconds:g} s", field="job_id")
        return job

    def find(self, owner: str) -> list[Job]:
        """The newest first."""
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def waiting(self, job: Job) -> int:
        """How many are to begin before it."""
        if job.state != "queued":
            return 0
        queued = [other.id for other in self._jobs.values() if (other.state, other.kind) == ("queued", job.kind)]
        return queued.index(job.id)

    async def watch(self, job: Job, every: float) -> AsyncIterator[bool]:
        """True each time that something about it is new, now at first; False when nothing was for `every` s. Ends with
        the job."""
        while True:
            changed = job.changed
            yield True
            if job.ended:
                return
            while not changed.is_set():
                try:
                    async with asyncio.timeout(every):
                        await changed.wait()
                except TimeoutError:
                    yield False

    async def end(self, job: Job) -> None:
        """Ends it if it has not ended, and forgets it with its result."""
        task = self._tasks.get(job.id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._forget(job)

    async def close(self) -> None:
        """Ends all. May be called again."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for job in list(self._jobs.values()):
            self._forget(job)

    # one job ---------------------------------------------------------------------------------------

    async def _run(self, job: Job, work: Work) -> int:
        """Bytes of the result."""
        async with self._turns.setdefault(job.kind, asyncio.Semaphore(self._settings.running_jobs)):
            job.state, job.begun = "running", time.monotonic()
            job.touch()
            self._count()
            job.file = await _made(self._settings.data_dir)
            number = job.file.fileno()
            async with aclosing(sandbox.stream(work.function, number, *work.arguments, files=[number, *work.files],
                                               limits=work.limits)) as pieces:
                async for piece in pieces:
                    job.hear(piece)
            size = os.fstat(number).st_size
            if not size:
                raise SandboxError("it came to nothing")
            return size

    def _settle(self, job: Job, work: Work, task: asyncio.Task[int]) -> None:
        """Also for a task that was cancelled before it began."""
        del self._tasks[job.id]
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            job.state = "failed" if self._closed else "cancelled"
            job.error = Unavailable("the server stopped") if self._closed else None
        elif error is not None:
            job.state, job.error = "failed", _told(job, error)
        else:
            job.state, job.progress, job.size = "done", 1.0, task.result()
        log.info("job %s (%s) is %s%s", job.id, job.kind, job.state, f": {job.error.detail}" if job.error else "")
        metrics.JOBS.labels(job.state).inc()
        file = None
        if job.state != "done":
            file, job.file = job.file, None
        _later(partial(_close, *work.files, *([file] if file is not None else [])))
        job.touch()
        self._keep(job)
        self._count()

    def _keep(self, job: Job) -> None:
        keep = self._settings.job_keep_seconds
        job.expires = time.time() + keep
        self._timers[job.id] = asyncio.get_running_loop().call_later(keep, self._drop, job, "expired")
        ended = [other for other in self._jobs.values() if other.ended]
        size = sum(other.size for other in ended)
        while len(ended) > 1 and (size > self._settings.job_keep_bytes or len(ended) > MOST_KEPT):
            oldest = ended.pop(0)
            size -= oldest.size
            self._drop(oldest, "no room")

    def _drop(self, job: Job, why: str) -> None:
        metrics.JOBS_DROPPED.labels(why).inc()
        self._forget(job)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        timer = self._timers.pop(job.id, None)
        if timer is not None:
            timer.cancel()
        file, job.file = job.file, None
        if file is not None:
            _later(file.close)  # the last of a large file takes its time
        self._count()

    def _count(self) -> None:
        states = [job.state for job in self._jobs.values()]
        metrics.JOBS_NOW.labels("queued").set(states.count("queued"))
        metrics.JOBS_NOW.labels("running").set(states.count("running"))
        metrics.JOB_BYTES.set(sum(job.size for job in self._jobs.values()))
        for job in self._jobs.values():
            if job.state == "queued":
                job.touch()  # its place in the queue


def _told(job: Job, error: BaseException) -> AimassError:
    if isinstance(error, AimassError):
        return error
    log.error("job %s failed", job.id, exc_info=error)
    return AimassError("something of ours went wrong; the server's log has more")


async def _made(folder: Path) -> IO[bytes]:
    """A file without a name. Who is cancelled meanwhile leaves none open."""
    making = asyncio.ensure_future(asyncio.to_thread(_nameless, folder))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(lambda made: made.cancelled() or made.exception() or made.result().close())
        raise


def _nameless(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return cast(IO[bytes], tempfile.TemporaryFile(dir=folder))


def _close(*files: int | IO[bytes]) -> None:
    for file in files:
        if isinstance(file, int):
            os.close(file)
        else:
            file.close()


def _later(close: Callable[[], None]) -> None:
    """In a thread, for nobody waits for it."""
    asyncio.get_running_loop().run_in_executor(None, close)
