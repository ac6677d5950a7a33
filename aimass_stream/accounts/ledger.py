"""Between the tables and the directory in memory: every change is numbered, and whoever is behind reads what is newer.

A change is one transaction. Its number is given inside it, and there is one writer at a time, so numbers are seen in
their order: nobody misses one that is committed late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Stale
from ..store.database import Database
from .audit import Audit
from .directory import Directory
from .tables import KEYS, MEMBERS, SIGN_INS, TEAMS, USERS, VERSIONS

NAME = "accounts"
ROWS = 200  # read at a time: the loop is not held longer


@dataclass(frozen=True, slots=True)
class Change:
    connection: AsyncConnection
    version: int  # for the rows that are changed

    async def still(self, table: Table, row_id: str, seen: int | None) -> None:
        """Raises `Stale` where the row is of another version than the one that was seen."""
        if seen is not None and seen != await self.connection.scalar(select(table.c.version).where(
                table.c.id == row_id)):
            raise Stale("somebody else changed this meanwhile: look at it again", field="If-Match")


def later(table: Table, after: tuple[float, str]) -> ColumnElement[bool]:
    """Rows that come after this one in a list of the newest first."""
    created, row_id = after
    return or_(table.c.created < created, and_(table.c.created == created, table.c.id > row_id))


class Ledger:
    def __init__(self, database: Database, directory: Directory, audit: Audit) -> None:
        self.database, self.directory, self.audit = database, directory, audit
        self._seen = 0
        self._reading = asyncio.Lock()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A transaction; when it is committed, the directory knows."""
        async with self.database.begin() as connection:
            version = (await connection.execute(update(VERSIONS).where(VERSIONS.c.name == NAME).values(
                value=VERSIONS.c.value + 1).returning(VERSIONS.c.value))).scalar_one_or_none()
            if version is None:
                version = 1
                await connection.execute(insert(VERSIONS).values(name=NAME, value=version))
            yield Change(connection, version)
        await self.refresh()

    async def refresh(self) -> None:
        """Read what other processes, or we, have changed."""
        async with self._reading, self.database.read() as connection:
            newest = (await connection.execute(select(VERSIONS.c.value).where(VERSIONS.c.name == NAME))).scalar()
            if newest is None or newest == self._seen:
                return
            await self._read(connection, USERS, self.directory.put_user)
            await self._read_teams(connection)
            await self._read(connection, KEYS, self.directory.put_key)
            await self._read(connection, SIGN_INS, self.directory.put_sign_in)
            self._seen = newest

    async def _read(self, connection: AsyncConnection, table: Table, put: Callable[[Row[Any]], None]) -> None:
        after = ""  # by id, in pieces, of all that is newer
        while True:
            rows = (await connection.execute(select(table).where(table.c.version > self._seen, table.c.id > after)
                                             .order_by(table.c.id).limit(ROWS))).all()
            for row in rows:
                put(row)
            if len(rows) < ROWS:
                return
            after = rows[-1].id
            await asyncio.sleep(0)

    async def _read_teams(self, connection: AsyncConnection) -> None:
        found: list[Row[Any]] = []
        await self._read(connection, TEAMS, found.append)
        for row in found:
            members = (await connection.execute(select(MEMBERS).where(MEMBERS.c.team == row.id))).all()
            self.directory.put_team(row, {member.user: member.role for member in members})
