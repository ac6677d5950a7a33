"""Versions of the database: what the migrations make is what the packages' tables say, on each kind."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import aimass_stream
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.store.database import METADATA, Database, open_database
from aimass_stream.store.migrations import revisions
from tests.support.options import settings

pytestmark = pytest.mark.anyio

ROOT = Path(aimass_stream.__file__).parent


def load_tables() -> None:
    """Every module that puts tables into `METADATA`."""
    for name in ("jobs", "repeats"):
        importlib.import_module(f"aimass_stream.store.{name}")
    for file in ROOT.glob("*/tables.py"):
        importlib.import_module(f"aimass_stream.{file.parent.name}.tables")


load_tables()  # before the loop runs: an import may take long


def _differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def test_the_migrations_make_what_the_tables_say(place: Path | str) -> None:
    async with Database(place) as database, database.begin() as connection:
        assert await connection.run_sync(_differences) == []


def test_revisions_are_one_line_named_as_their_files() -> None:
    line = [None, *revisions()]
    for before, name in itertools.pairwise(line):
        source = (ROOT / "store" / "migrations" / "versions" / f"{name}.py").read_text(encoding="utf-8")
        assert f'revision = "{name}"' in source
        assert f'down_revision = "{before}"' in source or (before is None and "down_revision = None" in source)


async def test_one_that_is_opened_at_once_and_one_of_a_newer_version(place: Path | str) -> None:
    databases = [Database(place) for _ in range(8)]  # SQLite gives up at once where two make it WAL
    await asyncio.gather(*(database.open() for database in databases))
    async with databases[0].begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    for database in databases:
        await database.close()
    with pytest.raises(Unavailable, match="9999_future"):
        await Database(place).open()


async def test_writers_take_turns_and_readers_see_one_moment(place: Path | str) -> None:
    async with Database(place) as database:
        async with database.begin() as connection:
            await connection.execute(text("CREATE TABLE number (n INTEGER)"))
            await connection.execute(text("INSERT INTO number VALUES (0)"))

        async def add() -> None:
            async with database.begin() as connection:  # reads, then writes what it read and one more
                n = (await connection.execute(text("SELECT n FROM number"))).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(text("UPDATE number SET n = :n"), {"n": n + 1})

        async with database.read() as connection:
            before = (await connection.execute(text("SELECT n FROM number"))).scalar_one()
            await asyncio.gather(*(add() for _ in range(10)))
            assert (await connection.execute(text("SELECT n FROM number"))).scalar_one() == before
            with pytest.raises(DBAPIError):
                await connection.execute(text("UPDATE number SET n = 99"))
        async with database.read() as connection:
            assert (await connection.execute(text("SELECT n FROM number"))).scalar_one() == before + 10


async def test_an_older_database_is_brought_up_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    async with Database(path) as database, database.begin() as connection:
        await connection.execute(text("CREATE TABLE mark (n INTEGER)"))
    async with Database(path) as database, database.read() as connection:  # nothing is made twice
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == revisions()[-1]
        assert (await connection.execute(text("SELECT count(*) FROM mark"))).scalar() == 0
    connection_ = sqlite3.connect(path)
    assert connection_.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection_.execute("UPDATE alembic_version SET version_num = '9999_future'")
    connection_.commit()
    connection_.close()
    with pytest.raises(Unavailable, match="9999_future"):
        await Database(path).open()
    (tmp_path / "rubbish.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(Unavailable, match=r"rubbish\.db can't be opened"):
        await Database(tmp_path / "rubbish.db").open()


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "half.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE job_blobs (mine INTEGER)")  # in the way of the first revision's last table
    connection.close()
    with pytest.raises(Unavailable, match="job_blobs"):
        await Database(path).open()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("job_blobs",)]
    connection.close()


async def test_where_the_database_is(tmp_path: Path) -> None:
    database = await open_database(settings(data_dir=tmp_path / "new"))
    assert database.path == tmp_path / "new" / "aimass.db"
    assert database.path.stat().st_mode & 0o077 == 0
    await database.close()
    database = await open_database(settings(database=f"sqlite:///{tmp_path / 'other.db'}"))
    assert (tmp_path / "other.db").exists()
    await database.close()
    for wrong in ("mysql://host/name", "not a URL"):
        with pytest.raises(InvalidInput) as refused:
            await open_database(settings(database=wrong))
        assert refused.value.field == "database"
    with pytest.raises(Unavailable, match="can't be opened") as failed:
        await open_database(settings(database="postgresql://me:secret@127.0.0.1:1/x"))
    assert "secret" not in failed.value.detail
