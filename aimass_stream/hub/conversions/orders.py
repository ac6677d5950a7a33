"""Conversions as jobs: they are begun here, and what comes of them is kept as another version.

The result goes the way of everything that is sent: it is checked and tried in the sandbox before it is ready. A job
that is cancelled, or fails, leaves no version; one whose server was killed is done once more, and makes one version.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import sandbox
from ...errors import Conflict, Forbidden, InvalidInput, NotFound, SandboxError
from ...inference.loader import MANIFEST
from ...jobs import Job, Jobs, Work
from ...ports import ROLES, Caller
from ...store.blobs import no_space, pieces
from ...store.sealed import NO_KEY
from ...uncut import to_the_end
from ..records import File, Version
from .child import convert
from .kinds import KINDS, Kind
from .sealing import keys_out

if TYPE_CHECKING:
    from ...store.jobs import Job as Row
    from ..hub import Hub

log = logging.getLogger(__name__)

JOB = "model-conversion"
ARCHIVE = "converted.tar"
SECONDS = 3600.0
MEMORY, TIMES = 6 << 30, 8  # bytes of address space, and so many times the files' size
TORCH = 24 << 30  # bytes more of address space that torch and its libraries map
KEPT = ("title", "task", "licence", "sources", "description", "inputs", "outputs", "example", "capabilities")
NEWS = 2.0  # s between looks at a check that another process makes


class Conversions:
    """Used on the hub's event loop."""

    def __init__(self, hub: Hub, jobs: Jobs) -> None:
        self._hub, self._jobs = hub, jobs
        jobs.register(JOB, self._make, finish=self._finish)

    async def begin(self, caller: Caller, name: str, which: str, kind: str, options: Mapping[str, Any], *,
                    key: str | None = None, webhook: str | None = None) -> Job:
        """Raises `NotFound`, `Forbidden`, `Conflict` for a version that is not ready, `InvalidInput` for a kind, a
        format or an option that does not fit, `Unavailable` where something has to be installed first."""
        wanted = kind_of(kind)
        chosen = wanted.chosen(dict(options))
        model = await self._hub.catalogue.get(caller, name)
        if not caller.owns(model.owner) or model.built_in:
            raise Forbidden(f"{name} is built in" if model.built_in else f"{name} is somebody else's model")
        number = await self._hub.catalogue.number(caller, name, which)
        version = await self._hub.catalogue.version(caller, name, number)
        if version.state != "ready":
            raise Conflict(f"{version.served} is {version.state}: what is ready can be converted", field="version")
        self._check(wanted, version)
        payload = {"model": model.id, "name": name, "version": version.number, "kind": kind, "options": chosen,
                   "creator": caller.user}
        job = await self._jobs.begin(JOB, payload, owner=caller.owner, name=f"{name}-{version.number}-{kind}.json",
                                     media_type="application/json", idempotency_key=key, webhook=webhook,
                                     facts={"model": name, "from": version.number, "kind": kind})
        await self._hub.audit(caller, "model.conversion", version.served, kind=kind, job=job.id)
        return job

    async def _make(self, payload: dict[str, Any]) -> Work:
        version = await self._source(payload)
        kind: Kind = kind_of(payload["kind"])
        self._check(kind, version)
        entry = await self._hub.deployments.places.lay_out(version)
        most = max(1 << 30, 4 * version.size)
        limits = sandbox.Limits(seconds=SECONDS, cpu_seconds=round(SECONDS), open_files=2500, output_bytes=8 << 20,
                                memory_bytes=MEMORY + TIMES * version.size + TORCH, file_bytes=most)
        told = told_of(version, kind)
        arguments = (str(entry.folder), kind.name, payload["options"], version.format, told)
        if kind.name != "encrypt":
            return Work(convert, arguments, limits)
        number = await asyncio.to_thread(keys_out, self._hub.vault.keys)
        return Work(convert, (*arguments, number), limits, files=(number,))

    def install(self, kind: Kind, format: str) -> str:
        """What has to be done first for this format, "" where nothing has."""
        return NO_KEY if kind.name == "encrypt" and not self._hub.vault.keys else kind.install(format)

    def _check(self, kind: Kind, version: Version) -> None:
        kind.check(version.format)
        if kind.name == "encrypt":
            self._hub.vault.keys.current()
        elif version.sealed:
            raise Conflict(f"{version.served} is encrypted: convert the version that it was made from, and encrypt "
                           "what comes of that", field="version")

    async def _source(self, payload: dict[str, Any]) -> Version:
        """Raises `NotFound` where it was deleted meanwhile."""
        model = await self._hub.catalogue.get(_us(payload), payload["name"])
        if model.id != payload["model"]:
            raise NotFound(f"the model {payload['name']} that was to be converted is gone", field="model")
        return await self._hub.catalogue.version(_us(payload), payload["name"], payload["version"])

    async def _finish(self, row: Row, path: Path) -> None:
        """The archive becomes a version, and the job's result what is told of it."""
        caller, name = _us(row.payload), row.payload["name"]
        source = await self._source(row.payload)
        version = await self._known(row)
        if version is None:
            version = await self._added(row, source, path)
        try:
            version = await self._settled(caller, version)
            if version.state != "ready":
                raise InvalidInput(f"the result was refused: {version.reason}", field="kind")
        except BaseException:  # also where the job is cancelled: nothing is left of it
            await to_the_end(self._gone(caller, version))
            raise
        row.facts.update(version=version.number, conversion=version.facts["conversion"])
        result = {"model": name, "version": version.number, "conversion": version.facts["conversion"]}
        await asyncio.to_thread(path.write_text, json.dumps(result, indent=1), "utf-8")
        log.info("%s is %s of %s", version.served, row.payload["kind"], source.served)

    async def _added(self, row: Row, source: Version, path: Path) -> Version:
        report = dict(row.facts.get("conversion") or {})
        facts = {"conversion": {"from": source.number, "job": row.id} | report}
        kind = kind_of(row.payload["kind"])
        if kind.name == "encrypt":
            return await self._sealed(row, source, path, facts)
        blob = await self._hub.blobs.put(pieces(path))
        version = await self._hub.catalogue.add_version(
            _us(row.payload), source.name, told_of(source, kind), [File(ARCHIVE, blob.sha256, blob.size)],
            f"{kind.name} of version {source.number}", facts=facts)
        self._hub.importer.wake()
        return version

    async def _sealed(self, row: Row, source: Version, path: Path, facts: dict[str, Any]) -> Version:
        """An encrypted version is not checked: nobody could read it. It opened as what was checked already."""
        plain = {file.path: file for file in source.plain if file.path != MANIFEST}
        files = []
        for name in await asyncio.to_thread(_names, path):
            if name not in plain:
                raise SandboxError(f"nobody asked for the file {name[:100]!r}")
            async with self._hub.blobs.scratch() as place:
                await asyncio.to_thread(_taken, path, name, place)
                blob = await self._hub.blobs.adopt(place)
            files.append(File(name, blob.sha256, blob.size))
        if {file.path for file in files} != set(plain):
            raise SandboxError("the child left files out")
        told = {name: {"sha256": file.sha256, "size": file.size} for name, file in plain.items()}
        kept = {name: fact for name, fact in source.facts.items() if name not in ("sealed", "conversion")}
        sealed = {"key": facts["conversion"].pop("key"), "files": told}
        return await self._hub.catalogue.add_version(
            _us(row.payload), source.name, source.told, files, f"version {source.number}, encrypted", state="ready",
            format=source.format, engine=source.engine, manifest=source.manifest, graph=source.graph,
            facts=kept | facts | {"sealed": sealed})

    async def _known(self, row: Row) -> Version | None:
        """What this job made before its server was killed."""
        for version in await self._hub.catalogue.versions(_us(row.payload), row.payload["name"]):
            if (version.facts.get("conversion") or {}).get("job") == row.id:
                return version
        return None

    async def _settled(self, caller: Caller, version: Version) -> Version:
        while version.state == "checking":
            settled = self._hub.importer.settled
            version = await self._hub.catalogue.version(caller, version.name, version.number)
            if version.state == "checking":
                try:
                    async with asyncio.timeout(NEWS):
                        await settled.wait()
                except TimeoutError:
                    continue
        return version

    async def _gone(self, caller: Caller, version: Version) -> None:
        try:
            await self._hub.catalogue.delete_version(caller, version.name, version.number)
        except (NotFound, Conflict) as error:  # somebody was quicker, and deleted or deployed it
            log.info("%s stays as it is: %s", version.served, error.detail)


def kind_of(name: str) -> Kind:
    """Raises `InvalidInput`."""
    for kind in KINDS.values():
        if kind.name == name:
            return kind
    raise InvalidInput(f"there is no conversion {name[:40]!r}; there are: {', '.join(KINDS)}", field="kind")


def told_of(version: Version, kind: Kind) -> dict[str, Any]:
    """What is said of the result, as its sender would. Quality that was measured is the original's alone."""
    manifest = version.manifest
    told = {key: manifest[key] for key in KEPT if manifest.get(key)}
    if kind.exact and manifest.get("card"):
        told["card"] = manifest["card"]
    if kind.name != "onnx":
        told |= {"engine": manifest["engine"], "options": manifest.get("options") or {}}
    return told


def _us(payload: dict[str, Any]) -> Caller:
    """The server, in the name of who asked: they were allowed to when they did."""
    return Caller("conversions", user=payload["creator"], role="admin", scopes=ROLES["admin"])


def _names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return [member.name for member in opened if member.isreg()]


def _taken(archive: Path, name: str, place: Path) -> None:
    with tarfile.open(archive) as opened, place.open("wb") as target, no_space():
        member = opened.extractfile(name)
        assert member is not None
        shutil.copyfileobj(member, target, 1 << 20)
