"""The jobs of this process and of all that share its database: who waits, who runs, what came of them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psutil

from .. import metrics
from ..errors import AimassError, Busy, Conflict, NotFound, Unavailable
from ..settings import Settings
from .run import Finish, Make, Run

if TYPE_CHECKING:  # they bring SQLAlchemy, which takes most of a second to import
    from ..store.blobs import Blob, Blobs
    from ..store.jobs import Job as Row
    from ..store.jobs import Jobs as Table
    from ..store.jobs import State, Wish

log = logging.getLogger(__name__)

MOST_KEPT = 256  # jobs that have ended
MOST_SHOWN = 64  # of them whose last preview is kept
LEASE = 15.0  # s; after that long without a word, a job's process counts as lost
LOOK = 2.0  # s between looks for work of other processes
NEWS = 1.0  # s between looks at how a job of another process is doing
RETRY = 30  # s after which somebody who was refused may ask again

Dropped: TypeAlias = Callable[["Row"], Awaitable[None]]  # somebody ended it before its end
Tell: TypeAlias = Callable[["Job", Callable[[], None]], None]  # the webhook, and call that when it was told


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now."""

    row: Row
    eta: float | None = None  # s until it is done, as far as can be foretold
    preview: bytes = b""  # a JPEG file, empty while there is none
    previews: int = 0  # how many there were

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def state(self) -> State:
        return self.row.state

    @property
    def over(self) -> bool:
        return self.row.over


@dataclass(frozen=True, slots=True)
class _Kind:
    make: Make
    finish: Finish | None
    dropped: Dropped | None
    at_once: int | None


class Jobs:
    """Used on one event loop, between `start` and `close`, which leaves no process, task or file behind."""

    def __init__(self, settings: Settings, table: Table, blobs: Blobs, tell: Tell | None = None) -> None:
        """`tell` is given each job that has ended and has a webhook."""
        self.blobs = blobs  # what jobs are given and what they make
        self._settings, self._table, self._tell = settings, table, tell
        self._kinds: dict[str, _Kind] = {}
        self._runs: dict[str, Run] = {}  # of this process, by job
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._shown: OrderedDict[str, tuple[bytes, int]] = OrderedDict()  # the last previews of what has ended
        self._worker = f"{_home()}:{os.getpid()}:{psutil.Process().create_time():.2f}"
        self._moved = asyncio.Event()  # set when any job begins, ends or is added; then there is another one
        self._leader: asyncio.Task[None] | None = None
        self._closed = False  # no more is begun
        self._stopped = False  # nothing runs here any more

    def register(self, kind: str, make: Make, *, finish: Finish | None = None, dropped: Dropped | None = None,
                 at_once: int | None = None) -> None:
        """What a job of this kind is, made from its payload in a thread each time that it is begun.

        `finish` is given the job and its result's file before the job counts as done: both happen once more where
        this process is killed between them. `dropped` is given one that somebody has ended. `at_once` of them run here,
        where that is not for the setting to say.
        """
        self._kinds[kind] = _Kind(make, finish, dropped, at_once)
        self._move()

    async def start(self) -> None:
        """Begin with what waits. What a process of this machine had begun that is gone by now, waits as well."""
        for row in await self._table.find(state="running", limit=1000):
            if row.worker is not None and _gone(row.worker):
                await self._table.free(row.worker)
        await self._table.sweep()
        for row in await self._table.untold():
            self._told(Job(row))
        await self._count()
        self._leader = asyncio.create_task(self._lead(), name="jobs")

    async def begin(self, kind: str, payload: dict[str, Any], *, owner: str, name: str = "result",
                    media_type: str = "application/octet-stream", facts: dict[str, Any] | None = None,
                    blobs: Sequence[str] = (), idempotency_key: str | None = None, webhook: str | None = None) -> Job:
        """A new job, on disk when this returns, begun as soon as it is its turn. `payload` and `facts` are JSON, larger
        things are `blobs`, whose names are in the payload. The same key from the same owner again is the same job.

        Raises `Busy`; `Unavailable` while the server stops; `Conflict` for a key that was used for something else;
        `NotFound` for a blob that is not there.
        """
        if self._closed:
            raise Unavailable("the server is stopping", retry_after=RETRY)
        if kind not in self._kinds:
            raise NotFound(f"there are no jobs of kind {kind[:64]!r}", field="kind")
        wish = self.wish(kind, payload, owner=owner, name=name, media_type=media_type, facts=facts or {}, blobs=blobs,
                         key=idempotency_key, webhook=webhook)
        try:
            row = await self._table.add(wish, most=self._settings.max_jobs)
        except Busy:
            metrics.JOBS.labels("refused").inc()
            raise
        self._move()
        await self._count()
        return self._seen(row)

    async def keep(self, kind: str, blob: Blob, *, owner: str, name: str, media_type: str,
                   facts: dict[str, Any]) -> Job:
        """Something that came as it is: shown and kept as a job that is done. Raises `TooLarge` or `InvalidInput`."""
        row = await self._table.keep(self.wish(kind, {}, owner=owner, name=name, media_type=media_type, facts=facts),
                                     blob)
        await self._forget()
        return self._seen(row)

    @staticmethod
    def wish(kind: str, payload: dict[str, Any], **more: Any) -> Wish:
        from ..store.jobs import Wish

        return Wish(kind, payload, **more)

    async def known(self, kind: str, payload: dict[str, Any], *, owner: str, idempotency_key: str | None) -> Job | None:
        """What `begin` made of the same before. Raises `Conflict` as it does."""
        row = await self._table.known(self.wish(kind, payload, owner=owner, key=idempotency_key))
        return None if row is None else self._seen(row)

    async def admit(self, owner: str, idempotency_key: str | None = None) -> None:
        """Raises what `begin` would, as far as that is known by now."""
        if self._closed:
            raise Unavailable("the server is stopping", retry_after=RETRY)
        try:
            await self._table.admit(self._settings.max_jobs, owner, idempotency_key)
        except Busy:
            metrics.JOBS.labels("refused").inc()
            raise

    async def get(self, job_id: str, allowed: Callable[[str], bool]) -> Job:
        """Raises `NotFound`, also for one whose owner is not `allowed`."""
        try:
            row = await self._table.get(job_id)
        except NotFound:
            row = None
        if row is None or not allowed(row.owner):
            raise NotFound(f"there is no job {job_id[:64]!r}; results are kept for "
                           f"{self._settings.job_keep_seconds:g} s", field="job_id")
        return self._seen(row)

    async def find(self, owners: Collection[str] | None = None, *, kind: str | None = None, state: State | None = None,
                   after: tuple[Any, ...] | None = None, limit: int = MOST_KEPT) -> list[Job]:
        """The newest first; None: everybody's. `after` is the time and id of the last one of the page before."""
        rows = await self._table.find(owners=owners, kind=kind, state=state, after=after, limit=limit)
        return [self._seen(row) for row in rows]

    @staticmethod
    def result(job: Job) -> str:
        """The blob of what came of it. Raises `Conflict` while there is nothing."""
        if job.state != "done" or job.row.blob is None:
            raise Conflict(f"the job is {job.state}" + (f": {job.row.error['detail']}" if job.row.error else ""))
        return job.row.blob

    async def watch(self, job: Job, every: float) -> AsyncIterator[Job | None]:
        """The job each time that something about it is new, now at first; None when nothing was for `every` s. Ends
        with the job, or when this server stops."""
        said, silent = None, time.monotonic()
        while True:
            run = self._runs.get(job.id)
            changed = run.changed if run is not None else self._moved
            try:
                job = self._seen(await self._table.get(job.id)) if run is None else self._seen(job.row)
            except NotFound:  # forgotten meanwhile
                job = job if job.over else replace(job, row=replace(job.row, state="cancelled"))
            now = time.monotonic()
            if said is None or replace(job, eta=None) != said:
                said, silent = replace(job, eta=None), now
                yield job
            elif now - silent >= every:
                silent = now
                yield None
            if job.over or self._stopped:
                return
            try:
                async with asyncio.timeout(min(every - (now - silent), every if run is not None else NEWS)):
                    await changed.wait()
            except TimeoutError:
                continue

    async def cancel(self, job: Job) -> Job:
        """Ends it and keeps it for a while as one that was. Raises `Conflict` if it has ended."""
        run = self._runs.get(job.id)
        if run is None:
            await self._table.cancel(job.id)
            self._move()
            run = self._runs.get(job.id)  # it may have begun meanwhile
        if run is not None:
            await self._stop(run)
        else:
            await self._drop(await self._table.get(job.id))
        await self._count()
        return self._seen(await self._table.get(job.id))

    async def _drop(self, row: Row) -> None:
        kind = self._kinds.get(row.kind)
        if row.state == "cancelled" and kind is not None and kind.dropped is not None:
            await kind.dropped(row)

    async def end(self, job: Job) -> None:
        """Ends it if it has not ended, and forgets it with its result."""
        run = self._runs.get(job.id)
        if run is not None:
            await self._stop(run)
        elif not job.over:
            await self._drop(replace(job.row, state="cancelled"))
        await self._table.delete([job.id])
        self._move()
        await self._count()

    async def close(self) -> None:
        """What runs here waits again, for this server's next start or for another one. May be called again."""
        self._closed = True
        self._move()
        if self._leader is not None:
            await asyncio.wait([self._leader])
        for run in list(self._runs.values()):
            run.why = "closed"
            await run.begun.wait()
            if task := self._tasks.get(run.row.id):
                task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        self._stopped = True
        self._move()

    async def _stop(self, run: Run) -> None:
        run.why = "cancelled"
        await run.begun.wait()  # a task that is cancelled before would write nothing down
        task = self._tasks.get(run.row.id)
        if task is None:  # it has just ended
            return
        task.cancel()
        await asyncio.wait([task])

    # the work --------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Begins what is due, and forgets what has expired."""
        while not self._closed:
            moved = self._moved
            wait = LOOK
            try:
                wait = await self._look()
            except AimassError as error:
                log.warning("jobs wait: %s", error.detail)
            except Exception:
                log.exception("jobs wait, for the database does not answer")
            if wait <= 0:
                continue
            try:
                async with asyncio.timeout(wait):
                    await moved.wait()
            except TimeoutError:
                continue

    async def _look(self) -> float:
        """Seconds until the next look is worth it; 0: at once."""
        busy = [run.row.kind for run in self._runs.values()]
        usual = self._settings.running_jobs
        kinds = [name for name, kind in self._kinds.items() if busy.count(name) < (kind.at_once or usual)]
        wait = await self._table.next(kinds, list(self._runs))
        if wait is None or wait > 0:
            return LOOK if wait is None else min(LOOK, wait)
        row = await self._table.lease(self._worker, kinds, LEASE, list(self._runs))
        if row is None:
            await self._forget()
            return 0.01  # somebody else may have been quicker
        await self._begin(row)
        return 0

    async def _begin(self, row: Row) -> None:
        kind = self._kinds[row.kind]
        run = self._runs[row.id] = Run(row, kind.make, kind.finish, self._table, self.blobs, LEASE)
        self._tasks[row.id] = task = asyncio.create_task(self._one(run), name=f"job {row.id}")
        task.add_done_callback(lambda _: self._tasks.pop(row.id) if self._tasks.get(row.id) is task else None)
        self._move()
        await self._count()

    async def _one(self, run: Run) -> None:
        run.begun.set()
        try:
            await run.run()
        except Exception:
            log.exception("what came of job %s can't be written down: it is begun again once its lease is over",
                          run.row.id)
        finally:
            del self._runs[run.row.id]
            if run.previews:
                self._shown[run.row.id] = run.preview, run.previews
                while len(self._shown) > MOST_SHOWN:
                    self._shown.popitem(last=False)
        try:
            if not self._closed:
                await self._after(run.row)
        finally:
            run.touch()
            self._move()

    async def _after(self, row: Row) -> None:
        if row.over:
            detail = f": {row.error['detail']}" if row.error else ""
            log.info("job %s (%s) is %s%s", row.id, row.kind, row.state, detail)
            metrics.JOBS.labels(row.state).inc()
            await self._drop(row)
            self._told(self._seen(row))
        await self._forget()

    def _told(self, job: Job) -> None:
        if self._tell is not None and job.row.webhook is not None:
            self._tell(job, lambda: self._write_down(job.id))

    def _write_down(self, job_id: str) -> None:
        task = asyncio.create_task(self._table.tell(job_id), name=f"job {job_id} was told")
        self._tasks[task.get_name()] = task
        task.add_done_callback(lambda _: self._tasks.pop(task.get_name()))

    async def _forget(self) -> None:
        late, crowd = await self._table.expire(self._settings.job_keep_bytes, MOST_KEPT)
        metrics.JOBS_DROPPED.labels("expired").inc(late)
        metrics.JOBS_DROPPED.labels("no room").inc(crowd)
        await self._count()

    async def _count(self) -> None:
        states, size = await self._table.counts()
        metrics.JOBS_NOW.labels("queued").set(states["queued"])
        metrics.JOBS_NOW.labels("running").set(states["running"])
        metrics.JOB_BYTES.set(size)

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _seen(self, row: Row) -> Job:
        run = self._runs.get(row.id)
        if run is not None and not row.over:
            return Job(run.row, run.eta, run.preview, run.previews)
        preview, previews = self._shown.get(row.id, (b"", 0))
        return Job(row, None, preview, previews)


def _home() -> str:
    """Where process numbers mean the same."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}:{os.readlink(space) if space.exists() else ''}"


def _gone(worker: str) -> bool:
    """Whether this process of this machine is known to be no more."""
    home, _, process = worker.rpartition(":")
    home, _, number = home.rpartition(":")
    if home != _home() or not number.isdigit():
        return False
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" != process
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
