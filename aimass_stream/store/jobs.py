"""Jobs that outlive the process: added, leased to workers, and finished exactly once.

A worker leases a job for some seconds and says again and again that it is alive; a lease that runs out is
given to another worker, so a killed one loses nothing but its time. Every lease has a secret token: a worker
that was thought dead and comes back late finds its token refused and changes nothing.

    queued ──lease──> running ──complete──> done
      ^                 │ │ └─────fail────> failed        (no attempts left, or not worth another)
      └─fail, or lease──┘ └────cancel────> cancelled     (told to the worker at its next heartbeat)
        ran out
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, InvalidInput, NotFound, TooLarge
from .database import METADATA, Database

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

PAYLOAD_BYTES = 256 * 1024  # of JSON; larger things are blobs
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


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read. `lease` is None for everybody but the worker that has it."""

    id: str
    kind: str
    state: State
    payload: dict[str, Any]
    result: Any
    error: str | None
    progress: float  # 0 to 1
    message: str
    attempts: int  # begun
    max_attempts: int
    worker: str | None
    cancelling: bool  # the worker is asked to stop
    created: float  # s since the epoch
    due: float  # s since the epoch
    lease: str | None = None


class Jobs:
    """The table of jobs. All methods are safe to call from any number of processes."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, kind: str, payload: dict[str, Any], *, idempotency_key: str | None = None,
                  max_attempts: int = 3, delay: float = 0) -> Job:
        """A new job, on disk when this returns. The same key again answers the job it made the first time.

        Raises `Conflict` when that key was used for something else, `TooLarge` or `InvalidInput` for a payload
        that can't be kept.
        """
        _check_json(payload, "payload")
        now = self._clock()
        async with self._database.begin() as connection:
            if idempotency_key is not None:
                row = (await connection.execute(select(JOBS).where(JOBS.c.idempotency_key == idempotency_key))).first()
                if row is not None:
                    if (row.kind, row.payload) != (kind, payload):
                        raise Conflict("this idempotency key was used for another job", field="idempotency_key")
                    return _job(row)
            row = (await connection.execute(insert(JOBS).values(
                id=f"job_{secrets.token_urlsafe(12)}", kind=kind, state="queued", payload=payload,
                max_attempts=max_attempts, idempotency_key=idempotency_key, created=now, due=now + delay,
            ).returning(JOBS))).one()
            return _job(row)

    async def get(self, job_id: str) -> Job:
        """Raises `NotFound`."""
        async with self._database.read() as connection:
            return _job(await _row(connection, job_id))

    async def find(self, *, kind: str | None = None, state: State | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs first."""
        query = select(JOBS).order_by(JOBS.c.created.desc(), JOBS.c.id).limit(limit)
        if kind is not None:
            query = query.where(JOBS.c.kind == kind)
        if state is not None:
            query = query.where(JOBS.c.state == state)
        async with self._database.read() as connection:
            return [_job(row) for row in (await connection.execute(query)).all()]

    async def cancel(self, job_id: str) -> Job:
        """End a waiting job at once; ask the worker of a running one to stop. Raises `NotFound`, `Conflict`."""
        async with self._database.begin() as connection:
            row = await _row(connection, job_id)
            if row.state == "queued":
                return await _change(connection, job_id, state="cancelled")
            if row.state == "running":
                return await _change(connection, job_id, cancelling=1)
            raise Conflict(f"the job is {row.state}")

    # for workers -----------------------------------------------------------------------------------

    async def lease(self, worker: str, kinds: Sequence[str], seconds: float) -> Job | None:
        """The job that is due for longest, for this worker alone during `seconds`; None when there is none.

        A job whose lease ran out counts as due, unless it has no attempts left (then it is failed) or was
        asked to stop (then it is cancelled).
        """
        now = self._clock()
        async with self._database.begin() as connection:
            await _bury(connection, now)
            # the due of a queued job is its start, that of a running one the end of its lease
            wanted = and_(JOBS.c.kind.in_(kinds), JOBS.c.state.in_(("queued", "running")), JOBS.c.due <= now)
            first = select(JOBS.c.id).where(wanted).order_by(JOBS.c.due, JOBS.c.created).limit(1).scalar_subquery()
            row = (await connection.execute(
                update(JOBS).where(JOBS.c.id == first).values(
                    state="running", worker=worker, lease=secrets.token_urlsafe(16), due=now + seconds,
                    attempts=JOBS.c.attempts + 1).returning(JOBS))).first()
            return None if row is None else _job(row, with_lease=True)

    async def heartbeat(self, job: Job, seconds: float) -> Job:
        """Keep the lease for `seconds` more. `cancelling` in the answer asks to stop. Raises `Conflict` if lost."""
        return await self._held(job, due=self._clock() + seconds)

    async def progress(self, job: Job, share: float, message: str = "") -> Job:
        """Say how far the work is, 0 to 1. Raises `Conflict` if the lease is lost."""
        return await self._held(job, progress=min(1.0, max(0.0, share)), message=message[:500])

    async def complete(self, job: Job, result: Any = None) -> Job:
        """The work is done. Raises `Conflict` if the lease is lost: another worker has it, or had it."""
        _check_json(result, "result")
        return await self._held(job, state="done", result=result, progress=1.0, lease=None)

    async def fail(self, job: Job, error: str, *, retry: bool = True) -> Job:
        """The work failed; it is tried again later while attempts are left. Raises `Conflict` if the lease is lost."""
        if job.attempts < job.max_attempts and retry:
            wait = min(BACKOFF_MOST, BACKOFF * 2 ** (job.attempts - 1))
            state = case((JOBS.c.cancelling == 1, "cancelled"), else_="queued")
            return await self._held(job, state=state, error=error[:2000], lease=None, worker=None,
                                    due=self._clock() + wait)
        return await self._held(job, state="failed", error=error[:2000], lease=None)

    async def stop(self, job: Job) -> Job:
        """The worker stopped, as it was asked to. Raises `Conflict` if the lease is lost."""
        return await self._held(job, state="cancelled", lease=None)

    async def _held(self, job: Job, **values: Any) -> Job:
        if job.lease is None:
            raise Conflict("only the worker that leased the job may change it")
        async with self._database.begin() as connection:
            row = (await connection.execute(update(JOBS).where(
                JOBS.c.id == job.id, JOBS.c.state == "running", JOBS.c.lease == job.lease,
            ).values(**values).returning(JOBS))).first()
            if row is None:
                raise Conflict(f"the lease of {job.id} is lost")
            return _job(row, with_lease=True)


async def _bury(connection: AsyncConnection, now: float) -> None:
    """End the jobs whose worker is gone and that nobody should begin again."""
    gone = and_(JOBS.c.state == "running", JOBS.c.due <= now)
    await connection.execute(update(JOBS).where(gone, JOBS.c.cancelling == 1).values(state="cancelled", lease=None))
    await connection.execute(update(JOBS).where(gone, JOBS.c.attempts >= JOBS.c.max_attempts).values(
        state="failed", lease=None, error="the worker was lost and no attempts are left"))


async def _row(connection: AsyncConnection, job_id: str) -> Row[Any]:
    row = (await connection.execute(select(JOBS).where(JOBS.c.id == job_id))).first()
    if row is None:
        raise NotFound(f"there is no job {job_id[:64]!r}")
    return row


async def _change(connection: AsyncConnection, job_id: str, **values: Any) -> Job:
    return _job((await connection.execute(
        update(JOBS).where(JOBS.c.id == job_id).values(**values).returning(JOBS))).one())


def _job(row: Row[Any], *, with_lease: bool = False) -> Job:
    return Job(
        id=row.id, kind=row.kind, state=cast(State, row.state), payload=row.payload, result=row.result,
        error=row.error, progress=row.progress, message=row.message, attempts=row.attempts,
        max_attempts=row.max_attempts, worker=row.worker, cancelling=bool(row.cancelling), created=row.created,
        due=row.due, lease=row.lease if with_lease else None)


def _check_json(value: Any, field: str) -> None:
    try:
        size = len(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the {field} is not JSON: {error}", field=field) from None
    if size > PAYLOAD_BYTES:
        raise TooLarge(f"the {field} has {size} bytes of JSON; at most {PAYLOAD_BYTES} are kept", field=field)
