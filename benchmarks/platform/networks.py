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
WIDTH, LAYERS, HEADS = 384, 6, 12  # of the text network
TOKENS, VOCABULARY = 4, 4096  # words of a query, and of all that it knows
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


def padded(model: bytes, size: int, seed: int) -> bytes:
    """The same model, as a file of about `size` bytes that no other one is like."""
    made = ModelProto()
    made.ParseFromString(model)
    made.doc_string = np.random.default_rng(seed).bytes(size // 2).hex()
    return bytes(made.SerializeToString())


def mlp() -> bytes:
    """102 MB of weights, which a single row has to be read for: 64 numbers to 10."""
    widths = (64, 6144, 4096, 10)
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
    """An encoder as small sentence embedders have it (six layers of 384), for queries of four words: 42 MB."""
    rng = np.random.default_rng(SEED)
    weights: dict[str, NDArray[Any]] = {
        "words": _chance(rng, VOCABULARY, WIDTH), "ones": np.ones(WIDTH, np.float32), "out": _chance(rng, WIDTH, 10),
        "apart": np.array([0, TOKENS, HEADS, WIDTH // HEADS], np.int64), "root": np.array(2 ** 0.5, np.float32),
        "joined": np.array([0, TOKENS, WIDTH], np.int64), "half": np.array(0.5, np.float32),
        "one": np.array(1, np.float32), "scale": np.array((WIDTH / HEADS) ** -0.5, np.float32)}
    nodes = [helper.make_node("Gather", ["words", "x"], ["s0"])]
    for layer in range(LAYERS):
        nodes += _attention(f"s{layer}", f"a{layer}", f"l{layer}") + _dense(f"a{layer}", f"s{layer + 1}", f"l{layer}")
        for name in "qkvo":
            weights[f"l{layer}{name}"] = _chance(rng, WIDTH, WIDTH)
        weights |= {f"l{layer}up": _chance(rng, WIDTH, 4 * WIDTH), f"l{layer}down": _chance(rng, 4 * WIDTH, WIDTH)}
    nodes += [helper.make_node("ReduceMean", [f"s{LAYERS}"], ["mean"], axes=[1], keepdims=0),
              helper.make_node("MatMul", ["mean", "out"], ["y"])]
    return _model(nodes, weights, [TOKENS], [10], TensorProto.INT64)


def _attention(given: str, made: str, layer: str) -> list[Any]:
    nodes = []
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [helper.make_node("MatMul", [given, layer + name], [f"{made}{name}"]),
                  helper.make_node("Reshape", [f"{made}{name}", "apart"], [f"{made}{name}1"]),
                  helper.make_node("Transpose", [f"{made}{name}1"], [f"{made}{name}2"], perm=order)]
    return [*nodes, helper.make_node("MatMul", [f"{made}q2", f"{made}k2"], [f"{made}s"]),
            helper.make_node("Mul", [f"{made}s", "scale"], [f"{made}s1"]),
            helper.make_node("Softmax", [f"{made}s1"], [f"{made}s2"]),
            helper.make_node("MatMul", [f"{made}s2", f"{made}v2"], [f"{made}h"]),
            helper.make_node("Transpose", [f"{made}h"], [f"{made}h1"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"{made}h1", "joined"], [f"{made}h2"]),
            helper.make_node("MatMul", [f"{made}h2", f"{layer}o"], [f"{made}o"]),
            helper.make_node("Add", [given, f"{made}o"], [f"{made}t"]),
            helper.make_node("LayerNormalization", [f"{made}t", "ones"], [made])]


def _dense(given: str, made: str, layer: str) -> list[Any]:
    """Wider and back, with GELU between."""
    return [helper.make_node("MatMul", [given, f"{layer}up"], [f"{made}u"]),
            helper.make_node("Div", [f"{made}u", "root"], [f"{made}u1"]),
            helper.make_node("Erf", [f"{made}u1"], [f"{made}u2"]),
            helper.make_node("Add", [f"{made}u2", "one"], [f"{made}u3"]),
            helper.make_node("Mul", [f"{made}u", f"{made}u3"], [f"{made}u4"]),
            helper.make_node("Mul", [f"{made}u4", "half"], [f"{made}u5"]),
            helper.make_node("MatMul", [f"{made}u5", f"{layer}down"], [f"{made}d"]),
            helper.make_node("Add", [given, f"{made}d"], [f"{made}t"]),
            helper.make_node("LayerNormalization", [f"{made}t", "ones"], [made])]


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
TEXT = Network("text", "text encoder", text, (TOKENS,), "int64")
CONVOLUTIONAL = Network("convolutional", "convolutional", convolutional, (3, SIDE, SIDE))
