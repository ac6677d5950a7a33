"""Small ONNX networks that look at pictures: a face's vector, and chances of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .detectors import shelve

EMBEDDING = {"colour": "rgb", "mean": 127.5, "scale": 127.5, "threshold": 0.92}


def embedder(folder: Path, name: str = "cells", *, factor: float = 1.0, options: dict[str, Any] | None = None,
             rows: int = 1) -> None:
    """Describes a face (1, 3, 112, 112) by the colours of 14x14 cells, each less the mean of all; times `factor`."""
    nodes = [helper.make_node("AveragePool", ["face"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
             helper.make_node("ReduceMean", ["cells"], ["mean"], axes=[1, 2, 3], keepdims=1),
             helper.make_node("Sub", ["cells", "mean"], ["centred"]),
             helper.make_node("Mul", ["centred", "factor"], ["scaled"]),
             helper.make_node("Reshape", ["scaled", "shape"], ["vector"])]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("face", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [rows, 588 // rows])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor"),
         numpy_helper.from_array(np.array([rows, 588 // rows], np.int64), "shape")])
    shelve(folder, name, _bytes(graph), {"face": [1, 3, 112, 112]}, {"vector": [rows, 588 // rows]},
           EMBEDDING | (options or {}), "face-embedding")


def colours(folder: Path, name: str = "colours", *, task: str = "classification",
            weights: NDArray[np.float32] | None = None, options: dict[str, Any] | None = None, size: int = 32,
            shape: list[int] | None = None) -> None:
    """Three logits (1, 3): how red, green and blue a picture is, RGB 0 to 1 less a half, times ten."""
    matrix = np.eye(3, dtype=np.float32) * 10 if weights is None else weights
    classes = matrix.shape[1]
    nodes = [helper.make_node("GlobalAveragePool", ["picture"], ["means"]),
             helper.make_node("Flatten", ["means"], ["flat"]),
             helper.make_node("MatMul", ["flat", "matrix"], ["logits"])]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes])],
        [numpy_helper.from_array(matrix, "matrix")])
    shelve(folder, name, _bytes(graph), {"picture": [1, 3, size, size]}, {"logits": shape or [1, classes]},
           {"labels": ["red", "green", "blue"], "colour": "rgb", "mean": [127.5, 127.5, 127.5],
            "scale": [255, 255, 255], "fit": "crop"} | (options or {}), task)


def _bytes(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
