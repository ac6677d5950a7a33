"""Encrypted versions, opened: their plain files lie in memory (a tmpfs) while they are loaded or sent, readable by
nobody else, and nowhere afterwards. Where there is no such place with enough room, a private folder takes it.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from ..inference import Entry
from ..store.blobs import no_space
from ..store.sealed import Keys, is_sealed, opened

log = logging.getLogger(__name__)

MEMORY = Path("/dev/shm")
PREFIX = "aimass-plain-"
SPARE = 2  # times the files' size that has to be free


class Vault:
    """Its methods block. May be used from many threads."""

    def __init__(self, keys: Keys, folder: Path) -> None:
        self.keys, self._folder = keys, folder

    def clear(self) -> None:
        """What processes left behind that were killed."""
        for place in (self._folder, MEMORY):
            for path in place.glob(f"{PREFIX}*") if place.is_dir() else ():
                process = path.name.removeprefix(PREFIX).partition("-")[0]
                with suppress(OSError):
                    lives = process.isdigit() and psutil.pid_exists(int(process))
                    if path.stat().st_uid == os.getuid() and not lives:
                        shutil.rmtree(path)

    @contextmanager
    def entry(self, entry: Entry) -> Iterator[Entry]:
        """The model with plain files, until the end of this. One that is not encrypted stays where it is.

        Raises `Unavailable` without the right key, `InvalidInput` for files that were changed.
        """
        paths = {item.path: entry.folder / item.path for item in entry.files}
        if not any(path.is_file() and is_sealed(path) for path in paths.values()):
            yield entry
            return
        with self.private(sum(item.size for item in entry.files)) as folder:
            for name, path in paths.items():
                self.write(path, folder / name, f"{entry.name}'s {name}")
            yield replace(entry, folder=folder)

    @contextmanager
    def plain(self, path: Path, name: str) -> Iterator[Path]:
        """One encrypted file. Raises as `entry`."""
        with self.private(path.stat().st_size) as folder:
            self.write(path, folder / "file", name)
            yield folder / "file"

    @contextmanager
    def private(self, size: int) -> Iterator[Path]:
        """A folder for so many bytes that nobody else can look into, and that is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=self._place(size)))  # 0700
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _place(self, size: int) -> Path:
        with suppress(OSError):
            if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > SPARE * size:
                return MEMORY
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def write(self, source: Path, target: Path, name: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with source.open("rb") as file, os.fdopen(number, "wb") as plain, no_space():
            for piece in opened(file, self.keys, name):
                plain.write(piece)
