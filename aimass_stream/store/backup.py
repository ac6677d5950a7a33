"""All that a server keeps, in one tar file, and back again.

A backup may be taken while the server runs: databases are copied by SQLite's own means, as they are at one moment, and
blobs never change. What is in the file, in this order: `manifest.json`, the databases, the other files, and `end.json`,
without which it is not whole. It has what the server has, keys and faces too, and is readable by its owner alone.

A PostgreSQL database is not in it: `pg_dump` and `pg_restore` are for that. Everything here blocks.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from .. import __version__
from ..errors import Conflict, InvalidInput, NoSpace, NotFound, Unavailable
from ..settings import Settings
from . import people
from .blobs import DIGEST, PIECE, no_space
from .database import FILE, LOCK, Database, hold, location

FORMAT = 1
MANIFEST, END = "manifest.json", "end.json"
RESTORING, BEFORE = ".restoring", ".before-"  # folders, in the folder of the data
INSTALLED = "converters"  # programs of others, which can be installed again
BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite puts beside a database

Told: TypeAlias = Callable[[str, int, int], None]  # what is being done; bytes done and in all


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup has."""

    files: int
    size: int  # bytes
    databases: tuple[str, ...]
    missing: int  # files that went while it was made: results of jobs that expired
    elsewhere: bool  # the database is PostgreSQL, which is not in it


# there ----------------------------------------------------------------------------------------------


def back_up(settings: Settings, file: Path, told: Told) -> Kept:
    """Raises `NotFound`, `Conflict` where there is such a file, `NoSpace`; then nothing is left of it."""
    folder = settings.data_dir
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    if file.exists():
        raise Conflict(f"there is a file {file} already")
    if file.resolve().is_relative_to(folder.resolve()):
        raise InvalidInput(f"a backup in {folder} would be lost with it", field="file")
    partial = file.with_name(f"{file.name}.partial")
    with no_space(), _removed(partial), _lock(folder), tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        kept = _write(settings, partial, Path(scratch), told)
        partial.rename(file)
    return kept


def _write(settings: Settings, partial: Path, scratch: Path, told: Told) -> Kept:
    copies = {name: _copy(path, scratch / name, told) for name, path in _databases(settings).items()}
    files = dict(_files(settings.data_dir, _databases(settings).values()))
    total = sum(path.stat().st_size for path in copies.values()) + sum(files.values())
    elsewhere = location(settings).get_backend_name() != "sqlite"
    manifest = {"format": FORMAT, "version": __version__, "created": time.time(), "databases": list(copies),
                "postgresql": elsewhere}
    done = count = missing = 0
    # a model that is deployed is further names of blobs; each is a file here
    with (open(partial, "xb", opener=_private) as file,
          tarfile.open(fileobj=file, mode="w|", dereference=True) as tar):
        _put(tar, MANIFEST, json.dumps(manifest).encode())
        for path in [*copies.values(), *files]:
            name = path.name if path in copies.values() else str(path.relative_to(settings.data_dir))
            try:
                size = _add(tar, path, name)
            except FileNotFoundError:
                missing += 1
                continue
            done, count = done + size, count + 1
            told("files", min(done, total), total)
        _put(tar, END, json.dumps({"files": count, "bytes": done}).encode())
        tar.close()
        file.flush()
        os.fsync(file.fileno())
    return Kept(count, done, tuple(copies), missing, elsewhere)


def _databases(settings: Settings) -> dict[str, Path]:
    """Those in files that are there, by their names in a backup."""
    url = location(settings)
    places = {people.FILE: settings.data_dir / people.FILE}
    if url.get_backend_name() == "sqlite":
        places[FILE] = Path(url.database or "")
    return {name: path for name, path in places.items() if path.is_file()}


def _copy(path: Path, copy: Path, told: Told) -> Path:
    """As it is at one moment, whoever writes meanwhile."""
    def progress(_: int, left: int, pages: int) -> None:
        told(path.name, pages - left, pages)

    os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=1024, progress=progress)
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise Unavailable(f"{path.name} can't be copied: {error}") from error
        raise NoSpace("there is no room left on the disk") from error
    return copy


def _files(folder: Path, databases: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """All others, with their sizes; no links, no unfinished blobs."""
    left_out = {folder / LOCK} | {Path(f"{path}{end}") for path in databases for end in BESIDE}
    for here, folders, names in os.walk(folder):
        path = Path(here)
        top = path == folder
        folders[:] = sorted(name for name in folders if not (top and name.startswith((RESTORING, BEFORE, INSTALLED)))
                            and not (path.parent == folder and name == "new"))
        for name in sorted(names):
            file = path / name
            if file not in left_out and file.is_file() and not file.is_symlink():
                yield file, file.stat().st_size


def _add(tar: tarfile.TarFile, path: Path, name: str) -> int:
    with path.open("rb") as file:
        info = tar.gettarinfo(arcname=name, fileobj=file)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        tar.addfile(info, file)
    return info.size


def _put(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(content))


# and back -------------------------------------------------------------------------------------------


def restore(settings: Settings, file: Path, told: Told, *, force: bool = False) -> Kept:
    """Everything is unpacked and checked before it takes its place. Where there is something already, that is moved
    into a folder `.before-...` with `force`, and is in the way without.

    Raises `NotFound`, `Conflict`, `NoSpace`, and `InvalidInput` for a file that is no backup, or not a whole one.
    """
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    folder = settings.data_dir
    places = {FILE: folder / FILE, people.FILE: folder / people.FILE}
    if location(settings).get_backend_name() == "sqlite":
        places[FILE] = Path(location(settings).database or "")
    with no_space(), _lock(folder, alone=True):
        there = [path for path in folder.iterdir() if not path.name.startswith((RESTORING, BEFORE, LOCK))]
        there += [path for path in places.values() if path.parent != folder and path.exists()]
        if there and not force:
            raise Conflict(f"there is something in {folder} already; --force moves it aside")
        staged = folder / RESTORING
        shutil.rmtree(staged, ignore_errors=True)  # of one that was killed
        staged.mkdir()
        try:
            kept = _unpack(file, staged, told)
            _checked(staged, kept, told)
            _move(there, folder / f"{BEFORE}{time.strftime('%Y%m%d-%H%M%S')}")
            for path in sorted(staged.iterdir()):
                shutil.move(path, places.get(path.name, folder / path.name))
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return kept


def _move(there: list[Path], aside: Path) -> None:
    if there:
        aside.mkdir()
    for path in there:
        for each in (Path(f"{path}{end}") for end in BESIDE):
            if each.exists():
                shutil.move(each, aside / each.name)


def _unpack(file: Path, staged: Path, told: Told) -> Kept:
    total = file.stat().st_size
    done = count = 0
    manifest: dict[str, object] = {}
    end: dict[str, object] = {}
    try:
        with file.open("rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for info in tar:
                content = tar.extractfile(info)
                if content is None or not info.isreg():
                    raise InvalidInput(f"{info.name[:100]!r} is no plain file", field="file")
                if info.name in (MANIFEST, END):
                    said = json.loads(content.read(PIECE))
                    manifest, end = (said, end) if info.name == MANIFEST else (manifest, said)
                    continue
                if manifest.get("format") != FORMAT:
                    raise InvalidInput("it is no backup, or one of a newer version", field="file")
                _extract(content, tarfile.data_filter(info, str(staged)), staged)
                done, count = done + info.size, count + 1
                told("unpacking", min(packed.tell(), total), total)
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise InvalidInput(f"{file} is no backup: {error}", field="file") from error
    if end != {"files": count, "bytes": done}:
        raise InvalidInput(f"{file} is not a whole backup: its end is missing", field="file")
    databases = manifest.get("databases")
    return Kept(count, done, tuple(databases if isinstance(databases, list) else ()), 0,
                bool(manifest.get("postgresql")))


def _extract(content: IO[bytes], info: tarfile.TarInfo, staged: Path) -> None:
    path = staged / info.name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(path, "xb", opener=_private) as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(info.mode or 0o600)
    if DIGEST.fullmatch(path.name) and path.parent.name == path.name[:2] and digest.hexdigest() != path.name:
        raise InvalidInput(f"the blob {path.name} is not what its name says", field="file")


def _checked(staged: Path, kept: Kept, told: Told) -> None:
    for number, name in enumerate(kept.databases):
        told("checking", number, len(kept.databases))
        try:
            with closing(sqlite3.connect(staged / name)) as connection:
                [[answer]] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.Error as error:
            answer = str(error)
        if answer != "ok":
            raise InvalidInput(f"the database {name} is broken: {answer}", field="file")
        if name == FILE:
            asyncio.run(_opened(staged / name))
    told("checking", len(kept.databases), len(kept.databases))


async def _opened(path: Path) -> None:
    """Raises `Unavailable` for one of a newer version."""
    async with Database(path):
        return


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _removed(partial: Path) -> Iterator[None]:
    """Nothing is left of it."""
    try:
        yield
    except FileExistsError:
        raise Unavailable(f"{partial} is in the way: another backup is being made, or was broken off") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def _lock(folder: Path, *, alone: bool = False) -> Iterator[None]:
    number = hold(folder, alone=alone)
    try:
        yield
    finally:
        os.close(number)
