"""A folder that serves one model: built, looked at, and run as its Dockerfile says, but without a container."""

from __future__ import annotations

import ast
import asyncio
import json
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest

from aimass_stream import __version__
from aimass_stream.errors import Conflict, Unavailable
from aimass_stream.hub import image
from aimass_stream.hub.image import Wheel
from aimass_stream.hub.records import File
from aimass_stream.inference import CpuDevice, FolderStore
from aimass_stream.settings import Settings
from aimass_stream.store.sealed import key_id, seal
from tests.support.command import clean
from tests.support.model_files import linear
from tests.support.model_hub import opened, submitted

pytestmark = pytest.mark.anyio

KEY = "a key for this test"


async def folder_of(hub: Any, version: Any, wheel: Wheel, place: Path) -> Path:
    """The tar file, unpacked."""
    parts = await image.parts(version, wheel, hub.plain)
    packed = b"".join([piece async for piece in image.packed(parts, version, hub.plain)])
    assert len(packed) == image.size_of(parts, version)
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        await asyncio.to_thread(tar.extractall, place, filter="data")
    return place


def source(folder: Path) -> Path:
    """A source tree; ours takes a while to be packed, which another test does."""
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "__init__.py").touch()
    (folder / "constraints.txt").write_text("numpy==2\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small"\nversion = "1"\n')
    return folder


class Dockerfile:
    """What a Dockerfile says."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        self.steps = [tuple(line.split(None, 1)) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]

    def all(self, word: str) -> list[str]:
        return [step[1] for step in self.steps if step[0] == word]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for said in self.all("ENV") for pair in said.split())


async def test_a_folder_that_serves_one_model(tmp_path: Path) -> None:
    if shutil.which("uv") is None:
        pytest.importorskip("hatchling", reason="hatchling builds the wheel and is not installed")
    wheel = Wheel(tmp_path / "wheel", root=source(tmp_path / "source"))
    async with opened(tmp_path, sandboxed=False) as hub:
        version = await submitted(hub, "fish", {"model.onnx": linear(bias=1)}, example={"x": [[1, 2, 3]]})
        folder = await folder_of(hub, version, wheel, tmp_path / "image")
        built = await wheel.get()
        assert built is not None
        assert built is await wheel.get()  # once
    said = Dockerfile((folder / "Dockerfile").read_text())
    assert said.all("USER") == ["aimass"]
    assert said.all("FROM") == ["python:3.11-slim-bookworm"]
    for copied in said.all("COPY"):
        assert all((folder / source).exists() for source in copied.split()[:-1]), copied
    assert (folder / "requirements.txt").read_text() == f"./wheels/{built.name}\n"
    assert "small/__init__.py" in zipfile.ZipFile(folder / "wheels" / built.name).namelist()
    assert (folder / "constraints.txt").read_text() == "numpy==2\n"
    names = {name for name in said.environment if name.startswith("AIMASS_")}
    assert names <= {f"AIMASS_{name.upper()}" for name in Settings.model_fields}
    manifest = tomllib.loads((folder / "models" / "fish" / "model.toml").read_text())
    assert (manifest["name"], manifest["version"]) == ("fish", "1")
    assert "docker build -t fish ." in (folder / "README.md").read_text()
    await asyncio.to_thread(runs, folder, said, tmp_path)


def runs(folder: Path, said: Dockerfile, tmp_path: Path) -> None:
    """What CMD starts answers `/predict` and what HEALTHCHECK asks."""
    [start] = said.all("CMD")
    command = json.loads(start)
    there = Path(sys.executable).with_name(command[0])
    program = [str(there)] if there.exists() else [sys.executable, "-m", "aimass_stream"]
    environment = {name: value.replace("/app", str(folder)).replace("/data", str(tmp_path / "data"))
                   for name, value in said.environment.items()}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*program, *command[1:]], stdout=output, stderr=subprocess.STDOUT, env=clean() | environment | {
                "AIMASS_HOST": "127.0.0.1", "AIMASS_PORT": "0", "AIMASS_API_KEY": KEY})
    try:
        deadline = time.monotonic() + 120
        while " is at " not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        url = log.read_text().split(" is at ")[1].split()[0].rstrip("/")
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
            assert http.post("/predict", json={"input": [[1, 2, 3]]}).json() == {"output": [[23, 29]]}
            assert http.get("/predict").json()["model"] == "fish"
            assert [each["name"] for each in http.post("/v2/repository/index", json={}).json()] == ["fish"]
            body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 1, 1]}]}
            assert http.post("/v2/models/fish/infer", json=body).json()["outputs"][0]["data"] == [10, 13]
        assert httpx.post(f"{url}/predict", json={"input": [[1, 2, 3]]}).status_code == 401
        check = ast.literal_eval(said.all("HEALTHCHECK")[0].split("CMD ", 1)[1])
        assert subprocess.run([sys.executable, *check[1:-1], check[-1].replace("http://127.0.0.1:8000", url)],
                              check=False).returncode == 0
    finally:
        process.terminate()
        process.wait(60)


async def test_a_release_is_named_and_what_cannot_be_served_alone_is_refused(tmp_path: Path) -> None:
    wheel = Wheel(tmp_path / "wheel", root=tmp_path)  # no source tree
    async with opened(tmp_path, sandboxed=False) as hub:
        version = await submitted(hub, "fish", {"model.onnx": linear()})
        folder = await folder_of(hub, version, wheel, tmp_path / "image")
        assert (folder / "requirements.txt").read_text() == f"aimass-stream=={__version__}\n"
        assert "wheels" not in (folder / "Dockerfile").read_text()
        assert Dockerfile((folder / "Dockerfile").read_text()).all("COPY") == ["requirements.txt ./", "models ./models"]
        forest = replace(version, format="skops", files=(), manifest=version.manifest | {
            "engine": "aimass_stream.engines.sklearn:SklearnModel"})
        texts = {part.path: part.content.decode() for part in await image.parts(forest, wheel, hub.plain)}
        assert texts["requirements.txt"] == f"aimass-stream[sklearn]=={__version__}\n"
        for wrong in ({"state": "refused"}, {"state": "quarantined"}, {"format": "folder"}, {"format": "torchscript"},
                      {"facts": {"code": {"approved_by": "usr_1"}}}):
            with pytest.raises(Conflict):
                await image.parts(replace(version, **wrong), wheel, hub.plain)
        long = replace(version, files=(*version.files, File("a/" * 120 + "ü.bin", version.files[0].sha256, 9)))
        parts = await image.parts(long, wheel, hub.plain)
        assert image._head(parts[-1], 0)  # longer than a tar file's own field for names


async def test_what_is_encrypted_at_rest_is_plain_in_it_with_the_key(tmp_path: Path) -> None:
    key, wheel = bytes(range(32)), Wheel(tmp_path / "wheel", root=tmp_path)
    async with opened(tmp_path, sandboxed=False, keys=[key]) as hub:
        version = await submitted(hub, "fish", {"model.onnx": linear()}, example={"x": [[1, 2, 3]]})
        [file] = [each for each in version.files if each.path == "model.onnx"]
        cipher = BytesIO()
        seal([linear()], cipher, key)
        blob = await hub.blobs.put(cipher.getvalue())
        # as an encrypted version is: without a manifest among its files
        sealed = replace(version, files=(File("model.onnx", blob.sha256, blob.size),), facts={"sealed": {
            "key": key_id(key).hex(), "files": {"model.onnx": {"sha256": file.sha256, "size": file.size}}}})
        folder = await folder_of(hub, sealed, wheel, tmp_path / "image")
        store = FolderStore([folder / "models"])
        model = await asyncio.to_thread(store.open, "fish", CpuDevice())
        assert model.run({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[9, 12]]
    async with opened(tmp_path, sandboxed=False, keys=[]) as hub:
        with pytest.raises(Unavailable, match="key"):
            await image.parts(sealed, wheel, hub.plain)


async def test_a_source_tree_that_does_not_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(image, "_builder", lambda folder: [sys.executable, "-c", "raise SystemExit('no such thing')"])
    with pytest.raises(Unavailable, match="no such thing"):
        await Wheel(tmp_path / "wheel", root=tmp_path).get()
