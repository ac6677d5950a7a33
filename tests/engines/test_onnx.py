"""ONNX files as models: what fits, and what is said of those that do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aimass_stream.engines import ENGINES
from aimass_stream.engines.onnx import OnnxModel
from aimass_stream.errors import InvalidInput
from aimass_stream.inference import Capabilities, CpuDevice, Entry, TensorSpec
from aimass_stream.inference.loader import ModelFile, _engine

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
    assert model.capabilities == Capabilities(batchable=True, max_batch=4, fixed_shapes=False)
    model.warm_up()
    x = np.random.default_rng(1).random((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(model.run({"x": x})["y"], -x)
    assert model._session.get_session_options().intra_op_num_threads == 1


def test_a_fixed_first_axis_stays_at_one_whatever_the_manifest_says(tmp_path: Path, device: CpuDevice) -> None:
    model = OnnxModel(entry(tmp_path, graph([1, 3, 8, 8]), TensorSpec("x", (None, 3, 8, 8)),
                            TensorSpec("y", (None, 3, 8, 8))), device)
    assert model.capabilities == Capabilities(batchable=False, max_batch=1, fixed_shapes=True)
    assert model.inputs[0].shape == (1, 3, 8, 8)
    with pytest.raises(InvalidInput, match="1×3×8×8"):
        model.inputs[0].check(np.zeros((2, 3, 8, 8), np.float32))


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
