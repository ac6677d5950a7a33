"""Networks of Caffe, TensorFlow (frozen graphs) and Darknet: the forms of their files. OpenCV reads them later."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...engines.onnx.graph import BYTES, bounded, fields
from ...errors import InvalidInput
from .kinds import Found, Graph, Node, Tensor
from .onnx import every, text, words

TEXT = 4 << 20  # bytes of a file that describes layers
ACTS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile"}
GRAPH = 2 << 30  # bytes of one that is read as a whole


def caffe(weights: Path) -> Found:
    layers = _described(weights, ".prototxt")
    if "layer" not in layers:
        raise _wrong(weights.with_suffix(".prototxt"), "names no layers")
    with _reading(weights):
        data = _read(weights)
        found = [each for number in (2, 100) for each in every(data, number)]  # V1LayerParameter, LayerParameter
        nodes = tuple(Node(text(each, 1)[:200], text(each, 2)[:60], (), ()) for each in found)
    if not found:
        raise _wrong(weights, "has no layers of Caffe's")
    return Found("caffe", "dnn", Graph(nodes=nodes), {"layers": len(found)})


def tensorflow(weights: Path) -> Found:
    with _reading(weights):
        data = _read(weights)
        nodes = tuple(Node(text(each, 1)[:200], text(each, 2)[:60], tuple(words(name) for name in every(each, 3)), ())
                      for each in every(data, 1))
    if not nodes or not all(node.kind for node in nodes):
        raise _wrong(weights, "is no frozen graph of TensorFlow's")
    acting = sorted({node.kind for node in nodes} & ACTS)
    if acting:
        raise _wrong(weights, f"has operators that act on the machine: {', '.join(acting)}")
    return Found("tensorflow", "dnn", Graph(nodes=nodes), {"layers": len(nodes)})


def darknet(weights: Path) -> Found:
    layers = _described(weights, ".cfg")
    sections = [line.strip() for line in layers.splitlines() if line.strip().startswith("[")]
    if not sections or sections[0] not in ("[net]", "[network]"):
        raise _wrong(weights.with_suffix(".cfg"), "does not begin with [net]")
    with weights.open("rb") as file:
        head = file.read(12)
    major, minor = struct.unpack("<ii", head[:8]) if len(head) == 12 else (-1, -1)
    if not (0 <= major < 100 and 0 <= minor < 100):
        raise _wrong(weights, "has no head of Darknet's")
    start = 20 if major * 10 + minor >= 2 else 16
    size = weights.stat().st_size - start
    if size <= 0 or size % 4:
        raise _wrong(weights, "is cut off")
    if not np.isfinite(np.fromfile(weights, "<f4", offset=start)).all():
        raise _wrong(weights, "has weights that are no finite numbers")
    nodes = tuple(Node(f"{number}", name.strip("[]")[:60], (), ()) for number, name in enumerate(sections[1:]))
    return Found("darknet", "dnn", Graph((Tensor(weights.name, "float32", (size // 4,), size),), nodes),
                 {"layers": len(nodes), "parameters": size // 4})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Its protobuf fields: no more than `graph.MOST_FIELDS`, and what is wrong with them is told with its name."""
    try:
        with bounded():
            yield
    except InvalidInput as error:
        _, _, told = error.detail.partition("onnxruntime can't run this file: it ")
        raise _wrong(path, told) if told else error from None


def _described(weights: Path, suffix: str) -> str:
    beside = sorted(weights.parent.glob(f"*{suffix}"))
    if len(beside) != 1:
        raise InvalidInput(f"{weights.name} needs one {suffix} file that describes its layers, not {len(beside)}",
                           field="files")
    if beside[0].stat().st_size > TEXT:
        raise _wrong(beside[0], f"is larger than {TEXT} bytes")
    try:
        return beside[0].read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _wrong(beside[0], "is no text") from None


def _read(path: Path) -> bytes:
    if path.stat().st_size > GRAPH:
        raise _wrong(path, f"is larger than {GRAPH} bytes")
    data = path.read_bytes()
    try:
        if not any(field.wire == BYTES for field in fields(data)):
            raise _wrong(path, "is empty")
    except InvalidInput:
        raise _wrong(path, "is cut off, or of another kind than its name says") from None
    return data


def _wrong(path: Path, what: str) -> InvalidInput:
    return InvalidInput(f"{path.name} {what}", field="files")
