"""Another key for what is encrypted at rest: all of it opens at any moment, whoever is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.accounts.audit import Audit
from aimass_stream.errors import NoSpace
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.records import Deployment, File
from aimass_stream.hub.rekeying import Outcome, Rekeying
from aimass_stream.inference.contract import Batch
from aimass_stream.store.blobs import Blob
from aimass_stream.store.database import FILE
from aimass_stream.store.sealed import Keys, key_id, seal
from tests.support.command import clean, here
from tests.support.model_files import linear
from tests.support.model_hub import ADA, ADMIN, opened, submitted

pytestmark = pytest.mark.anyio

OLD, NEW = bytes(range(32)), b"another key of thirty-two bytes!"
MODEL = linear(bias=1)
BATCH: Batch = {"x": np.ones((1, 3), np.float32)}


@asynccontextmanager
async def sealed(folder: Path, count: int = 1, keys: tuple[bytes, ...] = (NEW, OLD)) -> AsyncIterator[Hub]:
    """A hub where fish@1 is plain, and so many more versions of it are encrypted with the old key."""
    async with opened(folder, sandboxed=False, keys=keys) as hub:
        first = await submitted(hub, "fish", {"model.onnx": MODEL}, example={"x": [[1, 1, 1]]})
        [plain] = [file for file in first.files if file.path == "model.onnx"]
        for _ in range(count):
            async with hub.blobs.scratch() as place:
                await asyncio.to_thread(written, place)
                blob = await hub.blobs.adopt(place)
            told = {"key": key_id(OLD).hex(), "files": {plain.path: {"sha256": plain.sha256, "size": plain.size}}}
            await hub.catalogue.add_version(
                ADA, "fish", first.told, [File(plain.path, blob.sha256, blob.size)], state="ready", format=first.format,
                engine=first.engine, manifest=first.manifest, facts=first.facts | {"sealed": told})
        yield hub


def written(place: Path) -> None:
    with place.open("wb") as file:
        seal([MODEL], file, OLD)


def rekeying(hub: Hub, *keys: bytes) -> Rekeying:
    database = hub.catalogue._database
    return Rekeying(database, hub.blobs, Keys(keys), Audit(database), ADMIN)


async def done(work: Rekeying) -> list[Outcome]:
    return [outcome async for outcome, _ in work.run()]


async def keys_of(hub: Hub) -> set[str]:
    """Of all versions, each of which opens."""
    versions = await hub.catalogue.sealed()
    for version in versions:
        async with hub.plain(version, "model.onnx") as place:
            assert await asyncio.to_thread(place.read_bytes) == MODEL
    return {version.sealed["key"] for version in versions}


async def test_a_server_that_runs_goes_on(tmp_path: Path) -> None:
    async with sealed(tmp_path) as hub:
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
        before = await hub.catalogue.version(ADA, "fish", 2)
        assert await done(rekeying(hub, NEW, OLD)) == [Outcome("fish@2", "rekeyed")]
        assert await done(rekeying(hub, NEW, OLD)) == [Outcome("fish@2", "current")]
        after = await hub.catalogue.version(ADA, "fish", 2)
        assert (after.plain, after.sealed["key"]) == (before.plain, key_id(NEW).hex())
        [entry] = await Audit(hub.catalogue._database).find(what="model.version.rekeyed")
        assert (entry.object, entry.details["before"]) == ("fish@2", key_id(OLD).hex())
        await hub.deployments.catch_up()  # as it does when another process changed something
        await hub.engine.unload("fish@2")
        hub.vault.keys = Keys([NEW])
        await hub.engine.load("fish@2")
        assert (await hub.engine.submit("fish@2", BATCH, session="test"))["y"].tolist() == [[10, 13]]
        swept = await hub.blobs.sweep(await hub.catalogue.blobs() | await hub.uploads.blobs(), older=0)
        assert swept == [before.files[0].sha256]


async def test_a_server_that_stood_meanwhile_lays_it_out_anew(tmp_path: Path) -> None:
    async with sealed(tmp_path) as hub:
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
    async with opened(tmp_path, sandboxed=False, keys=[NEW, OLD]) as hub:
        await done(rekeying(hub, NEW, OLD))
    async with opened(tmp_path, sandboxed=False, keys=[NEW]) as hub:
        await hub.engine.load("fish@2")
        assert (await hub.engine.submit("fish@2", BATCH, session="test"))["y"].tolist() == [[10, 13]]


async def test_what_can_not_be_changed_stays_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sealed(tmp_path, 3) as hub:
        for outcome in await done(rekeying(hub, NEW)):
            assert outcome.state == "left"
            assert f"with the key {key_id(OLD).hex()}, and here is {key_id(NEW).hex()}" in outcome.reason
        adopt, kept = hub.blobs.adopt, list[Path]()

        async def full(place: Path) -> Blob:
            kept.append(place)
            if len(kept) == 2:
                raise NoSpace("there is no room left on the server's disk")
            if len(kept) == 3:
                await hub.catalogue.delete_version(ADA, "fish", 4)
            return await adopt(place)

        monkeypatch.setattr(hub.blobs, "adopt", full)
        path = hub.blobs.path((await hub.catalogue.version(ADA, "fish", 3)).files[0].sha256)
        assert [(each.version, each.state) for each in await done(rekeying(hub, NEW, OLD))] == [
            ("fish@2", "rekeyed"), ("fish@3", "left"), ("fish@4", "left")]
        assert await keys_of(hub) == {key_id(NEW).hex(), key_id(OLD).hex()}
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        [_, changed] = await done(rekeying(hub, NEW, OLD))
        assert (changed.state, "was changed" in changed.reason) == ("left", True)


def killed(data: Path, env: dict[str, str]) -> None:
    """The command, as soon as something has the new key."""
    command = [sys.executable, "-m", "aimass_stream", "models", "rekey", "--data-dir", str(data)]
    with (closing(sqlite3.connect(data / FILE)) as database,
          subprocess.Popen(command, env=clean() | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process):
        while process.poll() is None and not database.execute(
                "SELECT 1 FROM hub_versions WHERE instr(facts, ?)", (key_id(NEW).hex(),)).fetchone():
            time.sleep(0.002)
        process.kill()
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said


async def test_killed_half_way_nothing_is_lost(tmp_path: Path) -> None:
    """The command in a process of its own, killed as soon as something has the new key, and given once more."""
    count, data = 40, tmp_path / "data"
    async with sealed(tmp_path, count):
        pass
    data.mkdir()
    (data / FILE).symlink_to(tmp_path / "hub.db")
    (data / "hub-files").symlink_to(tmp_path / "blobs")
    env = {"AIMASS_MODEL_KEY": ",".join(base64.b64encode(key).decode() for key in (NEW, OLD))}
    await asyncio.to_thread(killed, data, env)
    async with opened(tmp_path, sandboxed=False, keys=[NEW, OLD]) as hub:
        assert key_id(NEW).hex() in await keys_of(hub)
    told = await asyncio.to_thread(here, "models", "rekey", "--data-dir", str(data), "--json", **env)
    assert told.code == 0, told.err
    states = [each["state"] for each in json.loads(told.out)["versions"]]
    assert (len(states), set(states) <= {"rekeyed", "current"}, "current" in states) == (count, True, True)
    async with opened(tmp_path, sandboxed=False, keys=[NEW]) as hub:
        assert await keys_of(hub) == {key_id(NEW).hex()}
    refused = await asyncio.to_thread(here, "models", "rekey", "--data-dir", str(data))
    assert (refused.code, "AIMASS_MODEL_KEY" in refused.err) == (1, True)
    nowhere = await asyncio.to_thread(here, "models", "rekey", "--data-dir", str(tmp_path / "nowhere"), **env)
    assert (nowhere.code, (tmp_path / "nowhere").exists()) == (2, False)
