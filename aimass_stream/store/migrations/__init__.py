"""From each version of the main database to the next, by Alembic.

A revision's file is named as the revision is, `0001_jobs` and so on in one line; it writes its tables out and knows
nothing of the packages that use them, for those will change and it will not. The newest file's name is the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect

from ...errors import Unavailable

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Version:
    there: str | None  # of the database; None: it is empty
    known: str  # the newest


def revisions() -> list[str]:
    """The oldest first."""
    return sorted(file.stem for file in (FOLDER / "versions").glob("[0-9]*.py"))


def head(connection: Connection) -> Version:
    """Raises `Unavailable` if the database is of a newer version."""
    known = revisions()
    there = None
    if inspect(connection).has_table("alembic_version"):
        there = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    if there is not None and there not in known:
        raise Unavailable(f"the database has version {there}; this program knows versions up to {known[-1]}")
    return Version(there, known[-1])


def upgrade(connection: Connection) -> None:
    """To the newest version, in the transaction that this connection is in."""
    from alembic import command
    from alembic.config import Config

    head(connection)  # once more: somebody else may have been here meanwhile, and waited for
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
