"""Which models are installed, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aimass_stream.inference import FolderStore, installed


@contextmanager
def shelved(*folders: Path) -> Iterator[FolderStore]:
    """Those of these folders alone, until the end of this."""
    store, before = installed(), installed().folders
    store.folders = folders
    try:
        yield store
    finally:
        store.folders = before
