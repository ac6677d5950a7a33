"""Where weights come from: a hub with Hugging Face's API, or plain URLs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import anyio
import httpx

from ..errors import AimassError, NotFound, Unavailable
from .catalogue import WeightFile, Weights

Progress: TypeAlias = Callable[[int, int | None], None]  # bytes done, bytes in all

ATTEMPTS = 4  # of one file, each going on where the last one broke off
PAUSE = 1.0  # s before the second attempt, doubled before each further one
TIMEOUT = httpx.Timeout(10, read=30)
LISTING_BYTES = 4 << 20


class Hub:
    """A hub that speaks Hugging Face's API, or any web server for what has a `base`."""

    def __init__(self, url: str, *, timeout: httpx.Timeout = TIMEOUT, pause: float = PAUSE) -> None:
        self.url = url.rstrip("/")
        self._timeout, self._pause = timeout, pause

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with await asyncio.to_thread(self._make_client) as client:
            yield client

    def _make_client(self) -> httpx.AsyncClient:
        """In a thread: it reads the machine's certificates, and a first request would import for tens of ms."""
        anyio.run(anyio.sleep, 0)
        return httpx.AsyncClient(timeout=self._timeout, follow_redirects=True)

    async def files(self, weights: Weights) -> tuple[WeightFile, ...]:
        """The files with what the hub says of them. Raises `Unavailable`, or `NotFound` when it lacks one."""
        if not weights.repository:
            return weights.files
        if not self.url:
            raise Unavailable("no hub is set: see the setting 'hub' (AIMASS_HUB)")
        listed = {item["path"]: item for item in await self._listing(weights)}
        return tuple(_known(file, listed.get(file.source), weights) for file in weights.files)

    async def _listing(self, weights: Weights) -> list[dict[str, Any]]:
        folders = {file.source.rpartition("/")[0] for file in weights.files}
        found: list[dict[str, Any]] = []
        async with self._client() as client:
            for folder in sorted(folders):
                path = f"{self.url}/api/models/{weights.repository}/tree/{weights.revision}"
                path += f"/{quote(folder)}" if folder else ""
                try:
                    answer = await client.get(path)
                    answer.raise_for_status()
                    entries = json.loads(answer.content[:LISTING_BYTES])
                    found += [entry for entry in entries if isinstance(entry.get("path"), str)]
                except (httpx.HTTPError, ValueError, AttributeError, TypeError) as error:
                    raise _no_answer(self.url, error) from error
        return found

    def _url_of(self, weights: Weights, file: WeightFile) -> str:
        if weights.repository:
            return f"{self.url}/{weights.repository}/resolve/{weights.revision}/{quote(file.source)}"
        return weights.base + file.source

    async def fetch(self, weights: Weights, file: WeightFile, target: Path, told: Progress) -> None:
        """The file into `target`, going on where it ends. Raises `Unavailable` after some attempts."""
        url = self._url_of(weights, file)
        for attempt in range(ATTEMPTS):
            try:
                async with self._client() as client:
                    await _transfer(client, url, file, target, told)
                return
            except (httpx.HTTPError, OSError) as error:
                last = attempt == ATTEMPTS - 1
                refused = isinstance(error, httpx.HTTPStatusError) and 400 <= error.response.status_code < 500
                if last or refused or isinstance(error, OSError):
                    raise _no_answer(url, error) from error
                await asyncio.sleep(self._pause * 2**attempt)


def _known(file: WeightFile, listed: dict[str, Any] | None, weights: Weights) -> WeightFile:
    """The catalogue's word goes before the hub's: a hub that has another file than was meant is found out."""
    if listed is None:
        raise NotFound(f"{weights.repository} has no file {file.source} at {weights.revision}", field="name")
    large = listed.get("lfs")
    if isinstance(large, dict):
        return replace(file, size=file.size or _int(large.get("size")),
                       sha256=file.sha256 or _hex(large.get("oid"), 64))
    return replace(file, size=file.size or _int(listed.get("size")), git=_hex(listed.get("oid"), 40))


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _hex(value: object, length: int) -> str | None:
    good = isinstance(value, str) and len(value) == length and all(digit in "0123456789abcdef" for digit in value)
    return str(value) if good else None


async def _transfer(client: httpx.AsyncClient, url: str, file: WeightFile, target: Path, told: Progress) -> None:
    done = await asyncio.to_thread(_size, target)
    if done == file.size:
        told(done, file.size)
        return
    if file.size is not None and done > file.size:
        done = 0  # longer than it can be: begin anew
    async with client.stream("GET", url, headers={"Range": f"bytes={done}-"} if done else {}) as answer:
        if answer.status_code == 416:  # nothing is left, or the file is another one now
            await asyncio.to_thread(target.unlink)
            raise httpx.ReadError("what was there did not fit")
        answer.raise_for_status()
        if answer.status_code != 206:
            done = 0
        length = answer.headers.get("content-length", "")
        total = file.size or (done + int(length) if length.isdigit() and "content-encoding" not in answer.headers
                              else None)
        with target.open("ab" if done else "wb") as output:
            async for piece in answer.aiter_bytes():
                done += len(piece)
                if total is not None and done > total:
                    raise httpx.ReadError(f"more than the {total} bytes that were announced")
                await asyncio.to_thread(output.write, piece)
                told(done, total)
    if total is not None and done < total:
        raise httpx.ReadError(f"ended after {done} of {total} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _no_answer(where: str, error: Exception) -> AimassError:
    if isinstance(error, httpx.HTTPStatusError):
        return Unavailable(f"{error.request.url} answered {error.response.status_code}")
    if isinstance(error, OSError):
        return Unavailable(f"the files can't be written: {error.strerror or error}")
    return Unavailable(f"{where} can't be reached ({type(error).__name__}{f': {error}' if str(error) else ''})")
