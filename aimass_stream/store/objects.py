"""Blobs in an object store (S3, Google Cloud Storage, Azure, or whatever `obstore` has a URL for), by their content.

A blob is written to a local file first, for its name is its SHA-256, and is put into the store as a whole: there is
never half of one. What is read is fetched into a local file and is compared with its name on the way.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from ..errors import InvalidInput, NotFound, Unavailable
from ..uncut import opened
from .blobs import ABANDONED, DIGEST, Blob, Blobs, digest_of, no_space


class Objects(Blobs):
    """`folder` is for what is on its way."""

    def __init__(self, url: str, folder: Path) -> None:
        """Raises `Unavailable` without obstore, `InvalidInput` for a URL that it does not know."""
        super().__init__(folder)
        try:
            import obstore
            from obstore.store import from_url
        except ModuleNotFoundError:
            raise Unavailable("object stores need obstore: pip install 'aimass-stream[objects]'") from None
        self._obstore: Any = obstore
        self._missing: tuple[type[Exception], ...] = (FileNotFoundError, obstore.exceptions.NotFoundError)
        if url.startswith("file://"):
            Path(urlsplit(url).path).mkdir(parents=True, exist_ok=True)
        try:
            self._store: Any = from_url(url)
        except Exception as error:  # whatever each kind of store says of its URL
            raise InvalidInput(f"blobs can't be kept at that URL: {str(error)[:200]}", field="blobs") from None

    async def _keep(self, path: Path, blob: Blob) -> None:
        with self._known(blob.sha256):
            await self._obstore.put_async(self._store, _key(blob.sha256), path)
        await asyncio.to_thread(path.unlink)

    def path(self, sha256: str) -> Path:
        raise Unavailable("this blob is in an object store")

    async def check(self, sha256: str) -> None:
        with self._known(sha256):
            await self._obstore.head_async(self._store, _key(sha256))

    @asynccontextmanager
    async def local(self, sha256: str) -> AsyncIterator[Path]:
        async with self.scratch() as path:
            with await opened(lambda: path.open("wb")) as file:
                await self._fetch(sha256, file)
            yield path

    async def open(self, sha256: str) -> int:
        file = await opened(self._nameless)
        with file:
            await self._fetch(sha256, file)
            number = os.dup(file.fileno())
        os.lseek(number, 0, os.SEEK_SET)
        return number

    def _nameless(self) -> IO[bytes]:
        return cast(IO[bytes], tempfile.TemporaryFile(dir=self.folder / "new"))

    async def _fetch(self, sha256: str, file: IO[bytes]) -> None:
        """Raises `NotFound`, and `Unavailable` for what is not what its name says."""
        digest = digest_of()
        with self._known(sha256):
            answer = await self._obstore.get_async(self._store, _key(sha256))
            async for piece in answer.stream():
                digest.update(piece)
                with no_space():
                    await asyncio.to_thread(file.write, piece)
        with no_space():
            await asyncio.to_thread(file.flush)
        if digest.hexdigest() != sha256:
            raise Unavailable(f"the blob {sha256} is broken in its store")

    async def verify(self, sha256: str) -> bool:
        await self.check(sha256)
        try:
            async with self.local(sha256):
                return True
        except Unavailable:
            return False

    async def delete(self, sha256: str) -> None:
        await self.check(sha256)
        with self._known(sha256):
            await self._obstore.delete_async(self._store, _key(sha256))

    async def sweep(self, keep: Iterable[str], *, older: float = ABANDONED) -> list[str]:
        await super().sweep((), older=older)  # what was on its way
        kept, before, removed = set(keep), time.time() - older, []
        with self._known(None):
            async for found in self._obstore.list(self._store):
                for each in found:
                    name = each["path"].rpartition("/")[2]
                    if DIGEST.fullmatch(name) and name not in kept and each["last_modified"].timestamp() <= before:
                        await self._obstore.delete_async(self._store, each["path"])
                        removed.append(name)
        return sorted(removed)

    @contextmanager
    def _known(self, sha256: str | None) -> Iterator[None]:
        """The store's errors as ours."""
        if sha256 is not None and not DIGEST.fullmatch(sha256):
            raise NotFound(f"there is no blob {sha256[:64]!r}")
        try:
            yield
        except self._missing:
            raise NotFound(f"there is no blob {str(sha256)[:64]!r}") from None
        except self._obstore.exceptions.BaseError as error:
            raise Unavailable(f"the object store does not answer: {str(error)[:200]}") from error


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"
