"""What is kept on disk: a database, and blobs by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .blobs import Blob, Blobs, open_blobs

if TYPE_CHECKING:
    from .database import Database
    from .jobs import Job, Jobs

__all__ = ["Blob", "Blobs", "Database", "Job", "Jobs", "open_blobs"]


def __getattr__(name: str) -> object:
    """SQLAlchemy takes most of a second to import: only for those who ask for a database."""
    if name in ("Job", "Jobs"):
        from . import jobs

        return getattr(jobs, name)
    if name == "Database":
        from .database import Database

        return Database
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
