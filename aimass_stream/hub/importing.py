"""Imports: versions that were sent, checked one after the other in a niced child without network.

What waits is what the catalogue says is being checked: a server that was killed begins with it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from .. import sandbox
from ..errors import AimassError, Conflict, SandboxError
from ..sandbox.cells import close_named
from ..store import Blobs
from ..store.blobs import pieces
from .archives import is_archive
from .catalogue import Catalogue
from .examine import GRAPH, examine
from .quarantine import approved, digest
from .records import File, Version
from .trial import tried
from .uploads import MOST

log = logging.getLogger(__name__)

SECONDS = 600.0  # that one import may take
MEMORY = 6 << 30  # bytes of address space, and so many times the files' size
TIMES = 6
TORCH = 24 << 30  # bytes more of address space that torch and its libraries map
CANCELLED = "the check was cancelled"
STATES = ("ready", "quarantined")
MOST_GRAPH = 64 << 20


class Importer:
    """Used on one event loop; `close` leaves no child and no file behind."""

    def __init__(self, catalogue: Catalogue, blobs: Blobs, folder: Path, *, most: int = MOST,
                 settled: Callable[[Version], Awaitable[None]] | None = None) -> None:
        """`settled` is told of each that came to an end."""
        self._catalogue, self._blobs, self._folder, self._most = catalogue, blobs, folder, most
        self._settled = settled
        self.converters = folder / "converters"  # interpreters with other frameworks, by the frameworks' names
        self._wake = asyncio.Event()
        self.idle = asyncio.Event()  # nothing is left to be checked
        self.settled = asyncio.Event()  # set when a check came to its end; then there is another one
        self._task: asyncio.Task[None] | None = None
        self._now: tuple[str, asyncio.Task[None]] | None = None  # the version that is being checked
        self._closed = False
        self._cancelled: set[str] = set()  # versions, while others are being checked
        self.progress: dict[str, tuple[float, str]] = {}  # of versions by id: share, message

    def start(self) -> None:
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="imports of models")

    def wake(self) -> None:
        """There is a new one."""
        self.idle.clear()
        self._wake.set()

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for version in await self._catalogue.checking():
                if version.id not in self._cancelled:
                    await self._one(version)
            self._cancelled.clear()
            if not self._wake.is_set():
                self.idle.set()

    async def _one(self, version: Version) -> None:
        check = asyncio.create_task(self._check(version), name=f"check of {version.served}")
        self._now = version.id, check
        try:
            await check
        except asyncio.CancelledError:
            check.cancel()
            await asyncio.wait([check])
            if self._closed:
                raise
        except Exception:
            log.exception("the import of %s failed", version.served)
            await self._catalogue.settle(version.id, None, state="refused", reason="something of ours went "
                                         "wrong; the server's log has more")
        finally:
            self._now = None

    async def cancel(self, version_id: str) -> None:
        """Nobody wants this check any more: the version is refused, if it is not settled."""
        self._cancelled.add(version_id)
        await self._catalogue.settle(version_id, None, state="refused", reason=CANCELLED)
        if self._now is not None and self._now[0] == version_id:
            self._now[1].cancel()
        self.settled.set()
        self.settled = asyncio.Event()

    async def _check(self, version: Version) -> None:
        work = self._folder / version.id
        place = work / version.served
        try:
            async with AsyncExitStack() as stack:
                blobs = {file.sha256: await stack.enter_async_context(self._blobs.local(file.sha256))
                         for file in version.files}
                archive = await _laid_out(version, blobs, work, place)
                result = await self._examined(version, place, archive)
                if result["state"] == "approved":
                    result = await self._tried(version, place, result)
                files, graph = await self._kept(blobs, work, place)
                if result["state"] == "ready" and approved(version) and digest(files) != digest(version.files):
                    raise Conflict("the check made other files of those that were approved")
            values: dict[str, Any] = {
                "state": result["state"] if result["state"] in STATES else "refused", "format": str(result["format"]),
                "engine": str(result["engine"]), "reason": str(result["reason"])[:1000], "graph": graph,
                "facts": version.facts | dict(result["facts"]), "manifest": dict(result.get("manifest") or {}),
                "size": sum(file.size for file in files)}
        except AimassError as error:
            files, values = [], {"state": "refused", "reason": _told(error)}
        finally:
            self.progress.pop(version.id, None)
            await asyncio.to_thread(shutil.rmtree, work, True)
        log.info("model %s is %s: %s", version.served, values["state"], values["reason"] or "it runs")
        settled = await self._catalogue.settle(version.id, files or None, **values)
        self.settled.set()
        self.settled = asyncio.Event()
        if settled and self._settled is not None:
            await self._settled(version)

    async def _examined(self, version: Version, place: Path, archive: str) -> dict[str, Any]:
        size = sum(file.size for file in version.files)
        memory = MEMORY + TIMES * size + TORCH
        limits = sandbox.Limits(seconds=SECONDS, cpu_seconds=round(SECONDS), memory_bytes=memory,
                                file_bytes=self._most, open_files=2500, output_bytes=8 << 20,
                                niceness=sandbox.BACKGROUND)
        result: dict[str, Any] = {}
        async with aclosing(sandbox.stream(examine, str(place), archive, version.told, self._most, approved(version),
                                           str(self.converters), limits=limits)) as told:
            async for piece in told:
                try:
                    said = json.loads(piece)
                    result = said.get("result", result)
                    if "share" in said:
                        self.progress[version.id] = float(said["share"]), str(said["message"])[:200]
                except (ValueError, TypeError, AttributeError):
                    raise SandboxError("what the check says can't be read") from None
        if not isinstance(result, dict) or not {"state", "format", "engine", "reason", "facts"} <= set(result):
            raise SandboxError("the check came to nothing")
        return result

    async def _tried(self, version: Version, place: Path, result: dict[str, Any]) -> dict[str, Any]:
        """Code that an admin approved, in its cell. The thread only waits for that."""
        self.progress[version.id] = 0.6, "trying it in its cell"
        manifest, example = result["manifest"], result["example"]
        try:
            trial = await asyncio.to_thread(tried, place, manifest, example)
        except asyncio.CancelledError:
            await asyncio.to_thread(close_named, version.served)
            raise
        return result | {"state": "ready", "facts": result["facts"] | {"trial": trial},
                         "manifest": manifest | ({"example": example} if example is not None else {})}

    async def _kept(self, known: dict[str, Path], work: Path, place: Path) -> tuple[list[File], str | None]:
        """What the child left, as blobs."""
        files = []
        for path in await asyncio.to_thread(_regular, place):
            same = await asyncio.to_thread(_same, path, known)
            size = path.stat().st_size
            sha256 = same or (await self._blobs.put(pieces(path), limit=self._most)).sha256
            files.append(File(path.relative_to(place).as_posix(), sha256, size))
        graph = work / GRAPH
        if graph.is_symlink() or not graph.is_file() or graph.stat().st_size > MOST_GRAPH:
            return files, None
        return files, (await self._blobs.put(pieces(graph))).sha256


async def _laid_out(version: Version, blobs: dict[str, Path], work: Path, place: Path) -> str:
    """The files where the child looks for them; the path of an archive that is still to be unpacked."""
    await asyncio.to_thread(shutil.rmtree, work, True)
    await asyncio.to_thread(place.mkdir, parents=True)
    archive = len(version.files) == 1 and is_archive(version.files[0].path)
    for file in version.files:
        target = work / "archive" if archive else place / file.path
        await asyncio.to_thread(link, blobs[file.sha256], target)
    return str(work / "archive") if archive else ""


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk can't do that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _regular(folder: Path) -> list[Path]:
    """Files that the child left, without links, which might lead anywhere."""
    found = []
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(base, name))]
        for name in names:
            path = Path(base, name)
            if path.is_file() and not path.is_symlink():
                found.append(path)
    return sorted(found)


def _same(path: Path, known: dict[str, Path]) -> str | None:
    """The blob that this is a name of."""
    for sha256, blob in known.items():
        with contextlib.suppress(OSError):
            if os.path.samefile(path, blob):
                return sha256
    return None


def _told(error: AimassError) -> str:
    return f"it ended the check: {error.detail}" if type(error).__name__ == "SandboxKilled" else error.detail[:1000]
