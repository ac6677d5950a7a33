"""What is kept on disk: a database, and blobs by their content."""

from __future__ import annotations

from .blobs import Blob, Blobs
from .database import Database
from .jobs import Job, Jobs

__all__ = ["Blob", "Blobs", "Database", "Job", "Jobs"]
