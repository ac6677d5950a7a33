"""Who did what, when, and from where. Entries are added and read, never changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, cast, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..ports import Caller
from ..store.database import Database
from .tables import AUDIT, AUDIT_LEAST

LONGEST = 4096  # characters of the details' JSON


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    at: float  # s since the epoch
    who: str  # a user's id, or api-key, anyone
    key: str
    address: str
    what: str
    object: str
    details: dict[str, Any]


class Audit:
    """Implements `ports.Auditor`."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def write(self, caller: Caller, what: str, object: str = "", **details: Any) -> None:
        async with self._database.begin() as connection:
            await self.add(connection, caller, what, object, **details)

    async def add(self, connection: AsyncConnection, caller: Caller, what: str, object: str = "",
                  **details: Any) -> None:
        """In the transaction of what was done: both are kept, or neither."""
        if len(json.dumps(details)) > LONGEST:
            details = {"too_long": True}
        await connection.execute(insert(AUDIT).values(
            at=self._clock(), who=caller.user or caller.name, key=caller.id, address=caller.address, what=what,
            object=object[:200], details=details))

    async def find(self, *, who: str | None = None, what: str | None = None, object: str | None = None,
                   words: str | None = None, since: float | None = None, until: float | None = None,
                   before: int | None = None, limit: int = 50) -> list[Entry]:
        """The newest first, those numbered lower than `before`. `what` may be a beginning: ``key.``."""
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        for column, wanted in ((AUDIT.c.who, who), (AUDIT.c.object, object)):
            if wanted is not None:
                query = query.where(column == wanted)
        if what is not None:
            query = query.where(AUDIT.c.what.startswith(what, autoescape=True) if what.endswith(".")
                                else AUDIT.c.what == what)
        if before is not None:
            query = query.where(AUDIT.c.id < before)
        if since is not None:
            query = query.where(AUDIT.c.at >= since)
        if until is not None:
            query = query.where(AUDIT.c.at < until)
        async with self._database.read() as connection:
            rows = (await connection.execute(_with(query, words))).all()
        return [Entry(row.id, row.at, row.who, row.key, row.address, row.what, row.object, row.details) for row in rows]

    async def forget(self, days: float) -> int:
        """Let go what is older, at least `AUDIT_LEAST`; answers how much that was."""
        until = self._clock() - max(days * 86400, AUDIT_LEAST + 60)
        async with self._database.begin() as connection:
            return (await connection.execute(delete(AUDIT).where(AUDIT.c.at < until))).rowcount


def _with(query: Select[Any], words: str | None) -> Select[Any]:
    for word in (words or "").split():
        query = query.where(or_(*(cast(column, String).icontains(word, autoescape=True) for column in (
            AUDIT.c.who, AUDIT.c.address, AUDIT.c.what, AUDIT.c.object, AUDIT.c.details))))
    return query
