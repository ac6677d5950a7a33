"""The database: SQLite in WAL mode, in one file.

Every commit is on disk when it returns (`synchronous=FULL`): what was acknowledged survives a killed process
and a pulled plug. The schema's version is the file's `user_version`; a file of an older version is brought up
to date when it is opened, one of a newer version is refused. What is deleted is overwritten (`secure_delete`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ..errors import Unavailable

BUSY_SECONDS = 10  # a writer waits for another one, in this process or another

METADATA = MetaData()

# from version n to n + 1; a new one is added at the end, none is ever changed. Enough for a table or two: once
# columns change, Alembic takes over from here.
MIGRATIONS: list[Callable[[Connection], None]] = [METADATA.create_all]


class Database:
    """`async with Database(path) as database`, or `open` and `close`."""

    def __init__(self, path: Path, *, migrations: Sequence[Callable[[Connection], None]] | None = None) -> None:
        """`migrations` are those of a database with other tables than `METADATA` has."""
        self.path = path
        self._migrations = MIGRATIONS if migrations is None else migrations
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(self._engine.sync_engine, "connect", _prepare)
        event.listen(self._engine.sync_engine, "begin", _begin)

    async def open(self) -> None:
        """Create or update the tables. Raises `Unavailable` if the file is of a newer version or no database."""
        try:
            async with self.begin() as connection:
                await connection.run_sync(_migrate, self._migrations)
        except Exception as error:
            await self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(f"the database {self.path.name} can't be opened: {error}") from error

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end, rolled back if anything is raised."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the database, beside whoever writes."""
        async with self._engine.connect() as connection:
            await connection.execution_options(read_only=True)
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, and not behind our back by the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # a transaction that reads first and writes then could meet another writer half-way and fail; so one that
    # may write says so at its beginning
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _migrate(connection: Connection, migrations: Sequence[Callable[[Connection], None]]) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(migrations):
        raise Unavailable(f"the database has version {version}; this program knows versions up to {len(migrations)}")
    for migration in migrations[version:]:
        migration(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {len(migrations)}")
