"""Graphs whose runs are as long as their input's shape says, and those that an input can make run for as long as it
likes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from aimass_stream.engines.onnx.steady import steady

node = helper.make_node
COUNT = helper.make_tensor_value_info("count", TensorProto.INT64, [1])


def model(*nodes: NodeProto, weights: dict[str, Any] | None = None, **options: Any) -> bytes:
    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])

    body = helper.make_graph(list(nodes), "test", [value("x"), COUNT], [value("y")],
                             [numpy_helper.from_array(np.asarray(array), name) for name, array in
                              (weights or {}).items()])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    made: ModelProto = helper.make_model(body, opset_imports=opsets, ir_version=9, **options)
    return bytes(made.SerializeToString())


SHAPE = {"shape": np.array([-1, 4], np.int64)}


@pytest.mark.parametrize("content", [
    model(node("Identity", ["x"], ["y"])),
    model(node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"]), weights={"w": np.zeros((4, 4), np.float32)}),
    model(node("Reshape", ["x", "shape"], ["y"]), weights=SHAPE),
    model(node("Constant", [], ["shape"], value=numpy_helper.from_array(SHAPE["shape"])),
          node("Reshape", ["x", "shape"], ["y"]))])
def test_what_is_steady(content: bytes) -> None:
    assert steady(content)


def looping() -> NodeProto:
    """Goes on as often as `count` says."""
    def flag(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.BOOL, [])

    body = helper.make_graph([node("Identity", ["go"], ["on"])], "body", [
        helper.make_tensor_value_info("i", TensorProto.INT64, []), flag("go")], [flag("on")])
    return node("Loop", ["count", ""], [], body=body)


@pytest.mark.parametrize("content", [
    model(looping(), node("Identity", ["x"], ["y"])),
    model(node("Expand", ["x", "count"], ["y"])),
    model(node("ConstantOfShape", ["count"], ["y"])),
    model(node("Reshape", ["x", "count"], ["y"])),  # to a shape that broadcasts to a large one
    model(node("Relu", ["x"], ["y"], domain="own")),
    model(node("Relu", ["x"], ["y"]), functions=[helper.make_function(
        "own", "Relu", ["a"], ["b"], [node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 18)])])])
def test_what_is_not(content: bytes) -> None:
    assert not steady(content)
