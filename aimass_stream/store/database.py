"""The database: SQLite in WAL mode, in one file; or PostgreSQL by URL.

Every commit is on disk when it returns (`synchronous=FULL`): what was acknowledged survives a killed process
and a pulled plug. There is one writer at a time, on both: SQLite begins what may write with `BEGIN IMMEDIATE`, and in
PostgreSQL it takes a lock of the whole schema first. So a transaction that reads and writes then needs no second try,
and readers wait for nobody.

The main database is brought up to date by the migrations beside this file when it is opened; the schema of another
one has its version in the file's `user_version`. A database of a newer version is refused. What is deleted from SQLite
is overwritten (`secure_delete`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, NullPool, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ..errors import Conflict, InvalidInput, NoSpace, Unavailable
from ..settings import Settings
from .migrations import head, upgrade

BUSY_SECONDS = 10  # a writer waits for another one, in this process or another
FILE = "aimass.db"
LOCK = ".lock"
DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}
DISK_FULL = "53100"  # as PostgreSQL says it
WRITERS = 0x61696D617373  # of the lock that a writer takes in PostgreSQL

METADATA = MetaData()  # of the main database: the tables of all packages that keep something


class Database:
    """`async with Database(path or URL) as database`, or `open` and `close`."""

    def __init__(self, where: Path | str, *, migrations: Sequence[Callable[[Connection], None]] | None = None) -> None:
        """`migrations` are those of a database with other tables than `METADATA` has, from each version to the next.

        Raises `InvalidInput` for a URL of another kind of database, and `Unavailable` without its driver.
        """
        self.url = _url(where)
        self._migrations = migrations
        self._engine = _engine(self.url)
        self.beside = ExitStack()  # what is let go when it is closed

    @property
    def path(self) -> Path:
        """SQLite's file. Raises `Unavailable` where there is none."""
        if self.url.get_backend_name() != "sqlite":
            raise Unavailable("this database is no file")
        return Path(self.url.database or "")

    async def open(self) -> None:
        """Create or update the tables. Raises `Unavailable` if it is of a newer version or can't be opened."""
        try:
            if self.url.get_backend_name() == "sqlite":
                await asyncio.to_thread(_into_wal, str(self.url.database))
            if self._migrations is None:
                await self._upgrade()
            else:
                async with self.begin() as connection:
                    await connection.run_sync(_migrate, self._migrations)
        except Exception as error:
            await self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(f"the database {_named(self.url)} can't be opened: {error}") from error

    async def _upgrade(self) -> None:
        async with self.read() as connection:
            version = await connection.run_sync(head)
        if version.there != version.known:
            # Alembic's import and its work take long: in a thread, with a loop and a connection of its own
            await asyncio.to_thread(lambda: asyncio.run(_upgraded(self.url)))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end, rolled back if anything is raised. Raises `NoSpace` where
        the disk is full."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if not _full(error):
                raise
            raise NoSpace("there is no room left on the disk of the server's database") from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the database, beside whoever writes."""
        async with self._engine.connect() as connection:
            await connection.execution_options(read_only=True)
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()
        self.beside.close()

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def open_database(settings: Settings) -> Database:
    """The main one. Raises `InvalidInput` or `Unavailable`, and `Conflict` while a backup is being restored."""
    database = await asyncio.to_thread(_made, settings)  # SQLAlchemy imports the driver
    await database.open()
    return database


def location(settings: Settings) -> URL:
    """Where the main database is. Raises `InvalidInput`."""
    return _url(settings.database or settings.data_dir / FILE)


def _made(settings: Settings) -> Database:
    database = Database(settings.database or settings.data_dir / FILE)
    try:
        held = hold(settings.data_dir)
        database.beside.callback(os.close, held)
        if database.url.get_backend_name() == "sqlite":
            database.path.parent.mkdir(parents=True, exist_ok=True)
            database.path.touch(0o600)
    except OSError as error:
        database.beside.close()
        raise Unavailable(f"the database {_named(database.url)} can't be made: {error.strerror}: {error.filename}"
                          ) from None
    return database


def hold(folder: Path, *, alone: bool = False) -> int:
    """A lock of the folder until the number is closed, or the process ends: servers share it, a restore is `alone`.
    Raises `Conflict`."""
    folder.mkdir(parents=True, exist_ok=True)
    number = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise Conflict(f"{folder} is in use: stop the server first" if alone else
                       f"{folder} is being restored") from None
    return number


def _url(where: Path | str) -> URL:
    if isinstance(where, Path):
        return URL.create("sqlite+aiosqlite", database=str(where))
    try:
        url = make_url(where)
    except ArgumentError:
        raise InvalidInput("the database is no URL; one is postgresql://USER:PASSWORD@HOST/NAME",
                           field="database") from None
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise InvalidInput(f"there is no database of kind {backend[:64]!r}; there are: {', '.join(DRIVERS)}",
                           field="database")
    return url.set(drivername=f"{backend}+{DRIVERS[backend]}")


def _named(url: URL) -> str:
    """For people: without its password."""
    return Path(url.database or "").name if url.get_backend_name() == "sqlite" else url.render_as_string()


def _engine(url: URL, **options: Any) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine
    try:
        engine = create_async_engine(url, pool_pre_ping=True, connect_args={
            "timeout": BUSY_SECONDS, "server_settings": {"lock_timeout": f"{BUSY_SECONDS}s"}}, **options)
    except ModuleNotFoundError:
        raise Unavailable("PostgreSQL needs asyncpg: pip install 'aimass-stream[postgres]'") from None
    event.listen(engine.sync_engine, "begin", _begin_postgresql)
    return engine


def _into_wal(path: str) -> None:
    """Once for the file, which keeps it. SQLite gives up at once where another one does the same: so again."""
    until = time.monotonic() + BUSY_SECONDS
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, and not behind our back by the driver
    cursor = connection.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # a transaction that reads first and writes then could meet another writer half-way and fail; so one that
    # may write says so at its beginning
    connection.exec_driver_sql("BEGIN" if _reads(connection) else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if _reads(connection):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")


def _reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("read_only", False))


def _full(error: DBAPIError) -> bool:
    codes = [getattr(error.orig, name, None) for name in ("sqlite_errorcode", "sqlstate")]
    return codes[0] == sqlite3.SQLITE_FULL or codes[1] == DISK_FULL


async def _upgraded(url: URL) -> None:
    engine = _engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, migrations: Sequence[Callable[[Connection], None]]) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(migrations):
        raise Unavailable(f"the database has version {version}; this program knows versions up to {len(migrations)}")
    for migration in migrations[version:]:
        migration(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {len(migrations)}")
