"""ONNX files as models: what fits, and what is said of those that do not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from aimass_stream.engines import ENGINES
from aimass_stream.engines.onnx import OnnxModel, bound
from aimass_stream.engines.onnx.graph import external, freed
from aimass_stream.errors import InvalidInput, ModelFailed
from aimass_stream.inference import Capabilities, CpuDevice, Engine, Entry, FolderStore, TensorSpec
from aimass_stream.inference.loader import ModelFile, _engine
from tests.support.networks import varint
from tests.support.sights import shared

pytestmark = pytest.mark.anyio

IMAGE = TensorSpec("x", (None, 3, None, None))
MADE = TensorSpec("y", (None, 3, None, None))
BATCHES = Capabilities(batchable=True, max_batch=4)


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def graph(shape: list[Any], *, operator: str = "Neg", dtype: int = TensorProto.FLOAT, domain: str = "") -> bytes:
    node = helper.make_node(operator, ["x"], ["y"], domain=domain)
    body = helper.make_graph([node], "test", [helper.make_tensor_value_info("x", dtype, shape)],
                             [helper.make_tensor_value_info("y", dtype, shape)])
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model: onnx.ModelProto = helper.make_model(body, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())


def entry(folder: Path, content: bytes, inputs: TensorSpec = IMAGE, outputs: TensorSpec = MADE,
          capabilities: Capabilities = BATCHES) -> Entry:
    (folder / "m.onnx").write_bytes(content)
    return Entry(folder=folder, name="m", version="1", title="", task="test", licence="Apache-2.0", sources=(),
                 engine="", files=(ModelFile("m.onnx", len(content), ""),), inputs=(inputs,), outputs=(outputs,),
                 capabilities=capabilities)


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["onnx"]) is OnnxModel


def test_a_free_first_axis_may_hold_a_batch(tmp_path: Path, device: CpuDevice) -> None:
    model = OnnxModel(entry(tmp_path, graph(["n", 3, "h", "w"])), device)
    assert model.capabilities == Capabilities(batchable=True, max_batch=4, fixed_shapes=False, beside=True,
                                              steady=True)
    model.warm_up()
    x = np.random.default_rng(1).random((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(model.run({"x": x})["y"], -x)
    assert model._session.get_session_options().intra_op_num_threads == 1


def fixed(folder: Path, content: bytes) -> Entry:
    return entry(folder, content, TensorSpec("x", (None, 3, 8, 8)), TensorSpec("y", (None, 3, 8, 8)))


def reshaping(*, constant: bool, packed: bool) -> bytes:
    """Turns its 8x8 planes into rows of 64 and back, with the number of rows built in."""
    flat, square = np.array([3, 64], np.int64), np.array([1, 3, 8, 8], np.int64)
    shapes = [numpy_helper.from_array(values, name) if not packed else
              helper.make_tensor(name, TensorProto.INT64, values.shape, values)
              for name, values in (("flat", flat), ("square", square))]
    nodes = [helper.make_node("Reshape", ["x", "flat"], ["rows"]), helper.make_node("Softmax", ["rows"], ["soft"]),
             helper.make_node("Reshape", ["soft", "square"], ["y"])]
    if constant:
        nodes = [*(helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in shapes), *nodes]
    body = helper.make_graph(nodes, "test", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
                             [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
                             [] if constant else shapes,
                             value_info=[helper.make_tensor_value_info("rows", TensorProto.FLOAT, [3, 64])])
    model: onnx.ModelProto = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def test_a_fixed_first_axis_stays_at_one_unless_the_manifest_calls_it_batchable(
        tmp_path: Path, device: CpuDevice) -> None:
    content = graph([1, 3, 8, 8])
    alone = replace(fixed(tmp_path, content), capabilities=Capabilities())
    model = OnnxModel(alone, device)
    assert model.capabilities == Capabilities(batchable=False, max_batch=1, fixed_shapes=True, beside=True,
                                              steady=True)
    assert model.inputs[0].shape == (1, 3, 8, 8)
    with pytest.raises(InvalidInput, match="1×3×8×8"):
        model.inputs[0].check(np.zeros((2, 3, 8, 8), np.float32))


@pytest.mark.parametrize("content", [graph([1, 3, 8, 8]), reshaping(constant=False, packed=False),
                                     reshaping(constant=True, packed=False), reshaping(constant=False, packed=True)])
def test_a_fixed_first_axis_is_freed_where_rows_stay_as_they_were(tmp_path: Path, device: CpuDevice,
                                                                  content: bytes) -> None:
    model = OnnxModel(fixed(tmp_path, content), device)
    assert model.capabilities == Capabilities(batchable=True, max_batch=4, fixed_shapes=True, beside=True,
                                              steady=True)
    assert model.inputs[0].shape == (None, 3, 8, 8)
    x = np.random.default_rng(1).random((3, 3, 8, 8)).astype(np.float32)
    made = model.run({"x": x})["y"]
    plain = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for row in range(3):
        np.testing.assert_allclose(made[row : row + 1], plain.run(["y"], {"x": x[row : row + 1]})[0], atol=1e-6)


def test_a_graph_whose_rows_change_each_other_stays_at_one(tmp_path: Path, device: CpuDevice) -> None:
    """A softmax over the rows: alone, every value of it is 1."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    body = helper.make_graph([node], "test", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
                             [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])])
    content = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    model = OnnxModel(fixed(tmp_path, content), device)
    assert not model.capabilities.batchable
    assert model.run({"x": np.ones((1, 3, 8, 8), np.float32)})["y"].shape == (1, 3, 8, 8)


@pytest.mark.parametrize("name", ["FastestDet", "yunet_n_320_320"])
def test_public_detectors_take_rows_after_that(tmp_path: Path, device: CpuDevice, name: str) -> None:
    content = shared("weights", f"{name}.onnx").read_bytes()
    plain = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    takes, gives = plain.get_inputs()[0], plain.get_outputs()
    small = entry(tmp_path, content, TensorSpec(takes.name, (None, *takes.shape[1:])))
    small = replace(small, outputs=tuple(TensorSpec(gift.name, (None, *gift.shape[1:])) for gift in gives))
    model = OnnxModel(small, device)
    assert model.capabilities.max_batch == 4
    pictures = np.random.default_rng(1).random((4, *takes.shape[1:])).astype(np.float32)
    made = model.run({takes.name: pictures})
    for row in range(4):
        wanted = plain.run(None, {takes.name: pictures[row : row + 1]})
        for gift, values in zip(gives, wanted, strict=True):
            np.testing.assert_allclose(made[gift.name][row : row + 1], values, atol=1e-4)


def test_a_run_by_io_binding_answers_the_same(tmp_path: Path, device: CpuDevice) -> None:
    model = OnnxModel(entry(tmp_path, graph(["n", 3, "h", "w"])), device)
    x = np.random.default_rng(1).random((2, 3, 4, 5)).astype(np.float32)
    [made] = bound(model._session, ["y"], {"x": x[:, :, :, ::-1]}, ("cpu", 0))
    np.testing.assert_array_equal(made, -x[:, :, :, ::-1])


def test_files_that_are_cut_off_or_changed_raise_nothing_else() -> None:
    content = reshaping(constant=True, packed=True)
    rng = np.random.default_rng(4)
    changed = [bytes(np.where(rng.random(len(content)) < 0.02, rng.integers(0, 256, len(content)),
                              np.frombuffer(content, np.uint8)).astype(np.uint8)) for _ in range(50)]
    for broken in [*(content[:end] for end in range(0, len(content), 7)), *changed]:
        with contextlib.suppress(InvalidInput):
            external(broken)
            freed(broken)


def test_a_graph_in_a_graph_in_a_graph_is_refused() -> None:
    data = b""
    for _ in range(2000):  # of a node, of an attribute
        for number in (6, 5, 1):
            data = varint(number << 3 | 2) + varint(len(data)) + data
    with pytest.raises(InvalidInput, match="nested too deeply"):
        external(varint(7 << 3 | 2) + varint(len(data)) + data)


def outside(folder: Path, location: str, size: int) -> Entry:
    """A graph whose weights lie in another file."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1],
                          data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        weights.external_data.add(key=key, value=value)
    body = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "test",
                             [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
                             [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, "h", "w"])], [weights])
    content = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    (folder / "m.data").write_bytes(np.arange(3, dtype=np.float32).tobytes()[:size])
    made = entry(folder, content)
    return replace(made, files=(*made.files, ModelFile("m.data", size, "")))


def test_weights_in_a_file_of_the_manifest_are_read(tmp_path: Path, device: CpuDevice) -> None:
    model = OnnxModel(outside(tmp_path, "m.data", 12), device)
    assert model.run({"x": np.zeros((1, 3, 1, 1), np.float32)})["y"].ravel().tolist() == [0, 1, 2]


@pytest.mark.parametrize(("location", "size", "complaint"), [
    ("other.data", 12, "has tensors in other.data, which the manifest doesn't list"),
    ("../../etc/passwd", 12, "which the manifest doesn't list"),
    ("m.data", 4, "onnxruntime can't run this file"),
])
def test_weights_in_other_files_and_short_ones_are_refused(tmp_path: Path, device: CpuDevice, location: str, size: int,
                                                           complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        OnnxModel(outside(tmp_path, location, size), device)


async def test_shapes_that_do_not_fit_inside_and_weights_that_are_no_numbers_are_told_at_loading(
        tmp_path: Path) -> None:
    def summed(values: Any) -> Entry:
        weights = numpy_helper.from_array(np.array(values, np.float32), "w")
        body = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "test",
                                 [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "k"])],
                                 [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])], [weights])
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return entry(tmp_path, model.SerializeToString(), TensorSpec("x", (None, None), example=(1, 2)),
                     TensorSpec("y", (None, len(values[0]))))

    engine = Engine(FolderStore([]))
    try:
        for values, complaint in (([[1.0], [float("nan")]], "are no numbers"),
                                  (np.eye(3), "m does not run on cpu: .*dimension mismatch")):
            made = await asyncio.to_thread(OnnxModel, summed(values), engine.device)
            with pytest.raises((InvalidInput, ModelFailed), match=complaint):
                await engine.add(made)
    finally:
        await engine.close()


def test_a_shape_that_the_graph_refuses_is_the_callers_fault(tmp_path: Path, device: CpuDevice) -> None:
    model = OnnxModel(entry(tmp_path, graph(["n", 3, "h", "w"])), device)
    with pytest.raises(InvalidInput, match="m:"):
        model.run({"x": np.zeros((1, 4, 5, 5), np.float32)})


@pytest.mark.parametrize("content", [
    b"", b"not a model at all", graph(["n", 3, "h", "w"])[:-20],
    graph(["n", 3, "h", "w"], operator="NoSuchOperator"),
    graph(["n", 3, "h", "w"], operator="Custom", domain="com.example.custom"),
])
def test_a_file_that_is_no_model_here_is_refused(tmp_path: Path, device: CpuDevice, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="onnxruntime can't run this file"):
        OnnxModel(entry(tmp_path, content), device)


@pytest.mark.parametrize(("shape", "inputs", "outputs", "complaint"), [
    (["n", 3, "h", "w"], TensorSpec("image", IMAGE.shape), MADE, "the graph's inputs are x; the manifest names image"),
    (["n", 3, "h", "w"], IMAGE, TensorSpec("z", MADE.shape), "the graph's outputs are y; the manifest names z"),
    (["n", 3, "h", "w"], TensorSpec("x", IMAGE.shape, "uint8"), MADE, "float32 in the graph, uint8 in the manifest"),
    (["n", 3, "h"], IMAGE, MADE, "has the shape"),
    (["n", 4, "h", "w"], IMAGE, MADE, "has the shape"),
    (["n", 3, 64, 64], IMAGE, MADE, "has the shape"),
])
def test_a_graph_other_than_its_manifest_is_refused(tmp_path: Path, device: CpuDevice, shape: list[Any],
                                                    inputs: TensorSpec, outputs: TensorSpec, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        OnnxModel(entry(tmp_path, graph(shape), inputs, outputs), device)


def test_a_manifest_may_be_narrower_than_its_graph(tmp_path: Path, device: CpuDevice) -> None:
    narrow = TensorSpec("x", (None, 3, 16, 16))
    assert OnnxModel(entry(tmp_path, graph(["n", 3, "h", "w"]), narrow), device).inputs == (narrow,)


def test_states_and_several_files_are_refused(tmp_path: Path, device: CpuDevice) -> None:
    with pytest.raises(InvalidInput, match="no state"):
        OnnxModel(entry(tmp_path, graph(["n", 3, "h", "w"]), capabilities=Capabilities(slots=2)), device)
    good = entry(tmp_path, graph(["n", 3, "h", "w"]))
    object.__setattr__(good, "files", (*good.files, *good.files))
    with pytest.raises(InvalidInput, match=r"one \.onnx file, not 2"):
        OnnxModel(good, device)
