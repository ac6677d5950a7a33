"""Encrypted versions: nothing plain lies on the disk, with the key they run and are sent, without it they say so."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.errors import Conflict, InvalidInput, Unavailable
from aimass_stream.hub.hub import Hub
from aimass_stream.hub.records import Deployment, Version
from aimass_stream.hub.vault import MEMORY, PREFIX
from aimass_stream.inference.contract import Batch
from aimass_stream.store.sealed import is_sealed, key_id
from tests.support.conversions import converting, over
from tests.support.model_files import MATRIX, linear
from tests.support.model_hub import ADA, opened, submitted

pytestmark = pytest.mark.anyio

KEY, OTHER = bytes(range(32)), b"another key of thirty-two bytes!"
MODEL = linear(bias=1)
BATCH: Batch = {"x": np.ones((1, 3), np.float32)}


KEPT: list[Path] = []  # an encrypted version, made once


@pytest.fixture(autouse=True, scope="module")
def kept() -> Iterator[None]:
    yield
    KEPT.clear()


async def prepared(folder: Path) -> Path:
    """A hub's folder where fish@2 is fish@1, encrypted."""
    if not KEPT:
        (folder / "first").mkdir()
        async with opened(folder / "first", sandboxed=False, keys=[KEY]) as hub:
            await encrypted(hub, folder / "first")
        KEPT.append(folder / "first")
    return Path(await asyncio.to_thread(shutil.copytree, KEPT[0], folder / "copy"))


async def encrypted(hub: Hub, folder: Path) -> Version:
    async with converting(hub, folder) as (conversions, jobs):
        await submitted(hub, "fish", {"model.onnx": MODEL}, example={"x": [[1, 1, 1]]})
        job = await over(jobs, await conversions.begin(ADA, "fish", "1", "encrypt", {}))
        assert job.state == "done", job.row.error
        return await hub.catalogue.version(ADA, "fish", job.row.facts["version"])


def holding(folder: Path, content: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and content in path.read_bytes()]


async def test_it_runs_and_nothing_plain_lies_about(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False, keys=[KEY]) as hub:
        version = await encrypted(hub, tmp_path)
        assert (version.state, version.format, version.number) == ("ready", "onnx", 2)
        told = version.facts["conversion"]
        assert (told["from"], told["kind"], told["difference"]) == (1, "encrypt", {"max": 0, "mean": 0, "cosine": 1})
        assert version.sealed["key"] == key_id(KEY).hex()
        await hub.delete_version(ADA, "fish", 1)
        for sha256 in await hub.blobs.sweep(await hub.catalogue.blobs(), older=0):
            assert sha256 not in {file.sha256 for file in version.files}
        hub.deployments.places.take_away("fish@1")
        await hub.uploads.end(ADA, (await hub.uploads.find(ADA))[0].id)
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
        made = await hub.engine.submit("fish@2", BATCH, session="test")
        assert made["y"].tolist() == [[10, 13]]
        assert not holding(tmp_path, MATRIX.tobytes())
        async with hub.plain(version, "model.onnx") as place:
            assert place.read_bytes() == MODEL
            assert place.stat().st_mode & 0o077 == 0
        assert not place.exists()
        assert not list(MEMORY.glob(f"{PREFIX}{os.getpid()}-*"))
        assert [(file.path, file.size) for file in version.plain] == [("model.onnx", len(MODEL))]
        with pytest.raises(Conflict, match="encrypt what comes of that"):
            async with converting(hub, tmp_path) as (conversions, _):
                await conversions.begin(ADA, "fish", "2", "half", {})


async def test_without_its_key_it_says_which_one_is_missing(tmp_path: Path) -> None:
    tmp_path = await prepared(tmp_path)
    for keys, reason in ([], "there is none here"), ([OTHER], f"here is {key_id(OTHER).hex()}"):
        async with opened(tmp_path, sandboxed=False, keys=keys) as hub:
            version = await hub.catalogue.version(ADA, "fish", 2)
            with pytest.raises(Unavailable, match=f"with the key {key_id(KEY).hex()}, and {reason}"):
                await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
            assert "fish" not in hub.deployments.models
            with pytest.raises(Unavailable, match=reason):
                async with hub.plain(version, "model.onnx"):
                    pass
    async with opened(tmp_path, sandboxed=False) as hub, converting(hub, tmp_path) as (conversions, _):
        with pytest.raises(Unavailable, match="set AIMASS_MODEL_KEY"):
            await conversions.begin(ADA, "fish", "1", "encrypt", {})


@pytest.mark.parametrize("change", ["flip", "cut"])
async def test_what_was_tampered_with_is_not_loaded(tmp_path: Path, change: str) -> None:
    tmp_path = await prepared(tmp_path)
    async with opened(tmp_path, sandboxed=False, keys=[KEY]) as hub:
        version = await hub.catalogue.version(ADA, "fish", 2)
        path = hub.blobs.path(version.files[0].sha256)
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content if change == "flip" else content[:-20])
        with pytest.raises(InvalidInput, match=r"fish@2's model\.onnx was changed or cut off"):
            await hub.deployments.deploy(ADA, "fish", Deployment("production", 2))
        assert "fish" not in hub.deployments.models


async def test_another_key_takes_over(tmp_path: Path) -> None:
    tmp_path = await prepared(tmp_path)
    async with opened(tmp_path, sandboxed=False, keys=[OTHER, KEY]) as hub:
        async with converting(hub, tmp_path) as (conversions, jobs):
            job = await over(jobs, await conversions.begin(ADA, "fish", "2", "encrypt", {}))
        assert job.state == "done", job.row.error
        version = await hub.catalogue.version(ADA, "fish", 3)
        assert version.sealed["key"] == key_id(OTHER).hex()
        assert is_sealed(hub.blobs.path(version.files[0].sha256))
    async with opened(tmp_path, sandboxed=False, keys=[OTHER]) as hub:
        await hub.deployments.deploy(ADA, "fish", Deployment("production", 3))
        assert (await hub.engine.submit("fish@3", BATCH, session="test"))["y"].tolist() == [[10, 13]]
