"""Caffe's, TensorFlow's and Darknet's files on OpenCV, from files that are written here byte by byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.engines import ENGINES
from aimass_stream.engines.dnn import DnnModel
from aimass_stream.errors import InvalidInput
from aimass_stream.inference import Capabilities, CpuDevice, Engine, FolderStore
from aimass_stream.inference.loader import _engine
from aimass_stream.seeing.detector import Detector, Wish
from tests.support import networks
from tests.support.networks import SIDE

pytestmark = pytest.mark.anyio

FILES: dict[str, tuple[dict[str, bytes], str]] = {  # by framework: the files, and the layer that gives the answer
    "caffe": ({"n.prototxt": networks.PROTOTXT.encode(), "n.caffemodel": networks.caffemodel()}, "mixed"),
    "darknet": ({"n.cfg": networks.DARKNET_CFG.encode(), "n.weights": networks.darknet_weights()}, "conv_0"),
    "tensorflow": ({"n.pb": networks.frozen_graph()}, "mixed"),  # OpenCV joins the bias to it
}


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def shelve(folder: Path, files: dict[str, bytes], output: str, *, shape: str = f'["n", 2, {SIDE}, {SIDE}]',
           capabilities: str = "[capabilities]\nbatchable = true\nmax_batch = 4\n", name: str = "small") -> FolderStore:
    (folder / name).mkdir()
    listed = ""
    for path, content in files.items():
        (folder / name / path).write_bytes(content)
        listed += (f'[[files]]\npath = "{path}"\nsize = {len(content)}\n'
                   f'sha256 = "{hashlib.sha256(content).hexdigest()}"\n')
    (folder / name / "model.toml").write_text(f"""
name = "{name}"
version = "1"
title = "Small"
task = "detection"
licence = "Apache-2.0"
sources = ["a test"]
engine = "aimass_stream.engines.dnn:DnnModel"
{listed}
[[inputs]]
name = "data"
shape = ["n", 3, {SIDE}, {SIDE}]
[[outputs]]
name = "{output}"
shape = {shape}
{capabilities}
""", encoding="utf-8")
    return FolderStore([folder])


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["dnn"]) is DnnModel


@pytest.mark.parametrize("framework", FILES)
async def test_a_network_of_every_framework_answers_alone_and_in_batches(tmp_path: Path, framework: str) -> None:
    files, output = FILES[framework]
    engine = Engine(shelve(tmp_path, files, output))
    x = np.random.default_rng(2).random((3, 3, SIDE, SIDE)).astype(np.float32)
    try:
        await engine.load("small")
        assert engine.models()["small"].capabilities == Capabilities(batchable=True, max_batch=4)
        for rows in (x[:1], x):
            made = await engine.submit("small", {"data": rows}, session="a")
            np.testing.assert_allclose(made[output], networks.answer(rows), atol=1e-5)
    finally:
        await engine.close()


def test_without_the_manifests_word_rows_come_alone(tmp_path: Path, device: CpuDevice) -> None:
    model = shelve(tmp_path, *FILES["caffe"], capabilities="").open("small", device)
    assert model.capabilities == Capabilities()


def test_a_yolo_layer_answers_boxes_and_no_rows(tmp_path: Path, device: CpuDevice) -> None:
    """What comes out is a line for each box of each picture, so nothing can be put together."""
    files = {"y.cfg": networks.yolo_cfg().encode(), "y.weights": networks.yolo_weights(np.zeros(18, np.float32))}
    model = shelve(tmp_path, files, "yolo_1", shape='["boxes", 6]').open("small", device)
    assert not model.capabilities.batchable
    model.warm_up()
    assert model.run({"data": np.zeros((1, 3, SIDE, SIDE), np.float32)})["yolo_1"].shape == (SIDE * SIDE * 3, 6)


def test_a_detector_of_darknets_finds_what_its_biases_say(tmp_path: Path, device: CpuDevice) -> None:
    """Of three anchors the second, of 4x4 px, is sure of its class; cells that overlap are one thing."""
    biases = np.full(18, -9, np.float32)
    biases[6:12] = [0, 0, 0, 0, 4, 4]
    files = {"y.cfg": networks.yolo_cfg().encode(), "y.weights": networks.yolo_weights(biases)}
    options = '[options]\nhead = "darknet"\nlabels = ["thing"]\n'
    store = shelve(tmp_path, files, "yolo_1", shape='["boxes", 6]', capabilities=options)
    detector, model = Detector(store.get("small")), store.open("small", device)
    batch, place, size = detector.input.prepare(np.zeros((80, 80, 3), np.uint8))
    things = detector.read(model.run(batch), place, size, (80, 80), Wish(overlap=0.01))
    assert {thing.label for thing in things} == {"thing"}
    assert things[0].score == pytest.approx(1 / (1 + np.exp(-4)) ** 2, abs=1e-3)
    inner = [thing.box for thing in things if min(thing.box) > 0 and max(thing.box) < 80]
    assert all((right - left, bottom - top) == pytest.approx((40, 40), abs=0.1) for left, top, right, bottom in inner)
    assert 1 <= len(things) <= 9


@pytest.mark.parametrize(("files", "complaint"), [
    ({"n.prototxt": b"layer { name: ", "n.caffemodel": networks.caffemodel()}, "OpenCV can't read these files"),
    ({"n.prototxt": networks.PROTOTXT.encode(), "n.caffemodel": b"\xff" * 40}, "OpenCV can't read these files"),
    ({"n.pb": b"no graph"}, "OpenCV can't read these files"),
    ({"n.cfg": b"[net]\n", "n.weights": b""}, "OpenCV (can't read these files|finds no layers)"),
    ({"n.caffemodel": networks.caffemodel()}, r"must have one \.prototxt file"),
    ({"n.onnx": b""}, r"must have one file of \.caffemodel"),
    ({**FILES["caffe"][0], **FILES["tensorflow"][0]}, r"must have one file of \.caffemodel"),
    (FILES["darknet"][0], "no layer 'mixed'; it ends with conv_0"),
])
def test_files_that_are_no_network_are_refused(tmp_path: Path, device: CpuDevice, files: dict[str, bytes],
                                               complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        shelve(tmp_path, files, "mixed").open("small", device)


def test_another_shape_than_the_manifests_is_told(tmp_path: Path, device: CpuDevice) -> None:
    model = shelve(tmp_path, *FILES["caffe"], shape='["n", 5, 8, 8]').open("small", device)
    with pytest.raises(InvalidInput, match="mixed must have the shape any×5×8×8, not"):
        model.warm_up()
    with pytest.raises(InvalidInput, match="small:"):
        model.run({"data": np.zeros((1, 7, SIDE, SIDE), np.float32)})


async def test_weights_that_are_no_numbers_are_noticed(tmp_path: Path) -> None:
    files = FILES["darknet"][0] | {"n.weights": networks.darknet_weights(networks.WEIGHTS * np.float32("nan"))}
    engine = Engine(shelve(tmp_path, files, "conv_0"))
    try:
        with pytest.raises(InvalidInput, match="are no numbers"):
            await engine.load("small")
    finally:
        await engine.close()
