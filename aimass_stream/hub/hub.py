"""The hub as a whole: catalogue, uploads, imports, deployments, and how they meet the inference engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, InvalidInput, NotFound
from ..inference import Engine, FolderStore, ModelOf
from ..ports import Auditor, Caller
from ..spec import PipelineSpec
from ..store import Blobs, Database
from ..store.sealed import Keys
from . import pins
from .archives import inner, is_archive
from .catalogue import Catalogue
from .choosing import AUTO, Candidate, Chosen, Quality, candidate, choose
from .cold import Cold
from .deploying import Choice, Deployments
from .importing import Importer
from .opinions import Opinions
from .places import Places
from .quarantine import Quarantine
from .records import PRODUCTION, File, HubModel, Version
from .shadows import Shadows
from .uploads import Uploads
from .vault import Vault

if TYPE_CHECKING:
    from .following import Following

log = logging.getLogger(__name__)

SWEEP = 3600.0  # s
MOST_FILES = 64  # uploads of one version; more go into an archive


class Hub:
    """Made and used on one event loop: `start`, then `close`. What it keeps in a folder ``new`` can be made again."""

    def __init__(self, database: Database, blobs: Blobs, engine: Engine, store: FolderStore, folder: Path, *,
                 specs: Callable[[], Mapping[str, PipelineSpec]] = dict, auditor: Auditor | None = None,
                 keys: Sequence[bytes] = (), fields: pins.Fields = lambda stage: {}, live: Callable[[], bool] = bool,
                 upload_pace: float = 0) -> None:
        """`specs` are the pipelines of live sessions, by the sessions' ids; `keys` those that files are sealed with;
        `fields` the parameters of a stage that name models; `upload_pace` is what uploads bring while there are `live`
        sessions."""
        self.engine, self.store, self.blobs = engine, store, blobs
        self._specs, self._auditor, self._fields = specs, auditor, fields
        # versions that others hold, by who does: what a transport hears with, what waits to be done
        self.holders: list[Callable[[], Mapping[str, Sequence[str]]]] = []
        self.waiting: list[Callable[[], Awaitable[Mapping[str, Sequence[str]]]]] = []  # those that have to be looked up
        self.catalogue = Catalogue(database)
        self.opinions = Opinions(database)
        self.uploads = Uploads(database, blobs, folder / "uploads", live=live, pace=upload_pace)
        self.importer = Importer(self.catalogue, blobs, folder / "new" / "work")
        self.importer.converters = folder.parent / "converters"
        self.quarantine = Quarantine(database, self.importer.wake)
        self.deployments = Deployments(database, Places(blobs, folder / "new" / "models"), engine.load)
        self.vault = Vault(Keys(keys), folder / "new" / "plain")
        self.shadows = Shadows(engine, self.deployments.shadow)
        self.cold = Cold(engine, self.in_use)
        self.following: Following | None = None  # jobs that show what is done here, where there are jobs
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.catalogue.sync(await asyncio.to_thread(self.store.entries))
        self.store.versions, self.store.plain = self.deployments.places.folder, self.vault.entry
        await asyncio.to_thread(self.vault.clear)
        await self.deployments.start()
        self.engine.answered = self.shadows.answered
        self.importer.start()
        self._tasks = [asyncio.create_task(self.cold.run(), name="cold models"),
                       asyncio.create_task(self.deployments.follow(), name="deployments"),
                       asyncio.create_task(self._sweep(), name="blobs of models")]

    async def close(self) -> None:
        self.engine.answered = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.importer.close()
        await self.shadows.close()

    async def refresh(self) -> None:
        """Folders of models came, went or changed."""
        await self.catalogue.sync(await asyncio.to_thread(self.store.entries))

    # versions --------------------------------------------------------------------------------------

    async def submit(self, caller: Caller, name: str, uploads: Mapping[str, str], manifest: dict[str, Any],
                     note: str = "") -> Version:
        """A new version of files by their names in the model's folder, each the id of an upload; or of one archive.

        Raises `Conflict` while something is missing of an upload, and what is wrong with names as `InvalidInput`.
        """
        if not 1 <= len(uploads) <= MOST_FILES:
            raise InvalidInput(f"a version has 1 to {MOST_FILES} uploads; more go into a zip or tar file",
                               field="uploads")
        if len(uploads) > 1 and any(map(is_archive, uploads)):
            raise InvalidInput("an archive is sent alone: it has all files in it", field="uploads")
        files = []
        for path, upload_id in uploads.items():
            upload = await self.uploads.whole(caller, upload_id)
            files.append(File(str(inner(path)), upload.sha256 or "", upload.size))
        model = await self.catalogue.get(caller, name)
        base = {"task": model.task, "title": model.title, "licence": model.licence}
        told = {key: value for key, value in base.items() if value} | manifest
        version = await self.catalogue.add_version(caller, name, told, files, note)
        self.importer.wake()
        await self.audit(caller, "model.version", version.served)
        return version

    @asynccontextmanager
    async def plain(self, version: Version, path: str) -> AsyncIterator[Path]:
        """Where a file of a version can be read as it was sent, until the end of this. Raises `NotFound`; of an
        encrypted one `Unavailable` without its key, and `InvalidInput` where it was changed."""
        file = next((each for each in version.files if each.path == path), None)
        if file is None:
            raise NotFound(f"{version.served} has no file {path[:100]!r}", field="path")
        async with self.blobs.local(file.sha256) as place:
            if path not in (version.sealed.get("files") or {}):
                yield place
                return
            opening = self.vault.plain(place, f"{version.served}'s {path[:100]}")
            opened = await asyncio.to_thread(opening.__enter__)
            try:
                yield opened
            finally:
                await asyncio.to_thread(opening.__exit__, None, None, None)

    async def delete_version(self, caller: Caller, name: str, number: int) -> None:
        """Raises `Conflict` that says who uses it."""
        await self._unused(f"{name}@{number}")
        version = await self.catalogue.delete_version(caller, name, number)
        self.deployments.forget(name, number)
        await self._unload(version.served)
        await self.audit(caller, "model.version.deleted", version.served)

    async def delete(self, caller: Caller, name: str) -> None:
        """A model with all its versions; as `delete_version`."""
        versions = await self.catalogue.versions(caller, name)
        for version in versions:
            await self._unused(version.served)
        leading = self.deployments.models.get(name)
        if leading is not None and leading.aliases:
            aliases = [f"the alias {alias}" for alias in leading.aliases]
            raise Conflict(f"{name} is in use: by {', '.join(aliases)}", field="name", used_by=aliases)
        await self.catalogue.delete(caller, name)
        self.deployments.forget(name)
        for version in versions:
            self.deployments.forget(name, version.number)
            await self._unload(version.served)
        await self.audit(caller, "model.deleted", name)

    def in_use(self) -> dict[str, list[str]]:
        """Versions that live sessions have, by their name in the engine, with the sessions' ids."""
        found: dict[str, list[str]] = {}
        for session, spec in self._specs().items():
            for model in pins.models(spec, self._fields):
                found.setdefault(model, []).append(session)
        for held in self.holders:
            for holder, models in held().items():
                for model in models:
                    found.setdefault(model, []).append(holder)
        return found

    async def _unused(self, served: str) -> None:
        users = self.in_use().get(served, [])
        for look in self.waiting:
            users += [holder for holder, models in (await look()).items() if served in models]
        if users:
            raise Conflict(f"{served} is in use: by {_listed(users)}", field="version", used_by=users)

    async def _unload(self, served: str) -> None:
        if served in self.engine.models():
            try:
                await self.engine.unload(served)
            except NotFound:
                log.info("%s was unloaded meanwhile", served)

    async def sweep(self) -> list[str]:
        """Throw away uploads that have expired, and blobs that nothing names any more."""
        await self.uploads.sweep()
        return await self.blobs.sweep(await self.catalogue.blobs() | await self.uploads.blobs())

    async def _sweep(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # the next time may be better: a database that is busy, a disk that is away
                log.exception("the hub's blobs could not be swept")
            await asyncio.sleep(SWEEP)

    # names -----------------------------------------------------------------------------------------

    def resolve(self, name: str, caller: Caller | None = None) -> Choice:
        """As `Deployments.resolve`; built-in models stand for themselves."""
        if name not in self.deployments.models and "@" not in name:
            entry = self.store.get(name)
            return Choice(entry.name, entry.name, 1, "built in")
        return self.deployments.resolve(name, caller)

    def auto(self, caller: Caller, task: str, latency_ms: float | None = None, quality: Quality = "balanced") -> Chosen:
        """Raises `NotFound`. Reads manifests that changed: call it in a thread, or rarely."""
        return choose(self.candidates(caller), task, latency_ms, quality)

    def candidates(self, caller: Caller, wanted: ModelOf | None = None) -> list[Candidate]:
        """What is built in, and what is deployed as `PRODUCTION` and may be used by this caller; with `wanted` of these
        what can run there."""
        measured = self.engine.statistics()
        found = [candidate(entry.name, entry, {}, measured.get(entry.name)) for entry in self.store.entries()
                 if wanted is None or not wanted.unfit(entry)]
        for name in self.deployments.names(caller):
            model = self.deployments.models[name]
            alias = model.aliases.get(PRODUCTION)
            if alias is not None:
                entry = model.entries[alias.number]
                if wanted is not None and wanted.unfit(entry):
                    continue
                found.append(candidate(name, entry, model.facts[alias.number], measured.get(entry.name)))
        return found

    def pin(self, spec: PipelineSpec, caller: Caller, before: PipelineSpec) -> PipelineSpec:
        """For `Node.pin`."""
        return pins.pinned(spec, before, self._fields,
                           lambda wanted, said, held: self.meant(wanted, said, caller, held))

    def meant(self, wanted: ModelOf, said: str, caller: Caller, held: str = "") -> str:
        """The version that a name means in a field; `said` as it is where that is none of the hub's. `held` is the
        version that it stands for already.

        Raises `NotFound`, and `InvalidInput` for a model that is not of the field's task.
        """
        if said == AUTO and not wanted.own(said):
            return choose(self.candidates(caller, wanted), wanted.tasks[0]).served
        exact = "@" in said
        if wanted.own(said) or not (held or exact or said in self.deployments.models):
            return said
        try:
            served = held or self.deployments.resolve(said, caller).served
            wanted.check(self.deployments.entry(served))
        except NotFound:
            if wanted.words and not exact:
                return said
            raise
        return served

    # ----------------------------------------------------------------------------------------------

    async def audit(self, caller: Caller, what: str, object: str, **details: Any) -> None:
        log.info("%s: %s %s", caller.name, what, object)
        if self._auditor is not None:
            await self._auditor.write(caller, what, object, **details)

    async def export(self, user: str) -> dict[str, Any]:
        """A person's own models and uploads, as JSON."""
        caller = Caller(user, user=user)
        models: list[HubModel] = await self.catalogue.owned_by(user)
        uploads = await self.uploads.find(caller)
        return {"models": [{"name": model.name, "title": model.title, "card": model.card, "created": model.created}
                           for model in models],
                "uploads": [{"name": each.name, "size": each.size, "created": each.created} for each in uploads],
                "at": time.time()}

    async def erase(self, user: str) -> None:
        """All that a person has: models that nobody uses go, others become the server's."""
        await self.opinions.erase(user)
        caller = Caller(user, user=user, role="developer")
        for model in await self.catalogue.owned_by(user):
            try:
                await self.delete(caller, model.name)
            except Conflict:
                await self.catalogue.disown(model.id)
                await self.deployments.refresh(model.name)
        for upload in await self.uploads.find(caller):
            await self.uploads.end(caller, upload.id)


def _listed(sessions: Sequence[str]) -> str:
    shown = ", ".join(f"{'job' if each.startswith('job_') else 'session'} {each}" for each in sessions[:3])
    return f"{shown} and {len(sessions) - 3} more" if len(sessions) > 3 else shown


__all__ = ["AUTO", "Hub"]
