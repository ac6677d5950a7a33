"""A hub without a server around it, and people who use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  its import takes a while: not inside a test

from aimass_stream.hub.examine import examine
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.quarantine import approved
from aimass_stream.hub.records import Change, Version
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.ports import ROLES, Caller
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages import Registry
from aimass_stream.store import Blobs, Database

ADA = Caller("ada", user="usr_ada", role="developer", scopes=ROLES["developer"])
BOB = Caller("bob", user="usr_bob", role="developer", scopes=ROLES["developer"])
TEAM = Caller("team", user="usr_carl", team="team_1", role="developer", scopes=ROLES["developer"],
              teams=frozenset({"team_1"}))
STAGES = Registry([])
ADMIN = Caller("admin", user="usr_admin", role="admin", scopes=ROLES["admin"])


@asynccontextmanager
async def opened(folder: Path, specs: dict[str, PipelineSpec] | None = None, models: Path | None = None, *,
                 sandboxed: bool = True, keys: Sequence[bytes] = ()) -> AsyncIterator[Hub]:
    """`models` is a folder of models that are built in. Without a sandbox, imports take hundredths of a second."""
    store = FolderStore([models] if models is not None else [])
    engine = Engine(store, CpuDevice(threads=1, places=1))
    used = {} if specs is None else specs
    async with Database(folder / "hub.db") as database:
        hub = Hub(database, Blobs(folder / "blobs"), engine, store, folder / "hub", specs=lambda: used,
                  keys=keys, fields=STAGES.models)
        if not sandboxed:
            hub.importer._examined = _examined  # type: ignore[method-assign]
        await hub.start()
        try:
            yield hub
        finally:
            await hub.close()
            await engine.close()


async def _examined(version: Version, place: Path, archive: str) -> dict[str, Any]:
    said = await asyncio.to_thread(lambda: list(examine(str(place), archive, version.told, 1 << 30, approved(version))))
    result: dict[str, Any] = json.loads(said[-1])["result"]
    return result


async def whole(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def uploaded(hub: Hub, content: bytes, caller: Caller = ADA, name: str = "model.onnx") -> str:
    upload = await hub.uploads.begin(caller, name, len(content))
    return (await hub.uploads.append(caller, upload.id, 0, whole(content))).id


async def submitted(hub: Hub, name: str, files: dict[str, bytes], caller: Caller = ADA, **manifest: Any) -> Version:
    """A new version, as it is when its import is over."""
    if not any(model.name == name for model in await hub.catalogue.owned_by(caller.owner)):
        await hub.catalogue.create(caller, name, Change(task="test"))
    uploads = {path: await uploaded(hub, content, caller) for path, content in files.items()}
    version = await hub.submit(caller, name, uploads, manifest)
    return await checked(hub, version, caller)


async def checked(hub: Hub, version: Version, caller: Caller = ADA) -> Version:
    async with asyncio.timeout(120):
        await hub.importer.idle.wait()
    return await hub.catalogue.version(caller, version.name, version.number)
