"""TFLite files as models: MediaPipe's run, and what is said of those that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.engines import ENGINES
from aimass_stream.engines.litert import LiteRtModel
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.inference import Capabilities, CpuDevice, Engine, TensorSpec, installed
from aimass_stream.inference.loader import Entry, ModelFile, _engine
from aimass_stream.weights import npm

from ..support.mediapipe import needs

pytestmark = pytest.mark.anyio

NAMES = ("mediapipe-faces", "mediapipe-person", "mediapipe-person-wide", "mediapipe-palms", "mediapipe-hand")


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def entry(name: str = "mediapipe-person-wide") -> Entry:
    needs(name)
    return installed().get(name)


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["litert"]) is LiteRtModel


@pytest.mark.parametrize("name", NAMES)
def test_every_model_of_the_packages_is_the_one_of_its_manifest(name: str, device: CpuDevice) -> None:
    needs(name)
    model = installed().open(name, device)
    model.warm_up()
    [spec] = model.inputs
    noise = np.random.default_rng(1).random(spec.zeros().shape).astype(np.float32)
    first, second = model.run({spec.name: noise}), model.run({spec.name: 1 - noise})
    for output in model.outputs:
        assert first[output.name].shape == output.shape
        assert not np.array_equal(first[output.name], second[output.name])  # the next run leaves the last one's alone
    assert model.capabilities == Capabilities(fixed_shapes=True, light=True)
    model.close()


async def test_it_runs_in_the_engine_beside_long_work() -> None:
    needs("mediapipe-person-wide")
    engine = Engine(installed())
    await engine.load("mediapipe-person-wide")
    dark = {"input_1": np.zeros((1, 144, 256, 3), np.float32)}
    answer = await engine.submit("mediapipe-person-wide", dark, session="s")
    assert answer["segment_back"].max() < 0.5  # nobody in the dark
    with pytest.raises(InvalidInput, match="1×144×256×3"):
        await engine.submit("mediapipe-person-wide", {"input_1": np.zeros((1, 8, 8, 3), np.float32)}, session="s")
    await engine.close()


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                      device: CpuDevice) -> None:
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    with pytest.raises(Unavailable, match="@mediapipe/hands is not installed: run `npm"):
        installed().open("mediapipe-palms", device)


def test_another_version_of_the_file_is_refused(device: CpuDevice) -> None:
    found = entry()
    assert found.npm is not None
    with pytest.raises(InvalidInput, match=r"is another one than that of 0\.1\.1675465747"):
        LiteRtModel(replace(found, npm=replace(found.npm, sha256="0" * 64)), device)


@pytest.mark.parametrize(("change", "complaint"), [
    ({"inputs": (TensorSpec("x", (1, 144, 256, 3)),)}, "the file's inputs are input_1; the manifest names x"),
    ({"outputs": (TensorSpec("y", (1, 144, 256, 1)),)}, "the file's outputs are segment_back; the manifest names y"),
    ({"inputs": (TensorSpec("input_1", (1, 256, 256, 3)),)}, r"float32 \[1, 144, 256, 3\] in the file"),
    ({"inputs": (TensorSpec("input_1", (1, 144, 256, 3), "uint8"),)}, "uint8"),
    ({"capabilities": Capabilities(slots=2)}, "keeps no state"),
    ({"capabilities": Capabilities(batchable=True, max_batch=4)}, "takes one row"),
])
def test_a_file_other_than_its_manifest_is_refused(device: CpuDevice, change: dict[str, object],
                                                   complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        LiteRtModel(replace(entry(), **change), device)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x1c\x00\x00\x00TFL3" + bytes(64)])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, device: CpuDevice, content: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    made = replace(installed().get("mediapipe-person-wide"), folder=tmp_path, npm=None,
                   files=(ModelFile("m.tflite", len(content), ""),))
    with pytest.raises(InvalidInput, match="LiteRT can't run this file"):
        LiteRtModel(made, device)
