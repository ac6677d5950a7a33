"""Models of a server: finding, uploading, trying, deploying (docs/api/hub.md)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InvalidInput, NotFound
from .connection import Connection, part
from .image import unpacked
from .records import (
    Aliases,
    Choice,
    Comment,
    Conversion,
    Deployment,
    Import,
    Job,
    Model,
    Quarantined,
    Rating,
    Trial,
    Version,
    read,
)
from .uploads import Told, Uploads, download

PRODUCTION = "production"
FIRST_LOOK, LONGEST_LOOK = 0.1, 1.0  # s between two looks at a check
TRIED = 750_000  # bytes of a picture: a request has at most 1 MiB
LOADED = 120.0  # s that loading a version may take


class Models:
    """`Client.models`. `which` of a version is a number, an alias, or ``latest``."""

    def __init__(self, connection: Connection, uploads: Uploads) -> None:
        self._connection, self._uploads = connection, uploads

    # the catalogue ---------------------------------------------------------------------------------

    async def find(self, words: str = "", *, task: str = "", tag: str = "", licence: str = "", mine: bool = False,
                   built_in: bool | None = None, sort: str = "updated", most: int = 1000) -> list[Model]:
        """Those that one may see; `sort`: updated, downloads, rating or name."""
        rows = await self._connection.pages("/v1/hub/models", "models", most, q=words, task=task, tag=tag,
                                            licence=licence, mine=mine or None, built_in=built_in, sort=sort)
        return [read(Model, row) for row in rows]

    async def show(self, name: str) -> Model:
        """With its card."""
        return read(Model, await self._connection.request("GET", _of(name)))

    async def create(self, name: str, *, title: str | None = None, task: str | None = None,
                     licence: str | None = None, tags: list[str] | None = None, card: str | None = None,
                     visibility: str | None = None) -> Model:
        """A model without versions; what is left out may be told later."""
        said = {"name": name, "title": title, "task": task, "licence": licence, "tags": tags, "card": card,
                "visibility": visibility}
        return read(Model, await self._connection.request("POST", "/v1/hub/models", _told(said)))

    async def change(self, name: str, *, title: str | None = None, task: str | None = None,
                     licence: str | None = None, tags: list[str] | None = None, card: str | None = None,
                     visibility: str | None = None, revision: int | None = None) -> Model:
        """With the `revision` that was seen, a change by somebody else in between raises `Stale`."""
        said = {"title": title, "task": task, "licence": licence, "tags": tags, "card": card, "visibility": visibility}
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        response = await self._connection.checked("PATCH", _of(name), json=_told(said), headers=headers)
        return read(Model, response.json())

    async def delete(self, name: str) -> None:
        """With all versions. `Conflict` while one is used."""
        await self._connection.request("DELETE", _of(name))

    async def tags(self) -> dict[str, int]:
        """The most used, and of how many models."""
        return {each["tag"]: each["models"] for each in await self._connection.request("GET", "/v1/hub/tags")}

    async def auto(self, task: str, *, latency_ms: float | None = None, quality: str = "balanced") -> Choice:
        """What ``model=auto`` is for a task; `quality`: best, balanced or fast."""
        query = {"task": task, "latency_ms": latency_ms, "quality": quality}
        return read(Choice, await self._connection.request("GET", "/v1/hub/auto", query=query))

    # versions --------------------------------------------------------------------------------------

    async def versions(self, name: str) -> list[Version]:
        """The newest first."""
        told = await self._connection.request("GET", f"{_of(name)}/versions")
        return [read(Version, each) for each in told["versions"]]

    async def version(self, name: str, which: str | int = "latest") -> Version:
        """With its files and its manifest."""
        return read(Version, await self._connection.request("GET", _version(name, which)))

    async def upload(self, name: str, files: Path | str | Mapping[str, Path | str], *,
                     manifest: Mapping[str, Any] | None = None, note: str = "",
                     told: Callable[[str, int, int], None] | None = None) -> Version:
        """A new version of a file, of a folder, or of files by the names they are to have. The model is made if it is
        not there yet. Its check has only begun then: `checked` waits for it.

        `told(name, bytes that are there, bytes of the file)` follows.
        """
        ids = {}
        for inside, path in _files(files).items():
            follow: Told | None = None if told is None else _of_file(told, inside)
            ids[inside] = (await self._uploads.send(path, inside, follow)).id
        try:
            await self.show(name)
        except NotFound:
            await self.create(name)
        return await self.submit(name, ids, manifest=manifest, note=note)

    async def submit(self, name: str, uploads: Mapping[str, str], *, manifest: Mapping[str, Any] | None = None,
                     note: str = "") -> Version:
        """A new version of uploads, whose ids are given by the names of files."""
        body = {"uploads": dict(uploads), "manifest": dict(manifest or {}), "note": note}
        return read(Version, await self._connection.request("POST", f"{_of(name)}/versions", body))

    async def checked(self, name: str, number: int, told: Callable[[Version], None] | None = None) -> Version:
        """The version when its check is over: ready, refused or quarantined. `told` follows."""
        wait = FIRST_LOOK
        while True:
            version = await self.version(name, number)
            if version.state != "checking":
                return version
            if told is not None:
                told(version)
            await asyncio.sleep(wait)
            wait = min(1.5 * wait, LONGEST_LOOK)

    async def delete_version(self, name: str, number: int) -> None:
        """`Conflict` while an alias or a session uses it; its data have `used_by`."""
        await self._connection.request("DELETE", _version(name, number))

    async def graph(self, name: str, which: str | int = "latest") -> dict[str, Any]:
        """`nodes`, `tensors`, `inputs`, `outputs`, `between`, `count`."""
        return dict(await self._connection.request("GET", f"{_version(name, which)}/graph"))

    async def compare(self, name: str, one: str | int, other: str | int) -> dict[str, Any]:
        """Sizes, ms, weights, operators, and how far the trials' answers are apart."""
        return dict(await self._connection.request("GET", f"{_of(name)}/compare", query={"a": one, "b": other}))

    async def try_version(self, name: str, which: str | int, value: Any = None, *, picture: Path | str | None = None
                          ) -> Trial:
        """Run a version that is ready once, deployed or not. `picture`: a file, for one that takes pictures."""
        if picture is not None:
            value = await asyncio.to_thread(_picture, Path(picture))
        return read(Trial, await self._connection.request("POST", f"{_version(name, which)}/try", {"input": value},
                                                          seconds=LOADED))

    async def conversions(self) -> list[Conversion]:
        """What versions can be turned into."""
        told = await self._connection.request("GET", "/v1/hub/conversions")
        return [read(Conversion, each) for each in told["conversions"]]

    async def imports(self) -> list[Import]:
        """Formats that become ONNX when they are uploaded."""
        told = await self._connection.request("GET", "/v1/hub/conversions")
        return [read(Import, each) for each in told["imports"]]

    async def convert(self, name: str, kind: str, which: str | int = "latest", *,
                      options: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> Job:
        """The job that makes another version; `Client.jobs.wait` waits for it. Then `facts` has its number (`version`)
        and what was measured (`conversion`)."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        response = await self._connection.checked("POST", f"{_version(name, which)}/conversions", headers=headers,
                                                  json={"kind": kind, "options": dict(options or {})})
        return read(Job, response.json())

    async def download(self, name: str, folder: Path | str, which: str | int = "latest",
                       told: Told | None = None) -> list[Path]:
        """The version's files into a folder, each checked by its SHA-256. What is there already is not fetched."""
        version = await self.version(name, which)
        total, done = sum(file.size for file in version.files), 0
        paths = []

        def came(count: int) -> None:
            nonlocal done
            done += count
            if told is not None:
                told(done, total)

        for file in version.files:
            target = Path(folder) / _inside(file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            path = "/".join(part(each) for each in PurePosixPath(file.path).parts)
            await download(self._connection, f"{_version(name, version.number)}/files/{path}", target, file.size,
                           file.sha256, came)
            paths.append(target)
        return paths

    # quarantine ------------------------------------------------------------------------------------

    async def quarantine(self, most: int = 1000) -> list[Quarantined]:
        """Versions that are code and wait for an admin, the longest first. For admins."""
        rows = await self._connection.pages("/v1/hub/quarantine", "waiting", most)
        return [read(Quarantined, row) for row in rows]

    async def approve(self, name: str, number: int, reason: str) -> Version:
        """Have somebody else's code tried, and run in a cell from then on: `checked` waits for that. For admins."""
        return await self._decide(name, number, "approve", reason)

    async def reject(self, name: str, number: int, reason: str) -> Version:
        """Its owner reads the reason. For admins."""
        return await self._decide(name, number, "reject", reason)

    async def _decide(self, name: str, number: int, what: str, reason: str) -> Version:
        told = await self._connection.request("POST", f"{_version(name, number)}/{what}", {"reason": reason})
        return read(Version, told)

    async def image(self, name: str, folder: Path | str, which: str | int = "latest") -> list[Path]:
        """A Dockerfile and what it needs to serve this version alone, into an empty folder."""
        return await unpacked(self._connection, f"{_version(name, which)}/image", Path(folder))

    # deployments -----------------------------------------------------------------------------------

    async def alias(self, name: str, alias: str = PRODUCTION) -> Deployment:
        """Where one leads."""
        return read(Deployment, await self._connection.request("GET", _alias(name, alias)))

    async def aliases(self, name: str) -> Aliases:
        """Where each leads, and what came of shadows."""
        return read(Aliases, await self._connection.request("GET", f"{_of(name)}/aliases"))

    async def deploy(self, name: str, version: int, alias: str = PRODUCTION, *, canary: int | None = None,
                     share: int = 0, shadow: int | None = None) -> Deployment:
        """Have the alias lead to the version; `canary` gets `share` % of what is new, `shadow` is asked, too."""
        body = _told({"version": version, "canary": canary, "share": share, "shadow": shadow})
        return read(Deployment, await self._connection.request("PUT", _alias(name, alias), body, seconds=LOADED))

    async def roll_back(self, name: str, alias: str = PRODUCTION) -> Deployment:
        """To where it led before."""
        return read(Deployment, await self._connection.request("POST", f"{_alias(name, alias)}/rollback",
                                                               seconds=LOADED))

    async def withdraw(self, name: str, alias: str = PRODUCTION) -> None:
        """Have it lead nowhere."""
        await self._connection.request("DELETE", _alias(name, alias))

    async def history(self, name: str, alias: str = PRODUCTION) -> list[Deployment]:
        """The newest first."""
        told = await self._connection.request("GET", f"{_alias(name, alias)}/history")
        return [read(Deployment, each) for each in told["deployments"]]

    # what people think -----------------------------------------------------------------------------

    async def rate(self, name: str, stars: int) -> Rating:
        """1 to 5; 0 takes it back."""
        return read(Rating, await self._connection.request("PUT", f"{_of(name)}/rating", {"stars": stars}))

    async def comments(self, name: str, most: int = 1000) -> list[Comment]:
        """The newest first. Their text is plain: it is no HTML."""
        return [read(Comment, row) for row in await self._connection.pages(f"{_of(name)}/comments", "comments", most)]

    async def comment(self, name: str, text: str) -> Comment:
        return read(Comment, await self._connection.request("POST", f"{_of(name)}/comments", {"text": text}))

    async def delete_comment(self, name: str, comment_id: str) -> None:
        await self._connection.request("DELETE", f"{_of(name)}/comments/{part(comment_id)}")


def _picture(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from error
    if len(data) > TRIED:
        raise InvalidInput(f"{path} is larger than the {TRIED // 1000} kB that a trial takes: shrink it, or deploy the "
                           "version, under an alias of its own if need be, and ask that")
    return base64.b64encode(data).decode()


def _of(name: str) -> str:
    if "/" in name:  # which no name has, and a path would not be the same with
        raise NotFound(f"there is no model {name[:64]!r}")
    return f"/v1/hub/models/{part(name)}"


def _version(name: str, which: str | int) -> str:
    return f"{_of(name)}/versions/{part(which)}"


def _alias(name: str, alias: str) -> str:
    return f"{_of(name)}/aliases/{part(alias)}"


def _told(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def _of_file(told: Callable[[str, int, int], None], name: str) -> Told:
    return lambda done, size: told(name, done, size)


def _files(files: Path | str | Mapping[str, Path | str]) -> dict[str, Path]:
    """By the names that they are to have."""
    if isinstance(files, Mapping):
        return {name: Path(path) for name, path in files.items()}
    path = Path(files)
    if not path.is_dir():
        return {path.name: path}
    found = {each.relative_to(path).as_posix(): each for each in sorted(path.rglob("*"))
             if each.is_file() and not any(piece.startswith(".") for piece in each.relative_to(path).parts)}
    if not found:
        raise InvalidInput(f"there are no files in {path}")
    return found


def _inside(path: str) -> PurePosixPath:
    """A server's name for a file, where it stays in the folder. Raises `InvalidInput`."""
    inside = PurePosixPath(path)
    if inside.is_absolute() or not inside.parts or ".." in inside.parts or "\\" in path or ":" in path:
        raise InvalidInput(f"the server calls a file {path!r}, which leads out of the folder")
    return inside
