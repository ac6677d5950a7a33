"""Files on their way to a server, in parts: what broke off goes on where it was, also in another process."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import AimassError, Conflict, InvalidInput, NotFound, Unavailable
from ..uncut import opened
from .connection import Connection, part
from .records import Upload, read

PART = 32 << 20  # bytes of one request
PIECE = 256 << 10
TRIES = 6  # without a byte more between them
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # s between tries
FETCHED = 90.0  # s until the other server has answered
HASHED = 900.0  # s that the answer to the last part may take: then all of it is hashed

Told: TypeAlias = Callable[[int, int], None]  # bytes that are there, and of how many


class Uploads:
    """`Client.uploads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self) -> list[Upload]:
        """One's own, the newest first."""
        told = await self._connection.request("GET", "/v1/uploads")
        return [read(Upload, each) for each in told["uploads"]]

    async def show(self, upload_id: str) -> Upload:
        return read(Upload, await self._connection.request("GET", f"/v1/uploads/{part(upload_id)}"))

    async def delete(self, upload_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/uploads/{part(upload_id)}")

    async def send(self, path: str | Path, name: str | None = None, told: Told | None = None) -> Upload:
        """Send a file, which is called `name` there. An upload of it that was begun before goes on.

        A line that breaks is taken up again some times; then `Unavailable` is raised, and what came is kept for a day.
        """
        path = Path(path)
        name, sha256 = name or path.name, await asyncio.to_thread(_hashed, path)
        size = path.stat().st_size
        if size == 0:
            raise InvalidInput(f"{path.name} is empty")
        upload = await self._begun(name, size, sha256)
        resumed = upload is not None
        upload = upload or await self._begin(name, size, sha256)
        try:
            done = await self._rest(path, upload, told)
        except InvalidInput:  # what was begun was another file of this name and size; the server has let go of it
            if not resumed:
                raise
            return await self._rest(path, await self._begin(name, size, sha256), told)
        if done.sha256 == sha256:
            return done
        await self.delete(done.id)
        if not resumed:
            raise Conflict(f"{path} changed while it was sent", field=name)
        return await self._rest(path, await self._begin(name, size, sha256), told)

    async def fetch(self, url: str, name: str | None = None, *, sha256: str | None = None) -> tuple[Upload, str]:
        """Have the server fetch a file by its address; the upload, and the id of the job that fetches it
        (`Client.jobs.wait`). Raises `InvalidInput` where there is none."""
        said = {"url": url, "name": name, "sha256": sha256}
        body = {key: value for key, value in said.items() if value is not None}
        told = await self._connection.request("POST", "/v1/uploads", body, seconds=FETCHED)
        return read(Upload, told), told["job"]

    async def _begun(self, name: str, size: int, sha256: str) -> Upload | None:
        same = [each for each in await self.find() if (each.name, each.size) == (name, size)]
        whole = next((each for each in same if each.sha256 == sha256), None)
        return whole or next((each for each in same if each.sha256 is None), None)

    async def _begin(self, name: str, size: int, sha256: str) -> Upload:
        body = {"name": name, "size": size, "sha256": sha256}
        return read(Upload, await self._connection.request("POST", "/v1/uploads", body))

    async def _rest(self, path: Path, upload: Upload, told: Told | None) -> Upload:
        failures, wait = 0, FIRST_WAIT
        if told is not None:
            told(upload.offset, upload.size)
        while upload.sha256 is None:
            try:
                await self._part(path, upload, told)
            except (Unavailable, Conflict):
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                failures += 1
            try:
                now = await self.show(upload.id)
            except Unavailable:
                if failures >= TRIES:
                    raise
                continue
            if now.offset > upload.offset:
                failures, wait = 0, FIRST_WAIT
            elif failures >= TRIES:
                raise Unavailable(f"{path} is not taken by {self._connection.url}: {now.offset} of {now.size} bytes "
                                  "are there, and a further try goes on from them")
            upload = now
        return upload

    async def _part(self, path: Path, upload: Upload, told: Told | None) -> None:
        count = min(PART, upload.size - upload.offset)
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(upload.offset),
                   "Content-Length": str(count)}
        await self._connection.checked("PATCH", f"/v1/uploads/{part(upload.id)}", seconds=HASHED, headers=headers,
                                       content=_pieces(path, upload, count, told))


async def _pieces(path: Path, upload: Upload, count: int, told: Told | None) -> AsyncIterator[bytes]:
    file = await opened(lambda: path.open("rb"))
    try:
        await asyncio.to_thread(file.seek, upload.offset)
        sent = 0
        while sent < count:
            piece = await asyncio.to_thread(file.read, min(PIECE, count - sent))
            if not piece:
                raise InvalidInput(f"{path} became shorter while it was sent")
            yield piece
            sent += len(piece)
            if told is not None:
                told(upload.offset + sent, upload.size)
    finally:
        file.close()


def _hashed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}") from error


async def download(connection: Connection, path: str, target: Path, size: int, sha256: str,
                   told: Callable[[int], None]) -> None:
    """A file of the server's as `target`; what came before a line broke stays beside it and is not asked for again.

    `told` is given bytes as they come. Raises `InvalidInput` where what came is not what was announced.
    """
    beside = target.with_name(f".{target.name}.part")
    here = beside.stat().st_size if beside.exists() else 0
    if here > size:
        beside.unlink()
        here = 0
    if here < size or size == 0:
        await _fetch(connection, path, beside, here, told)
    else:
        told(here)
    if await asyncio.to_thread(_hashed, beside) != sha256:
        beside.unlink()
        raise InvalidInput(f"{target.name} came damaged: its SHA-256 is another; try again")
    beside.replace(target)


async def _fetch(connection: Connection, path: str, beside: Path, here: int, told: Callable[[int], None]) -> None:
    headers: dict[str, Any] = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    async with connection.streamed(path, headers) as response:
        going_on = response.status_code == 206
        told(here if going_on else 0)
        file = await opened(lambda: beside.open("ab" if going_on else "wb"))
        try:
            async for piece in response.aiter_bytes(PIECE):
                await asyncio.to_thread(file.write, piece)
                told(len(piece))
        except OSError as error:
            raise AimassError(f"{beside} can't be written: {error.strerror}") from error
        finally:
            file.close()
