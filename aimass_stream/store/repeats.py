"""Answers that are kept for a day, so that a request which comes again with its idempotency key is done once.

    none ──claim──> being done ──settle──> answered          (until it expires)
      ^                 │ └── nobody settled it in time ──> nobody knows: refused
      └────release──────┘  (it came to nothing)

A process that is killed between a claim and its answer leaves a claim that nobody will settle. Whether the work was
done is not known then; it is never done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy import update as change

from ..errors import Busy, Conflict, InvalidInput
from .database import METADATA, Database

KEPT = 24 * 3600.0  # s
SECONDS = 120.0  # that a request may take; then nobody is waited for
MOST = 2000  # keys of one caller
MOST_BODY = 256 * 1024  # bytes of an answer that is kept
FIELD = "Idempotency-Key"

REPEATS = Table(
    "repeats", METADATA,
    Column("who", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),  # of the request
    Column("owner", String, nullable=False),  # a user's id, for who wants to have or erase what is theirs
    Column("status", Integer),  # NULL: it is being done
    Column("headers", JSON),
    Column("body", LargeBinary),  # NULL: it is not kept
    Column("begun", Float, nullable=False),  # s since the epoch
    Column("expires", Float, nullable=False),
    Index("repeats_by_expiry", "expires"),
    Index("repeats_by_owner", "owner"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes | None  # None: it had a secret, or was too long to be kept


class Repeats:
    """All methods are safe to call from any number of processes. Implements `ports.Personal`."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def claim(self, who: str, key: str, fingerprint: str, owner: str = "") -> Answer | None:
        """The answer that this request had; None: it is the caller's to do it now, and then to `settle` or `release`.

        Raises `InvalidInput` for a key of another request, `Conflict` while the same one is being done (with
        `retry_after`) or where nobody knows what came of it, `Busy` for who has too many keys.
        """
        now = self._clock()
        async with self._database.begin() as connection:
            await connection.execute(delete(REPEATS).where(REPEATS.c.expires <= now))
            row = (await connection.execute(select(REPEATS).where(
                REPEATS.c.who == who, REPEATS.c.key == key))).first()
            if row is not None:
                return _known(row, fingerprint, now)
            count = await connection.scalar(select(func.count()).select_from(REPEATS).where(REPEATS.c.who == who))
            if (count or 0) >= MOST:
                raise Busy(f"{MOST} idempotency keys of yours are kept already, each for a day", retry_after=600)
            await connection.execute(insert(REPEATS).values(
                who=who, key=key, fingerprint=fingerprint, owner=owner, begun=now, expires=now + KEPT))
        return None

    async def settle(self, who: str, key: str, answer: Answer) -> None:
        body = answer.body if answer.body is None or len(answer.body) <= MOST_BODY else None
        async with self._database.begin() as connection:
            await connection.execute(change(REPEATS).where(REPEATS.c.who == who, REPEATS.c.key == key).values(
                status=answer.status, headers=dict(answer.headers), body=body))

    async def release(self, who: str, key: str) -> None:
        """It came to nothing: the same may be tried again."""
        async with self._database.begin() as connection:
            await connection.execute(delete(REPEATS).where(
                REPEATS.c.who == who, REPEATS.c.key == key, REPEATS.c.status.is_(None)))

    async def export(self, user: str) -> Any:
        query = select(REPEATS.c.key, REPEATS.c.status, REPEATS.c.begun, REPEATS.c.expires).where(
            REPEATS.c.owner == user).order_by(REPEATS.c.begun)
        async with self._database.read() as connection:
            return [row._asdict() for row in (await connection.execute(query)).all()]

    async def erase(self, user: str) -> None:
        async with self._database.begin() as connection:
            await connection.execute(delete(REPEATS).where(REPEATS.c.owner == user))


def _known(row: Row[Any], fingerprint: str, now: float) -> Answer:
    if row.fingerprint != fingerprint:
        raise InvalidInput("this idempotency key was used for another request", field=FIELD)
    if row.status is not None:
        return Answer(row.status, row.headers, row.body)
    if now - row.begun < SECONDS:
        raise Conflict("the same request is being done just now", field=FIELD, retry_after=1)
    raise Conflict("the server stopped while it did this: look whether it is done, and use another key", field=FIELD)
