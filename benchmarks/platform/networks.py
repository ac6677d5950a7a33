"""The networks that are measured: ONNX files with weights by chance, made here, so that nothing has to be fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

SEED = 5
NUMBERS = 16  # of the no-op's row
WORDS, TOKENS, VOCABULARY = 128, 24, 4096  # the text classifier's: width of a word, words of a text, words it knows
STATE = 512  # of its recurrent layer
SIDE = 96  # px of the convolutional one's picture


@dataclass(frozen=True)
class Network:
    name: str
    title: str
    build: Callable[[], bytes]
    row: tuple[int, ...]  # shape of one row of its only input, "x"
    dtype: str = "float32"

    def one(self) -> NDArray[Any]:
        """A row, (1, ...)."""
        rng = np.random.default_rng(SEED)
        shape = (1, *self.row)
        return (rng.random(shape, np.float32) if self.dtype == "float32"
                else rng.integers(0, VOCABULARY, shape).astype(self.dtype))


def no_op(marked: float = 0.0) -> bytes:
    """y = x; `marked` makes a file of its own out of it, and is what comes back instead of x."""
    if marked:
        nodes = [helper.make_node("Mul", ["x", "none"], ["nothing"]),
                 helper.make_node("Add", ["nothing", "mark"], ["y"])]
        weights = {"none": np.zeros(1, np.float32), "mark": np.array([marked], np.float32)}
    else:
        nodes, weights = [helper.make_node("Identity", ["x"], ["y"])], {}
    return _model(nodes, weights, [NUMBERS], [NUMBERS])


def mlp() -> bytes:
    """35 MB of weights, which a single row has to be read for: 64 numbers to 10."""
    widths = (64, 4096, 2048, 10)
    rng = np.random.default_rng(SEED)
    nodes, weights, last = [], {}, "x"
    for place, (taken, given) in enumerate(pairwise(widths)):
        weights[f"w{place}"] = _chance(rng, taken, given)
        end = place == len(widths) - 2
        nodes.append(helper.make_node("MatMul", [last, f"w{place}"], ["y" if end else f"m{place}"]))
        if not end:
            nodes.append(helper.make_node("Relu", [f"m{place}"], [f"r{place}"]))
            last = f"r{place}"
    return _model(nodes, weights, [widths[0]], [widths[-1]])


def text() -> bytes:
    """Numbers of words, through a recurrent layer (GRU), to 10: its weights are read anew for every word."""
    rng = np.random.default_rng(SEED)
    weights: dict[str, NDArray[Any]] = {
        "words": _chance(rng, VOCABULARY, WORDS), "w": _chance(rng, 3 * STATE, WORDS)[None],
        "r": _chance(rng, 3 * STATE, STATE)[None], "out": _chance(rng, STATE, 10), "first": np.array([0], np.int64)}
    nodes = [helper.make_node("Gather", ["words", "x"], ["seen"]),
             helper.make_node("Transpose", ["seen"], ["turned"], perm=[1, 0, 2]),
             helper.make_node("GRU", ["turned", "w", "r"], ["", "last"], hidden_size=STATE),
             helper.make_node("Squeeze", ["last", "first"], ["state"]),
             helper.make_node("MatMul", ["state", "out"], ["y"])]
    return _model(nodes, weights, [TOKENS], [10], TensorProto.INT64)


def convolutional() -> bytes:
    """A picture through five layers of 3x3, to 10: its weights are few, its arithmetic is what takes long."""
    rng = np.random.default_rng(SEED)
    layers = ((3, 24, 2), (24, 48, 2), (48, 64, 1), (64, 96, 2), (96, 96, 1))
    nodes, weights, last = [], {"out": _chance(rng, 96, 10)}, "x"
    for place, (taken, given, stride) in enumerate(layers):
        weights[f"w{place}"] = _chance(rng, given, taken * 9).reshape(given, taken, 3, 3)
        nodes += [helper.make_node("Conv", [last, f"w{place}"], [f"c{place}"], strides=[stride] * 2, pads=[1] * 4),
                  helper.make_node("Relu", [f"c{place}"], [f"r{place}"])]
        last = f"r{place}"
    nodes += [helper.make_node("GlobalAveragePool", [last], ["pooled"]),
              helper.make_node("Flatten", ["pooled"], ["flat"]),
              helper.make_node("MatMul", ["flat", "out"], ["y"])]
    return _model(nodes, weights, [3, SIDE, SIDE], [10])


def large(megabytes: int) -> bytes:
    """A product with a matrix of so many MB: what takes a while to be checked or converted."""
    width = 1024
    rng = np.random.default_rng(SEED)
    height = max(1, megabytes * 250_000 // width)
    weights = {"w": _chance(rng, width, height), "v": _chance(rng, height, 10)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("MatMul", ["m", "v"], ["y"])]
    return _model(nodes, weights, [width], [10])


def _chance(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    return (rng.standard_normal((rows, columns), np.float32) / np.float32(np.sqrt(columns))).astype(np.float32)


def _model(nodes: list[Any], weights: dict[str, NDArray[Any]], takes: list[int], gives: list[int],
           kind: int = TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(
        nodes, "network", [helper.make_tensor_value_info("x", kind, ["n", *takes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *gives])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()])
    made: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


NO_OP = Network("no-op", "no-op", no_op, (NUMBERS,))
MLP = Network("mlp", "MLP", mlp, (64,))
TEXT = Network("text", "text (GRU)", text, (TOKENS,), "int64")
CONVOLUTIONAL = Network("convolutional", "convolutional", convolutional, (3, SIDE, SIDE))
