"""Uploads in parts: a file grows on disk as its parts come, in their order, whatever happens between them.

How much is here is the file's own size, so a killed server forgets nothing that it acknowledged. Once all of it is
here it becomes a blob, as a second name of the same file; two uploads of the same content become one. It is hashed as
it comes, and once more from the disk only where the server was started anew meanwhile.

While sessions are live, all uploads together bring `pace` bytes a second: what the kernel and the event loop do for
each byte would otherwise be late packets of those who speak.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from ..errors import Busy, Conflict, InvalidInput, NoSpace, NotFound, TooLarge
from ..ports import Caller
from ..store import Blobs, Database
from ..store.blobs import digest_of
from ..uncut import opened, to_the_end
from .archives import inner
from .records import plain
from .tables import UPLOADS

MOST = 16 << 30  # bytes of one
OPEN = 32  # of one owner at once
KEPT = 24 * 3600.0  # s after its beginning
FULL = "there is no room left on the server's disk"
SPARE = 256 << 20  # bytes that stay free on the disk
PIECE = 1 << 20
DIGESTS = 64  # uploads whose digest so far is kept
SYNC = 64 << 20  # bytes after which a part that is on its way is made sure


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    owner: str
    name: str  # as the sender calls the file
    size: int  # bytes of the whole
    offset: int  # bytes that are here
    expected: str | None
    sha256: str | None  # once it is whole
    created: float  # s since the epoch
    expires: float


@dataclass(slots=True)
class Digest:
    so_far: hashlib._Hash = field(default_factory=digest_of)
    size: int = 0  # bytes it is of

    def add(self, piece: bytes) -> None:
        self.so_far.update(piece)
        self.size += len(piece)


class Uploads:
    """All methods may be called at once; parts of one upload come one after the other."""

    def __init__(self, database: Database, blobs: Blobs, folder: Path, *, most: int = MOST, keep: float = KEPT,
                 live: Callable[[], bool] = bool, pace: float = 0) -> None:
        """`live` tells whether there are sessions; a `pace` of 0 makes no difference."""
        self._database, self._blobs, self._folder = database, blobs, folder
        self.most, self._keep = most, keep
        self._live, self._pace, self._turn = live, pace, 0.0
        self._locks: dict[str, asyncio.Lock] = {}
        self._digests: dict[str, Digest] = {}  # of what has come, for the newest uploads

    async def begin(self, caller: Caller, name: str, size: int, sha256: str | None = None) -> Upload:
        """Raises `InvalidInput`, `TooLarge`, and `Busy` where the owner has too many under way."""
        await self.sweep()
        inner(name)
        if not 0 < size <= self.most:
            raise TooLarge(f"{size} bytes; 1 to {self.most} can be taken", field="size")
        if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
            raise InvalidInput("a SHA-256 has 64 hexadecimal digits, small letters", field="sha256")
        await asyncio.to_thread(self._make_room, size)
        now = time.time()
        upload = Upload(f"upl_{secrets.token_urlsafe(12)}", caller.owner, name, size, 0, sha256, None, now,
                        now + self._keep)
        async with self._database.begin() as connection:
            count = await connection.scalar(select(func.count()).select_from(UPLOADS).where(
                UPLOADS.c.owner == caller.owner, UPLOADS.c.sha256.is_(None)))
            if (count or 0) >= OPEN:
                raise Busy(f"{OPEN} uploads are under way already: finish or delete some", retry_after=60)
            await asyncio.to_thread(self._path(upload.id).touch, 0o600)
            await connection.execute(insert(UPLOADS).values(
                id=upload.id, owner=upload.owner, name=name, size=size, expected=sha256, created=now,
                expires=upload.expires))
        return upload

    async def get(self, caller: Caller, upload_id: str) -> Upload:
        """Raises `NotFound`, also for somebody else's."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(UPLOADS).where(UPLOADS.c.id == plain(upload_id)))).first()
        if row is None or not caller.owns(row.owner) or row.expires < time.time():
            raise NotFound(f"there is no upload {upload_id[:64]!r}, or not any more", field="upload")
        return await self._seen(row)

    async def find(self, caller: Caller) -> list[Upload]:
        """The caller's own, the newest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(UPLOADS).where(
                UPLOADS.c.owner == caller.owner, UPLOADS.c.expires >= time.time()).order_by(UPLOADS.c.created.desc()))
        return [await self._seen(row) for row in rows]

    async def append(self, caller: Caller, upload_id: str, offset: int, content: AsyncIterable[bytes]) -> Upload:
        """Add a part that begins at `offset`. What has come is kept, also when the sender goes away half-way.

        Raises `Conflict` where the part does not follow what is here or another one is coming, `TooLarge` for more
        than was announced, `InvalidInput` where the whole is not what the SHA-256 says: then it is thrown away.
        """
        upload = await self.get(caller, upload_id)
        lock = self._locks.setdefault(upload_id, asyncio.Lock())
        if lock.locked():
            raise Conflict("another part of this upload is just coming", field="upload")
        try:
            async with lock:
                upload = await self.get(caller, upload_id)
                if upload.sha256 is not None and offset == upload.size:
                    return upload
                if offset != upload.offset or upload.sha256 is not None:
                    raise Conflict(f"{upload.offset} bytes are here: go on from there, not from {offset}",
                                   field="Upload-Offset", offset=upload.offset)
                size = await self._write(upload, content)
                return await self._whole(replace(upload, offset=size))
        finally:
            if not lock.locked():
                self._locks.pop(upload_id, None)

    async def whole(self, caller: Caller, upload_id: str) -> Upload:
        """One that is here as a whole, hashed by now. Raises `Conflict` while something is missing."""
        upload = await self._whole(await self.get(caller, upload_id))
        if upload.sha256 is None:
            raise Conflict(f"{upload.size - upload.offset} bytes of {upload.name} are missing still", field="uploads")
        return upload

    async def end(self, caller: Caller, upload_id: str) -> None:
        """Forget it. What was made of it stays."""
        upload = await self.get(caller, upload_id)
        await self._forget([upload.id])

    async def blobs(self) -> set[str]:
        """Those of uploads that are kept."""
        async with self._database.read() as connection:
            return {found for found in await connection.scalars(select(UPLOADS.c.sha256)) if found}

    async def sweep(self) -> None:
        """Throw away what has expired."""
        async with self._database.read() as connection:
            old = list(await connection.scalars(select(UPLOADS.c.id).where(UPLOADS.c.expires < time.time())))
        if old:
            await self._forget(old)

    async def _forget(self, ids: list[str]) -> None:
        async with self._database.begin() as connection:
            await connection.execute(delete(UPLOADS).where(UPLOADS.c.id.in_(ids)))
        for each in ids:
            self._digests.pop(each, None)
            await asyncio.to_thread(self._path(each).unlink, True)

    async def _seen(self, row: Any) -> Upload:
        here = row.size if row.sha256 else await asyncio.to_thread(_size, self._path(row.id))
        return Upload(row.id, row.owner, row.name, row.size, here, row.expected, row.sha256, row.created, row.expires)

    async def _write(self, upload: Upload, content: AsyncIterable[bytes]) -> int:
        """Bytes that are here then."""
        file = await opened(lambda: self._path(upload.id).open("ab", 0))
        size, sure = upload.offset, upload.offset
        digest = self._digest(upload)
        try:
            async for piece in _gathered(content):
                if size + len(piece) > upload.size:
                    raise TooLarge(f"the upload was announced with {upload.size} bytes, and this would be more")
                await asyncio.to_thread(_append, file, piece, size, digest)
                size += len(piece)
                await self._wait_turn(len(piece))
                if size - sure >= SYNC:
                    await asyncio.to_thread(os.fsync, file.fileno())
                    sure = size
        finally:
            await to_the_end(asyncio.to_thread(_close, file))
        return size

    async def _whole(self, upload: Upload) -> Upload:
        """Hashed and kept as a blob, if all of it is here."""
        if upload.sha256 is not None or upload.offset < upload.size:
            return upload
        path, digest = self._path(upload.id), self._digests.pop(upload.id, None)
        if digest is None or digest.size != upload.size:
            digest = await asyncio.to_thread(_read, path)
        sha256 = digest.so_far.hexdigest()
        if upload.expected not in (None, sha256):
            await self._forget([upload.id])
            raise InvalidInput(f"the content's SHA-256 is {sha256}, not {upload.expected}", field="sha256")
        await self._blobs.share(path, sha256)
        async with self._database.begin() as connection:
            await connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload.id).values(sha256=sha256))
        await asyncio.to_thread(path.unlink, True)
        return replace(upload, sha256=sha256)

    def _digest(self, upload: Upload) -> Digest | None:
        """That of all that is here, to go on with; None where it is not known."""
        digest = Digest() if upload.offset == 0 else self._digests.pop(upload.id, None)
        if digest is None or digest.size != upload.offset:
            return None
        while len(self._digests) >= DIGESTS:
            self._digests.pop(next(iter(self._digests)))
        self._digests[upload.id] = digest
        return digest

    async def _wait_turn(self, size: int) -> None:
        """After so many bytes."""
        if self._pace and self._live():
            now = time.monotonic()
            self._turn = max(self._turn, now) + size / self._pace
            await asyncio.sleep(self._turn - now)

    def _path(self, upload_id: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / upload_id

    def _make_room(self, size: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if size + SPARE > free:
            raise NoSpace(FULL)


async def _gathered(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """In larger pieces than a socket gives, each of which costs a change of threads; at its end also what is left."""
    parts, size = [], 0
    try:
        async for part in content:
            parts.append(part)
            size += len(part)
            if size >= PIECE:
                yield b"".join(parts)
                parts, size = [], 0
    except Exception as error:  # the sender is gone: what came is kept
        if parts:
            yield b"".join(parts)
            parts = []
        raise error
    if parts:
        yield b"".join(parts)


def _append(file: Any, piece: bytes, before: int, digest: Digest | None) -> None:
    try:
        view = memoryview(piece)
        while view:
            view = view[file.write(view) :]
        if digest is not None:
            digest.add(piece)
    except OSError as error:
        file.truncate(before)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace(FULL) from error
        raise


def _read(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, digest_of), file.tell())


def _close(file: Any) -> None:
    os.fsync(file.fileno())
    file.close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
