"""Imports: what was sent is checked and tried in the sandbox, and what comes of it is told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Conflict, InvalidInput
from aimass_stream.hub.examine import examine
from aimass_stream.hub.records import Change, Deployment, File
from aimass_stream.inference.loader import read_manifest
from tests.support import networks
from tests.support.model_files import MATRIX, linear, safetensors, zipped
from tests.support.model_hub import ADA, opened, submitted, uploaded, whole

pytestmark = pytest.mark.anyio

BOMB = zipped({"m.onnx": bytes(80 << 20)})
NET: dict[str, Any] = {"inputs": [{"name": "data", "shape": [1, 3, 8, 8]}]}


async def test_an_onnx_file_is_tried_on_its_example(tmp_path: Path) -> None:
    async with opened(tmp_path) as hub:
        version = await submitted(hub, "fish", {"model.onnx": linear()}, example={"x": [[1, 2, 3]]})
        assert (version.state, version.reason, version.number) == ("ready", "", 1)
        trial = version.facts["trial"]
        assert trial["outputs"][0]["values"] == [[22, 28]]
        assert trial["ms"] > 0
        assert version.manifest["capabilities"] == {"batchable": True, "max_batch": 32}  # it was looked at
        assert version.manifest["inputs"][0] == {"name": "x", "shape": ["n", 3], "dtype": "float32", "example": [1, 3]}
        assert [file.path for file in version.files] == ["model.onnx", "model.toml"]
        assert hub.blobs.path(version.graph or "").stat().st_size > 100
        assert not any((tmp_path / "hub" / "new" / "work").glob("*"))


async def test_archives_and_other_frameworks(tmp_path: Path) -> None:
    async with opened(tmp_path) as hub:
        version = await submitted(hub, "caffe", {"all.zip": zipped({
            "net/n.caffemodel": networks.caffemodel(), "net/n.prototxt": networks.PROTOTXT.encode()})}, **NET)
        assert (version.state, version.reason, version.format) == ("ready", "", "caffe")
        assert version.manifest["outputs"][0]["shape"] == ["n", 2, 8, 8]
        version = await submitted(hub, "darknet", {
            "n.weights": networks.darknet_weights(), "n.cfg": networks.DARKNET_CFG.encode()}, **NET)
        assert (version.state, version.reason) == ("ready", "")


async def test_what_is_refused_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path) as hub:
        cut = await submitted(hub, "fish", {"m.onnx": linear()[:-9]})
        assert (cut.state, cut.graph) == ("refused", None)
        assert "cut off" in cut.reason
        bomb = await submitted(hub, "fish", {"m.zip": BOMB})
        assert (bomb.state, bomb.number) == ("refused", 2)
        assert "bomb" in bomb.reason


@pytest.mark.parametrize(("files", "told", "reason"), [
    ({"m.onnx": linear()}, {"example": {"x": [[1, 2]]}}, "x must have the shape any×3"),
    ({"m.onnx": linear()}, {"example": {"z": 1}}, "an example has a value for each of x"),
    ({"m.onnx": linear()}, {"example": {"x": "words"}}, "the example of x is no array of float32"),
    ({"m.onnx": linear()}, {"engine": "os:system"}, "run by onnx, not by 'os:system'"),
    ({"m.onnx": linear(), "model.toml": b'engine = "os:system"'}, {}, "run by onnx, not by 'os:system'"),
    ({"m.onnx": linear(), "model.toml": b"engine ="}, {}, "model.toml is not TOML"),
    ({"m.onnx": linear()}, {"colour": 1}, "nothing of 'colour'"),
    ({"m.onnx": linear()}, {"options": {"x": None}}, "a manifest can't say 'None'"),
    ({"m.onnx": linear()}, {"inputs": [{"name": "x", "shape": [0]}]}, "manifest.inputs[0].shape"),
    ({"m.onnx": linear()}, {"outputs": [{"name": "z", "shape": ["n", 2]}]}, "the graph's outputs are y"),
    ({"m.onnx": linear(opset=99)}, {}, "onnxruntime can't run this file"),
    ({"m.onnx": linear(np.full((3, 2), 3e38, np.float32))}, {"example": {"x": [[9, 9, 9]]}}, "no finite numbers"),
    ({"w.safetensors": safetensors({"a": MATRIX})}, {}, "say inputs and outputs"),
    ({"n.caffemodel": networks.caffemodel(), "n.prototxt": networks.PROTOTXT.encode()}, {}, "say its inputs"),
])
def test_what_a_manifest_can_not_say(tmp_path: Path, files: dict[str, bytes], told: dict[str, Any],
                                     reason: str) -> None:
    place = tmp_path / "fish@1"
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        list(examine(str(place), "", told, 1 << 30))
    assert reason in refused.value.detail


def test_a_manifest_in_the_folder_counts(tmp_path: Path) -> None:
    place = tmp_path / "fish@1"
    place.mkdir()
    (place / "m.onnx").write_bytes(linear())
    (place / "model.toml").write_text('title = "Fish \\"s"\ntask = "x"\ncard = {accuracy = 0.9}\n'
                                      'options = {"a b" = [1.5]}')
    [*_, last] = examine(str(place), "", {"task": "regression"}, 1 << 30)
    assert json.loads(last)["result"]["state"] == "ready"
    entry = read_manifest(place / "model.toml")
    assert (entry.title, entry.task, entry.card) == ('Fish "s', "regression", {"accuracy": 0.9})
    assert (entry.options, entry.version) == ({"a b": [1.5]}, "1")


async def test_code_is_put_aside_and_not_run(tmp_path: Path) -> None:
    class Acting:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(tmp_path / "touched"), "w")

    async with opened(tmp_path) as hub:
        version = await submitted(hub, "fish", {"m.pkl": pickle.dumps(Acting())})
        assert version.state == "quarantined"
        assert "io.open" in version.reason
        assert not (tmp_path / "touched").exists()
        with pytest.raises(Conflict, match="quarantined"):
            await hub.deployments.deploy(ADA, "fish", Deployment("production", 1))


async def test_a_killed_server_checks_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as hub:
        await hub.catalogue.create(ADA, "fish", Change())
        blob = await hub.blobs.put(whole(linear()))
        version = await hub.catalogue.add_version(ADA, "fish", {}, [File("m.onnx", blob.sha256, blob.size)])
        assert version.state == "checking"
    async with opened(tmp_path) as hub:
        await hub.importer.idle.wait()
        assert (await hub.catalogue.version(ADA, "fish", 1)).state == "ready"
        assert blob.sha256 not in await hub.blobs.sweep(await hub.catalogue.blobs(), older=0)
        assert hub.blobs.path(blob.sha256).is_file()


async def test_what_is_wrong_with_a_submission_is_said_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as hub:
        await hub.catalogue.create(ADA, "fish", Change())
        half = await hub.uploads.begin(ADA, "m.onnx", 10)
        with pytest.raises(Conflict, match="missing"):
            await hub.submit(ADA, "fish", {"m.onnx": half.id}, {})
        done = await uploaded(hub, b"x")
        with pytest.raises(InvalidInput, match="can't be the name"):
            await hub.submit(ADA, "fish", {"../m.onnx": done}, {})
        with pytest.raises(InvalidInput, match="1 to 64 uploads"):
            await hub.submit(ADA, "fish", {}, {})
        with pytest.raises(InvalidInput, match="sent alone"):
            await hub.submit(ADA, "fish", {"a.zip": done, "b.onnx": done}, {})
        assert await hub.catalogue.versions(ADA, "fish") == []
