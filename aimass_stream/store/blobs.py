"""Files by the SHA-256 of their content: never changed, never half-written.

A blob is written beside its place, synced, and renamed into it; what a killed process leaves behind is a
temporary file that `sweep` removes, and never a wrong blob.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import InvalidInput, NoSpace, NotFound, TooLarge
from ..settings import Settings
from ..uncut import opened

DIGEST = re.compile(r"[0-9a-f]{64}")
PIECE = 1024 * 1024  # bytes read at a time
ABANDONED = 24 * 3600.0  # s after which a temporary file belongs to nobody


@dataclass(frozen=True, slots=True)
class Blob:
    sha256: str
    size: int  # bytes


class Blobs:
    """A folder of blobs. Hashing and writing happen in threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "new").mkdir(parents=True, exist_ok=True)

    async def put(self, content: bytes | AsyncIterable[bytes], *, limit: int | None = None,
                  expected: str | None = None) -> Blob:
        """Keep `content`, on disk when this returns. The same content twice is one file.

        Raises `TooLarge` over `limit` bytes, `InvalidInput` when its SHA-256 is not the `expected` one and `NoSpace`
        on a full disk; then nothing is kept.
        """
        writing = await opened(lambda: _Writing(self.folder / "new" / secrets.token_hex(16)))
        try:
            async for piece in _pieces(content):
                if limit is not None and writing.size + len(piece) > limit:
                    raise TooLarge(f"more than {limit} bytes")
                await asyncio.to_thread(writing.append, piece)
            blob = Blob(writing.digest.hexdigest(), writing.size)
            if expected is not None and blob.sha256 != expected:
                raise InvalidInput(f"the content's SHA-256 is {blob.sha256}, not {expected}", field="sha256")
            await asyncio.to_thread(writing.finish)
            await self._keep(writing.path, blob)
        finally:
            writing.close()
        return blob

    async def _keep(self, path: Path, blob: Blob) -> None:
        """A whole file, to its place."""
        await asyncio.to_thread(_settle, path, self._place(blob.sha256))

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A new, empty file to be written and then adopted; removed at the end where it was not."""
        path = self.folder / "new" / secrets.token_hex(16)
        await asyncio.to_thread(path.touch, 0o600)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def adopt(self, path: Path) -> Blob:
        """Keep a file that was written in `scratch`, without copying it. Raises `NoSpace`."""
        blob = await asyncio.to_thread(lambda: Blob(_digest(path), path.stat().st_size))
        await self._keep(path, blob)
        return blob

    async def share(self, path: Path, sha256: str) -> Blob:
        """Keep a whole file of that SHA-256 that stays where it is and is not changed any more; it is copied only where
        the two lie on disks that have no common links. Raises `NoSpace`."""
        place = self.folder / "new" / secrets.token_hex(16)
        try:
            blob = Blob(sha256, await asyncio.to_thread(_linked, path, place))
            await self._keep(place, blob)
        finally:
            place.unlink(missing_ok=True)
        return blob

    async def check(self, sha256: str) -> None:
        """Raises `NotFound`."""
        await asyncio.to_thread(self.path, sha256)

    @asynccontextmanager
    async def local(self, sha256: str) -> AsyncIterator[Path]:
        """Where the blob can be read until the end of this. Raises `NotFound`."""
        yield await asyncio.to_thread(self.path, sha256)

    async def open(self, sha256: str) -> int:
        """The number of an open file to be read, and closed by the caller. Raises `NotFound`."""
        return await opened(lambda: os.open(self.path(sha256), os.O_RDONLY | os.O_CLOEXEC))

    def path(self, sha256: str) -> Path:
        """Where the blob lies, to be read only. Raises `NotFound`."""
        path = self._place(sha256) if DIGEST.fullmatch(sha256) else None
        if path is None or not path.is_file():
            raise NotFound(f"there is no blob {sha256[:64]!r}")
        return path

    async def verify(self, sha256: str) -> bool:
        """True if the blob's content is still what its name says."""
        path = self.path(sha256)
        return await asyncio.to_thread(_digest, path) == sha256

    async def delete(self, sha256: str) -> None:
        """Raises `NotFound`."""
        await asyncio.to_thread(self.path(sha256).unlink)

    async def sweep(self, keep: Iterable[str], *, older: float = ABANDONED) -> list[str]:
        """Remove what nobody names and is older than so many seconds; answers the blobs among it.

        The age protects uploads under way, and blobs whose name is about to be written down.
        """
        return await asyncio.to_thread(self._sweep, set(keep), time.time() - older)

    def _sweep(self, keep: set[str], before: float) -> list[str]:
        blobs = [path for path in self.folder.glob("??/*") if DIGEST.fullmatch(path.name) and path.name not in keep]
        removed = []
        for path in [*blobs, *(self.folder / "new").iterdir()]:
            if path.stat().st_mtime <= before:
                path.unlink()
                removed.append(path)
        return sorted(path.name for path in removed if path in blobs)

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


async def open_blobs(settings: Settings, name: str = "blobs") -> Blobs:
    """Those of this name: what refers to them is in one place, which says what may be removed. Raises `InvalidInput` or
    `Unavailable` for an object store that can't be used."""
    if not settings.blobs:
        return await asyncio.to_thread(Blobs, settings.data_dir / name)
    from .objects import Objects

    return await asyncio.to_thread(Objects, f"{settings.blobs.rstrip('/')}/{name}", settings.data_dir / name)


async def _pieces(content: bytes | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]
    else:
        async for piece in content:
            yield piece


async def pieces(path: Path) -> AsyncIterator[bytes]:
    file = await opened(lambda: path.open("rb"))
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        file.close()


async def pieces_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """From the beginning of an open file."""
    await asyncio.to_thread(file.seek, 0)
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


class _Writing:
    """A blob under way; its methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with no_space():
            self.file = path.open("xb")
        self.digest = digest_of()
        self.size = 0  # bytes

    def append(self, piece: bytes) -> None:
        self.digest.update(piece)
        with no_space():
            self.file.write(piece)
        self.size += len(piece)

    def finish(self) -> None:
        with no_space():
            self.file.flush()

    def close(self) -> None:
        """What was not finished is removed."""
        with suppress(OSError):  # what it still has in memory has no room on the disk either
            self.file.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def no_space() -> Iterator[None]:
    """A full disk is told as `NoSpace`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace("there is no room left on the server's disk") from error


def _linked(path: Path, place: Path) -> int:
    """The size."""
    try:
        place.hardlink_to(path)
    except OSError:
        with no_space():
            shutil.copyfile(path, place)
    return place.stat().st_size


def _settle(path: Path, place: Path) -> None:
    """The file's content on disk, then its name."""
    with no_space(), path.open("rb+") as file:
        os.fsync(file.fileno())
    with no_space():
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
    for folder in (place.parent, place.parent.parent):  # the names have to be on disk as well
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def digest_of() -> hashlib._Hash:
    """That names blobs."""
    return hashlib.sha256()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
