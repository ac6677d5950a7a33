"""Jobs that outlive the process: added, leased to workers, and finished exactly once.

A worker leases a job for some seconds and says again and again that it is alive; a lease that runs out is
given to another worker, so a killed one loses nothing but its time. Every lease has a secret token: a worker
that was thought dead and comes back late finds its token refused and changes nothing.

    queued ──lease──> running ──complete──> done
      ^                 │ │ └─────fail────> failed        (no attempts left, or not worth another)
      └─fail, or lease──┘ └────cancel────> cancelled     (told to the worker at its next heartbeat)
        ran out

What has ended is forgotten after a while, and with it the blobs that no other job names. A blob is named and removed
by writers, of which there is one at a time; so none is removed that somebody is about to name.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    UniqueConstraint,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Busy, Conflict, InvalidInput, NotFound, TooLarge, Unavailable
from .blobs import Blob, Blobs
from .database import METADATA, Database

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

ACTIVE, OVER = ("queued", "running"), ("done", "failed", "cancelled")
RETRY = 30  # s after which somebody who was refused may ask again
LOST = Unavailable("the worker was lost and no attempts are left").problem()
FOLLOWING = ("import", "fetch")  # kinds of jobs that are bounded where they come from, and take no place
PAYLOAD_BYTES = 512 * 1024  # of JSON; larger things are blobs
BACKOFF = 2.0  # s before the second attempt; doubled before each further one
BACKOFF_MOST = 300.0  # s

JOBS = Table(
    "jobs", METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("owner", String, nullable=False, default=""),
    Column("state", String, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("name", String, nullable=False, default=""),  # of the result's file, for people
    Column("media_type", String, nullable=False, default=""),  # of the result
    Column("facts", JSON, nullable=False, default=dict),  # what is known of the result
    Column("result", JSON),
    Column("blob", String),  # the result's file
    Column("size", BigInteger, nullable=False, default=0),  # bytes of it
    Column("error", JSON),
    Column("progress", Float, nullable=False, default=0.0),
    Column("message", String, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("max_attempts", Integer, nullable=False),
    Column("idempotency_key", String),
    Column("webhook", String),  # who is told how it ended
    Column("told", Integer, nullable=False, default=0),
    Column("worker", String),
    Column("lease", String),
    Column("cancelling", Integer, nullable=False, default=0),
    Column("created", Float, nullable=False),  # s since the epoch, as all times here: workers may be other processes
    Column("begun", Float),  # of the last attempt
    Column("ended", Float),
    Column("expires", Float),  # only what has ended does
    Column("due", Float, nullable=False),  # not leased before; while leased, the end of the lease
    UniqueConstraint("owner", "idempotency_key", name="jobs_by_key"),
    Index("jobs_by_state", "state", "due"),
    Index("jobs_by_owner", "owner", "created"),
)
JOB_BLOBS = Table(  # what it was given and what it made: kept as long as somebody names it
    "job_blobs", METADATA,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String, primary_key=True),
    Index("job_blobs_by_content", "sha256"),
)

_earlier = JOBS.alias()
WAITING = select(func.count()).select_from(_earlier).where(
    _earlier.c.kind == JOBS.c.kind, _earlier.c.state == "queued",
    or_(_earlier.c.due < JOBS.c.due, and_(_earlier.c.due == JOBS.c.due, _earlier.c.created < JOBS.c.created)),
).correlate(JOBS).scalar_subquery().label("waiting")


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read. `lease` is None for everybody but the worker that has it."""

    id: str
    kind: str
    owner: str
    state: State
    payload: dict[str, Any]
    name: str  # of the result's file, for people
    media_type: str  # of the result
    facts: dict[str, Any]  # what is known of the result
    result: Any
    blob: str | None  # SHA-256 of the result's file
    size: int  # bytes of it
    error: Any  # a problem object
    progress: float  # 0 to 1
    message: str
    attempts: int  # begun
    max_attempts: int
    webhook: str | None
    worker: str | None
    cancelling: bool  # the worker is asked to stop
    created: float  # s since the epoch, as all that follow
    begun: float | None
    ended: float | None
    expires: float | None
    due: float
    waiting: int = 0  # how many of its kind are to begin before it
    lease: str | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done. The same `key` of the same owner is the same wish."""

    kind: str
    payload: dict[str, Any]  # JSON
    owner: str = ""
    name: str = ""
    media_type: str = "application/octet-stream"
    facts: dict[str, Any] = field(default_factory=dict)  # JSON
    blobs: Sequence[str] = ()  # that the work needs: kept as long as the job is
    key: str | None = None
    webhook: str | None = None
    max_attempts: int = 3
    delay: float = 0  # s


class Jobs:
    """The table of jobs. All methods are safe to call from any number of processes."""

    def __init__(self, database: Database, blobs: Blobs | None = None, *, keep: float = 3600.0,
                 clock: Callable[[], float] = time.time) -> None:
        """What has ended is kept for `keep` s."""
        self._database = database
        self._blobs = blobs
        self._keep = keep
        self._clock = clock

    async def add(self, wish: Wish, *, most: int | None = None) -> Job:
        """A new job, on disk when this returns; the same wish again is the job it made the first time.

        Raises `Conflict` when its key was used for something else, `TooLarge` or `InvalidInput` for what can't be
        kept, `Busy` where `most` jobs have not ended.
        """
        _check_json(wish.payload, "payload")
        _check_json(wish.facts, "facts")
        now = self._clock()
        async with self._database.begin() as connection:
            known = await _known(connection, wish)
            if known is not None:
                return known
            if most is not None and wish.kind not in FOLLOWING:
                await _admit(connection, most)
            job_id = f"job_{secrets.token_urlsafe(12)}"
            await connection.execute(insert(JOBS).values(
                id=job_id, kind=wish.kind, owner=wish.owner, state="queued", payload=wish.payload, name=wish.name,
                media_type=wish.media_type, facts=wish.facts, max_attempts=wish.max_attempts,
                idempotency_key=wish.key, webhook=wish.webhook, created=now, due=now + wish.delay))
            await self._refer(connection, job_id, wish.blobs)
            return _job(await _row(connection, job_id))

    async def keep(self, wish: Wish, blob: Blob) -> Job:
        """Something that is done already, with its result: kept for a while as what other jobs make is. Raises as
        `add`."""
        _check_json(wish.facts, "facts")
        now = self._clock()
        async with self._database.begin() as connection:
            job_id = f"job_{secrets.token_urlsafe(12)}"
            await connection.execute(insert(JOBS).values(
                id=job_id, kind=wish.kind, owner=wish.owner, state="done", payload=wish.payload, name=wish.name,
                media_type=wish.media_type, facts=wish.facts, max_attempts=wish.max_attempts, progress=1.0,
                blob=blob.sha256, size=blob.size, created=now, due=now, **self._end()))
            await self._refer(connection, job_id, [blob.sha256])
            return _job(await _row(connection, job_id))

    async def admit(self, most: int, owner: str = "", key: str | None = None) -> None:
        """Raises `Busy` where `add` would, whatever the wish is: nothing is added for a key that is known."""
        known = select(JOBS.c.id).where(JOBS.c.owner == owner, JOBS.c.idempotency_key == key)
        async with self._database.read() as connection:
            if key is None or (await connection.execute(known)).first() is None:
                await _admit(connection, most)

    async def known(self, wish: Wish) -> Job | None:
        """The job that this wish made before. Raises `Conflict` as `add`."""
        async with self._database.read() as connection:
            return await _known(connection, wish)

    async def get(self, job_id: str) -> Job:
        """Raises `NotFound`."""
        async with self._database.read() as connection:
            return _job(await _row(connection, job_id))

    async def find(self, *, owners: Collection[str] | None = None, kind: str | None = None, state: State | None = None,
                   after: tuple[Any, ...] | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs first; those that come after one with that `created` and `id`."""
        query = select(JOBS, WAITING).order_by(JOBS.c.created.desc(), JOBS.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(tuple_(JOBS.c.created, JOBS.c.id) < after)
        for column, value in ((JOBS.c.kind, kind), (JOBS.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        if owners is not None:
            query = query.where(JOBS.c.owner.in_(owners))
        async with self._database.read() as connection:
            return [_job(row) for row in (await connection.execute(query)).all()]

    async def counts(self) -> tuple[Counter[str], int]:
        """How many there are of each state, and the bytes of their results."""
        query = select(JOBS.c.state, func.count(), func.sum(JOBS.c.size)).group_by(JOBS.c.state)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return Counter({state: count for state, count, _ in rows}), sum(int(size) for _, _, size in rows)

    async def cancel(self, job_id: str) -> Job:
        """End a waiting job at once; ask the worker of a running one to stop. Raises `NotFound`, `Conflict`."""
        async with self._database.begin() as connection:
            row = await _row(connection, job_id)
            if row.state == "queued":
                return await _change(connection, job_id, state="cancelled", **self._end())
            if row.state == "running":
                return await _change(connection, job_id, cancelling=1)
            raise Conflict(f"the job is {row.state}")

    # for workers -----------------------------------------------------------------------------------

    async def next(self, kinds: Sequence[str], but: Collection[str] = ()) -> float | None:
        """In how many seconds there is something to do with jobs of these kinds, `but` those with these ids, or
        something to forget. None: nothing is known."""
        due = select(func.min(JOBS.c.due)).where(JOBS.c.kind.in_(kinds), JOBS.c.state.in_(ACTIVE),
                                                 JOBS.c.id.not_in(but))
        expires = select(func.min(JOBS.c.expires))
        async with self._database.read() as connection:
            times = [(await connection.execute(query)).scalar_one() for query in (due, expires)]
        return min((moment - self._clock() for moment in times if moment is not None), default=None)

    async def lease(self, worker: str, kinds: Sequence[str], seconds: float, but: Collection[str] = ()) -> Job | None:
        """The job that is due for longest, for this worker alone during `seconds`; None when there is none.

        A job whose lease ran out counts as due, unless it has no attempts left (then it is failed) or was
        asked to stop (then it is cancelled). `but`: ids of those that this process works at, whatever the clock says.
        """
        now = self._clock()
        async with self._database.begin() as connection:
            await self._bury(connection, now, but)
            # the due of a queued job is its start, that of a running one the end of its lease
            wanted = and_(JOBS.c.kind.in_(kinds), JOBS.c.state.in_(ACTIVE), JOBS.c.due <= now,
                          JOBS.c.id.not_in(but))
            first = select(JOBS.c.id).where(wanted).order_by(JOBS.c.due, JOBS.c.created).limit(1).scalar_subquery()
            row = (await connection.execute(
                update(JOBS).where(JOBS.c.id == first).values(
                    state="running", worker=worker, lease=secrets.token_urlsafe(16), due=now + seconds, begun=now,
                    progress=0.0, message="", attempts=JOBS.c.attempts + 1).returning(JOBS))).first()
            return None if row is None else _job(row, with_lease=True)

    async def free(self, worker: str) -> None:
        """Give back what a worker had leased that is known to be gone: another one need not wait."""
        async with self._database.begin() as connection:
            await connection.execute(update(JOBS).where(JOBS.c.worker == worker, JOBS.c.state == "running")
                                     .values(due=self._clock()))

    async def heartbeat(self, job: Job, seconds: float) -> Job:
        """Keep the lease for `seconds` more. `cancelling` in the answer asks to stop. Raises `Conflict` if lost."""
        return await self._held(job, due=self._clock() + seconds)

    async def progress(self, job: Job, share: float, message: str = "", facts: dict[str, Any] | None = None,
                       seconds: float = 0) -> Job:
        """Say how far the work is, 0 to 1, and keep the lease for so many seconds more. Raises as `heartbeat`."""
        values: dict[str, Any] = {"progress": min(1.0, max(0.0, share)), "message": _plain(message)}
        if facts is not None:
            values["facts"] = facts
        if seconds:
            values["due"] = self._clock() + seconds
        return await self._held(job, **values)

    async def complete(self, job: Job, result: Any = None, *, blob: Blob | None = None, message: str = "",
                       facts: dict[str, Any] | None = None) -> Job:
        """The work is done. Raises `Conflict` if the lease is lost: another worker has it, or had it."""
        _check_json(result, "result")
        values: dict[str, Any] = {"state": "done", "result": result, "progress": 1.0, "lease": None} | self._end()
        if message:
            values["message"] = _plain(message)
        if facts is not None:
            values["facts"] = facts
        if blob is not None:
            values |= {"blob": blob.sha256, "size": blob.size}
        async with self._database.begin() as connection:
            done = await _hold(connection, job, values)
            if blob is not None:
                await self._refer(connection, job.id, [blob.sha256])
            return done

    async def fail(self, job: Job, error: Any, *, retry: bool = True) -> Job:
        """The work failed; it is tried again later while attempts are left. Raises `Conflict` if the lease is lost."""
        if job.attempts < job.max_attempts and retry:
            wait = min(BACKOFF_MOST, BACKOFF * 2 ** (job.attempts - 1))
            stopped, end = JOBS.c.cancelling == 1, self._end()
            return await self._held(
                job, state=case((stopped, "cancelled"), else_="queued"), error=error, lease=None, worker=None,
                due=self._clock() + wait, **{name: case((stopped, value), else_=None) for name, value in end.items()})
        return await self._held(job, state="failed", error=error, lease=None, **self._end())

    async def stop(self, job: Job) -> Job:
        """The worker stopped, as it was asked to. Raises `Conflict` if the lease is lost."""
        return await self._held(job, state="cancelled", lease=None, **self._end())

    async def release(self, job: Job) -> Job:
        """The worker has to go: the job waits again, as if it had not been begun. Raises `Conflict` as the others."""
        return await self._held(job, state="queued", lease=None, worker=None, attempts=job.attempts - 1,
                                due=self._clock())

    async def _held(self, job: Job, **values: Any) -> Job:
        async with self._database.begin() as connection:
            return await _hold(connection, job, values)

    def _end(self) -> dict[str, float]:
        now = self._clock()
        return {"ended": now, "expires": now + self._keep}

    async def _bury(self, connection: AsyncConnection, now: float, but: Collection[str]) -> None:
        """End the jobs whose worker is gone and that nobody should begin again."""
        gone, end = and_(JOBS.c.state == "running", JOBS.c.due <= now, JOBS.c.id.not_in(but)), self._end()
        await connection.execute(update(JOBS).where(gone, JOBS.c.cancelling == 1)
                                 .values(state="cancelled", lease=None, **end))
        await connection.execute(update(JOBS).where(gone, JOBS.c.attempts >= JOBS.c.max_attempts)
                                 .values(state="failed", lease=None, error=LOST, **end))

    # what is kept, and for how long ----------------------------------------------------------------

    async def untold(self) -> list[Job]:
        """Those that have ended and whose webhook does not know it yet."""
        query = select(JOBS).where(JOBS.c.state.in_(OVER), JOBS.c.webhook.is_not(None), JOBS.c.told == 0)
        async with self._database.read() as connection:
            return [_job(row) for row in (await connection.execute(query)).all()]

    async def tell(self, job_id: str) -> None:
        """The webhook was told, or can't be."""
        async with self._database.begin() as connection:
            await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(told=1))

    async def delete(self, job_ids: Sequence[str]) -> None:
        """Forget these, with the blobs that no other job names."""
        async with self._database.begin() as connection:
            await self._forget(connection, job_ids)

    async def expire(self, most_bytes: int, most: int) -> tuple[int, int]:
        """Forget what has expired, then the oldest of what has ended until no more is left than that, the newest
        excepted. Answers how many of each there were."""
        over = select(JOBS.c.id, JOBS.c.size).where(JOBS.c.state.in_(OVER)).order_by(JOBS.c.ended.desc())
        async with self._database.begin() as connection:
            late = list((await connection.execute(select(JOBS.c.id).where(JOBS.c.expires <= self._clock()))).scalars())
            await self._forget(connection, late)
            size, crowd = 0, []
            for number, row in enumerate((await connection.execute(over)).all()):
                size += row.size
                if number and (size > most_bytes or number >= most):
                    crowd.append(row.id)
            await self._forget(connection, crowd)
        return len(late), len(crowd)

    async def sweep(self) -> None:
        """Remove blobs that no job names: a process was killed before it could say what they are for."""
        if self._blobs is not None:
            async with self._database.begin() as connection:  # no other process names one meanwhile
                named = (await connection.execute(select(JOB_BLOBS.c.sha256))).scalars()
                await self._blobs.sweep(named)

    async def _refer(self, connection: AsyncConnection, job_id: str, contents: Sequence[str]) -> None:
        """Name blobs; only a writer removes any, so what is there now stays. Raises `NotFound`."""
        for sha256 in dict.fromkeys(contents):
            if self._blobs is not None:
                await self._blobs.check(sha256)
            known = select(JOB_BLOBS).where(JOB_BLOBS.c.job == job_id, JOB_BLOBS.c.sha256 == sha256)
            if (await connection.execute(known)).first() is None:
                await connection.execute(insert(JOB_BLOBS).values(job=job_id, sha256=sha256))

    async def _forget(self, connection: AsyncConnection, job_ids: Sequence[str]) -> None:
        if not job_ids:
            return
        theirs = select(JOB_BLOBS.c.sha256).where(JOB_BLOBS.c.job.in_(job_ids))
        contents = set((await connection.execute(theirs)).scalars())
        await connection.execute(delete(JOBS).where(JOBS.c.id.in_(job_ids)))
        if self._blobs is not None and contents:
            named = select(JOB_BLOBS.c.sha256).where(JOB_BLOBS.c.sha256.in_(contents))
            for sha256 in contents - set((await connection.execute(named)).scalars()):
                with suppress(NotFound):  # a process was killed after it removed the file, and before it said so
                    await self._blobs.delete(sha256)


async def _known(connection: AsyncConnection, wish: Wish) -> Job | None:
    if wish.key is None:
        return None
    row = (await connection.execute(select(JOBS, WAITING).where(
        JOBS.c.owner == wish.owner, JOBS.c.idempotency_key == wish.key))).first()
    if row is None:
        return None
    if (row.kind, row.payload) != (wish.kind, wish.payload):
        raise Conflict("this idempotency key was used for another job", field="idempotency_key")
    return _job(row)


async def _admit(connection: AsyncConnection, most: int) -> None:
    active = select(func.count()).select_from(JOBS).where(
        JOBS.c.state.in_(ACTIVE), JOBS.c.kind.not_in(FOLLOWING))
    if (await connection.execute(active)).scalar_one() >= most:
        raise Busy(f"{most} jobs run or wait already, which is the limit", retry_after=RETRY)


async def _hold(connection: AsyncConnection, job: Job, values: dict[str, Any]) -> Job:
    if job.lease is None:
        raise Conflict("only the worker that leased the job may change it")
    row = (await connection.execute(update(JOBS).where(
        JOBS.c.id == job.id, JOBS.c.state == "running", JOBS.c.lease == job.lease,
    ).values(**values).returning(JOBS))).first()
    if row is None:
        raise Conflict(f"the lease of {job.id} is lost")
    return _job(row, with_lease=True)


async def _row(connection: AsyncConnection, job_id: str) -> Row[Any]:
    row = (await connection.execute(select(JOBS, WAITING).where(JOBS.c.id == job_id))).first()
    if row is None:
        raise NotFound(f"there is no job {job_id[:64]!r}", field="job_id")
    return row


async def _change(connection: AsyncConnection, job_id: str, **values: Any) -> Job:
    return _job((await connection.execute(
        update(JOBS).where(JOBS.c.id == job_id).values(**values).returning(JOBS))).one())


def _job(row: Row[Any], *, with_lease: bool = False) -> Job:
    return Job(
        id=row.id, kind=row.kind, owner=row.owner, state=cast(State, row.state), payload=row.payload, name=row.name,
        media_type=row.media_type, facts=row.facts, result=row.result, blob=row.blob, size=row.size, error=row.error,
        progress=row.progress, message=row.message, attempts=row.attempts, max_attempts=row.max_attempts,
        webhook=row.webhook, worker=row.worker, cancelling=bool(row.cancelling), created=row.created,
        begun=row.begun, ended=row.ended, expires=row.expires, due=row.due,
        waiting=row.waiting if row.state == "queued" and hasattr(row, "waiting") else 0,
        lease=row.lease if with_lease else None)


def _plain(message: str) -> str:
    """What every database can keep."""
    return message[:500].replace("\0", "").encode("utf-8", "replace").decode()


def _check_json(value: Any, field: str) -> None:
    try:
        size = len(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the {field} is not JSON: {error}", field=field) from None
    if size > PAYLOAD_BYTES:
        raise TooLarge(f"the {field} has {size} bytes of JSON; at most {PAYLOAD_BYTES} are kept", field=field)
