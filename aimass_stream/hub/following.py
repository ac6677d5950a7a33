"""What the hub does for somebody, seen as jobs: checks of versions, and files that it fetches by their address.

Both are bounded by the hub itself, and go on by themselves when a server begins again; the job says how far they are,
and ending it ends them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .. import fetching
from ..errors import AimassError, Conflict, InvalidInput, NotFound, Unavailable
from ..jobs import Here, Job, Jobs, Progress
from ..ports import SCOPES, Caller
from ..settings import Settings
from ..webhooks import Resolve, resolved
from .uploads import Upload

if TYPE_CHECKING:
    from ..store.jobs import Job as Row
    from .hub import Hub
    from .records import Version

log = logging.getLogger(__name__)

IMPORT, FETCH = "import", "fetch"
NEWS = 0.5  # s between two looks at how far it is
IMPORTS, FETCHES = 8, 2  # that run at once; checks still take turns
TRIES = 5  # of one file, without a byte between them
WAIT = 1.0  # s before the second of them; doubled before each further one
US = Caller("server", role="admin", scopes=SCOPES)


class Following:
    """Made when hub and jobs are open."""

    def __init__(self, hub: Hub, board: Jobs, settings: Settings, resolve: Resolve = resolved) -> None:
        self._hub, self._board, self._settings, self._resolve = hub, board, settings, resolve
        board.register(IMPORT, lambda payload: Here(self._check), dropped=self._uncheck, at_once=IMPORTS)
        board.register(FETCH, lambda payload: Here(self._fetch), dropped=self._unfetch, at_once=FETCHES)

    # checks of versions ----------------------------------------------------------------------------

    async def check(self, caller: Caller, version: Version) -> Job:
        """The job that shows the check of a version that was submitted just now."""
        return await self._board.begin(
            IMPORT, {"name": version.name, "number": version.number, "id": version.id}, owner=caller.owner,
            name=f"{version.served}.json", media_type="application/json", facts={"model": version.served})

    async def _check(self, row: Row, path: Path) -> AsyncGenerator[Progress, None]:
        importer, told = self._hub.importer, row.payload
        while True:
            settled = importer.settled
            version = await self._hub.catalogue.version(US, told["name"], told["number"])
            if version.id != told["id"]:
                raise NotFound(f"{version.served} was deleted")
            if version.state != "checking":
                break
            share, message = importer.progress.get(version.id, (0.0, "waiting for its turn"))
            yield Progress(min(share, 0.99), message)
            try:
                async with asyncio.timeout(NEWS):
                    await settled.wait()
            except TimeoutError:
                continue
        if version.state == "refused":
            raise InvalidInput(f"{version.served} is refused: {version.reason}")
        facts = {"model": version.served, "state": version.state, "reason": version.reason, "format": version.format}
        await asyncio.to_thread(path.write_text, json.dumps(facts | {"facts": version.facts}), "utf-8")
        yield Progress(1.0, version.state, facts)

    async def _uncheck(self, row: Row) -> None:
        await self._hub.importer.cancel(row.payload["id"])

    # files by address ------------------------------------------------------------------------------

    async def fetch(self, caller: Caller, url: str, name: str | None = None, sha256: str | None = None
                    ) -> tuple[Upload, Job]:
        """An upload that the server fills itself, once it has seen that there is such a file. Raises `InvalidInput`,
        `Unavailable`, and what `Uploads.begin` does."""
        try:
            async with asyncio.timeout(fetching.TIMEOUT), fetching.opened(
                    url, self._settings, resolve=self._resolve) as remote:
                size, tag = remote.size, remote.tag
        except TimeoutError:
            raise Unavailable("nobody answers there", field=fetching.FIELD) from None
        upload = await self._hub.uploads.begin(caller, name or _named(url), size, sha256)
        job = await self._board.begin(FETCH, {"upload": upload.id, "url": url, "tag": tag}, owner=caller.owner,
                                      name=f"{upload.id}.json", media_type="application/json",
                                      facts={"upload": upload.id, "size": size})
        return upload, job

    async def _fetch(self, row: Row, path: Path) -> AsyncGenerator[Progress, None]:
        uploads, told = self._hub.uploads, row.payload
        upload, failures = await uploads.get(US, told["upload"]), 0
        while upload.sha256 is None:
            part = asyncio.create_task(self._part(upload, told), name=f"{row.id} {upload.offset}")
            try:
                while not (await asyncio.wait([part], timeout=NEWS))[0]:
                    yield _progress(await uploads.get(US, upload.id))
            finally:
                part.cancel()
                await asyncio.wait([part])
            error = part.exception()
            if error is not None and not isinstance(error, Unavailable):
                raise error
            now = await uploads.get(US, upload.id)
            failures = 0 if now.offset > upload.offset else failures + 1
            upload = now
            if error is not None:
                if failures >= TRIES:
                    raise error
                log.info("job %s: %s", row.id, error)
                yield _progress(upload)
                await asyncio.sleep(WAIT * 2**failures)
        facts = {"upload": upload.id, "name": upload.name, "size": upload.size, "sha256": upload.sha256}
        await asyncio.to_thread(path.write_text, json.dumps(facts), "utf-8")
        yield Progress(1.0, "all of it is here", facts)

    async def _part(self, upload: Upload, told: dict[str, Any]) -> None:
        """What is missing, or as much of it as comes."""
        if upload.offset == upload.size:  # a server was killed before all of it was hashed
            await self._hub.uploads.whole(US, upload.id)
            return
        async with fetching.opened(told["url"], self._settings, offset=upload.offset, tag=told["tag"],
                                   resolve=self._resolve) as remote:
            if remote.size != upload.size or (told["tag"] and remote.tag != told["tag"]):
                raise Conflict(f"{remote.host} gives another file now", field=fetching.FIELD)
            await self._hub.uploads.append(US, upload.id, upload.offset, _from(remote, upload.offset))

    async def _unfetch(self, row: Row) -> None:
        try:
            await self._hub.uploads.end(US, row.payload["upload"])
        except AimassError as error:
            log.info("job %s: %s", row.id, error.detail)


async def _from(remote: fetching.Remote, offset: int) -> AsyncGenerator[bytes, None]:
    """What follows what is here, also of a server that begins at the beginning again."""
    skip = offset - remote.offset
    async for piece in remote.pieces():
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))


def _progress(upload: Upload) -> Progress:
    return Progress(min(0.99, upload.offset / upload.size), f"{upload.offset} of {upload.size} bytes")


def _named(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name[:200] or "model.bin"
