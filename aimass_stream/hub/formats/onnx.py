"""ONNX, by its protobuf fields (those of onnx.proto3): what it computes, and that it stays in its folder.

Refused are operators of unknown makers, and tensors in files that are not the model's. Weights have to be numbers.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ...engines.onnx.graph import BYTES, VARINT, View, bounded, fields
from ...errors import InvalidInput
from .kinds import Found, Graph, Node, Tensor, Value

IR, PRODUCER, OPSETS, GRAPH, FUNCTIONS = 1, 2, 8, 7, 25  # fields of a model
# what onnxruntime has itself; functions of the model's own are made of these
MAKERS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.preview.training"}
TYPES = {1: ("float32", 4), 2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2), 6: ("int32", 4),
         7: ("int64", 8), 8: ("string", 0), 9: ("bool", 1), 10: ("float16", 2), 11: ("float64", 8), 12: ("uint32", 4),
         13: ("uint64", 8), 16: ("bfloat16", 2)}
FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
DEEPEST = 16  # graphs within graphs
MOST_NODES = 200_000


class _Place(NamedTuple):
    location: str
    offset: int
    length: int


class _Reader:
    """One file. Everything that it names is checked while it is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.own: set[tuple[str, str]] = set()  # the model's own functions: maker and name

    def read(self, data: View) -> Found:
        opsets: dict[str, int] = {}
        graphs: list[View] = []
        functions: list[View] = []
        version, producer = 0, ""
        for number, wire, value, _ in fields(data):
            if number == IR and wire == VARINT:
                version = whole(value)
            elif number == PRODUCER and wire == BYTES:
                producer = words(value)
            elif number == OPSETS and wire == BYTES:
                opsets[text(value, 1)] = whole(last(value, 2))
            elif number == GRAPH and wire == BYTES:
                graphs.append(value)
            elif number == FUNCTIONS and wire == BYTES:
                functions.append(value)
        if len(graphs) != 1 or not opsets:
            raise self.wrong("is no ONNX model: it has no graph, or names no operators")
        self.own = {(text(function, 10), text(function, 1)) for function in functions}
        for function in functions:
            for node in every(function, 7):
                self._node(node, 1)
        self._body(graphs[0], 1)
        inputs, outputs, between = (tuple(_value(each) for each in every(graphs[0], number)) for number in (11, 12, 13))
        weights = {tensor.name for tensor in self.tensors}
        takes = tuple(each for each in inputs if each.name not in weights)  # old files list weights, too
        graph = Graph(tuple(self.tensors), tuple(self.nodes), takes, outputs, between)
        sizes = sum(math.prod(tensor.shape) for tensor in self.tensors)
        return Found("onnx", "onnx", graph, {"ir": version, "producer": producer[:80], "opset": opsets.get("", 0) or
                                             opsets.get("ai.onnx", 0), "opsets": opsets, "parameters": sizes})

    def wrong(self, what: str) -> InvalidInput:
        return InvalidInput(f"{self.path.name} {what}", field="files")

    def _body(self, graph: View, depth: int) -> None:
        if depth > DEEPEST:
            raise self.wrong("is nested too deeply")
        for tensor in every(graph, 5):
            self._tensor(tensor)
        for node in every(graph, 1):
            self._node(node, depth)
        if any(True for _ in every(graph, 15)):
            raise self.wrong("has sparse weights, which are not taken")

    def _node(self, node: View, depth: int) -> None:
        if len(self.nodes) >= MOST_NODES:
            raise self.wrong(f"has more than {MOST_NODES} operators")
        maker, kind = text(node, 7), text(node, 4)
        if maker not in MAKERS and (maker, kind) not in self.own:
            raise self.wrong(f"uses the operator {kind[:60]!r} of {maker[:60]!r}, which nobody here knows: custom "
                             "operators are code and are not taken")
        self.nodes.append(Node(text(node, 3)[:200], f"{maker}:{kind}" if maker not in ("", "ai.onnx") else kind,
                               tuple(words(each) for each in every(node, 1)),
                               tuple(words(each) for each in every(node, 2))))
        named = text(node, 2)
        for attribute in every(node, 5):
            for field in fields(attribute):  # once: a forest's have millions of numbers
                if field.wire == BYTES and field.number in (5, 10):  # a tensor, one of several
                    self._tensor(field.value, named=named)
                elif field.wire == BYTES and field.number in (6, 11):  # a graph, one of several
                    self._body(field.value, depth + 1)

    def _tensor(self, tensor: View, named: str = "") -> None:
        kind, shape = whole(last(tensor, 2)), tuple(_numbers(tensor, 1))
        name = text(tensor, 8) or named
        if kind not in TYPES:
            raise self.wrong(f"has weights of a kind that is not taken ({kind}): {name[:64]}")
        dtype, size = TYPES[kind]
        if any(axis < 0 for axis in shape):
            raise self.wrong(f"has weights of no size: {name[:64]}")
        count = math.prod(shape)
        raw = next(every(tensor, 9), b"")
        entries = {text(each, 1): text(each, 2) for each in every(tensor, 13)}
        if entries:
            values: View = self._elsewhere(name, entries, count * size)
        else:
            values = raw
        if size and values and len(values) != count * size:
            raise self.wrong(f"has {len(values)} bytes for the weights {name[:64]}, which take {count * size}")
        self._finite(kind, values or next(every(tensor, 4 if kind == 1 else 10), b""), name)
        self.tensors.append(Tensor(name[:200], dtype, shape, count * size))

    def _elsewhere(self, name: str, entries: dict[str, str], size: int) -> View:
        location = entries.get("location", "")
        place = PurePosixPath(location)
        path = self.folder / place
        if (not location or place.is_absolute() or ".." in place.parts or "\\" in location
                or not path.resolve().is_relative_to(self.folder.resolve())):
            raise self.wrong(f"looks for weights outside of its folder: {location[:100]!r}")
        if not path.is_file():
            raise self.wrong(f"has weights in {location[:100]!r}, which was not sent")
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            raise self.wrong(f"does not say where the weights {name[:64]} are") from None
        if length != size or offset < 0 or offset + length > path.stat().st_size:
            raise self.wrong(f"has the weights {name[:64]} beyond the end of {location[:100]!r}")
        return np.memmap(path, np.uint8, "r", offset, (length,)).data if length else b""

    def _finite(self, kind: int, values: View, name: str) -> None:
        dtype = FLOATS.get(kind)
        if dtype is not None and values and not np.isfinite(
                np.frombuffer(values, dtype, len(values) // np.dtype(dtype).itemsize)).all():
            raise self.wrong(f"has weights that are no finite numbers: {name[:64]}")


def check(path: Path) -> Found:
    """Raises `InvalidInput` that says what is wrong with the file."""
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path.name} is empty", field="files")
    reader = _Reader(path)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # views of it may outlive this call
    try:
        with bounded():
            return reader.read(memoryview(mapped))
    except InvalidInput as error:
        told = str(error).replace("onnxruntime can't run this file: it", path.name)
        raise InvalidInput(told, field="files") from None
    except (RecursionError, ValueError):
        raise reader.wrong("is no ONNX model") from None


def every(message: View, number: int) -> Iterator[View]:
    return (field.value for field in fields(message) if field.number == number and field.wire == BYTES)


def last(message: View, number: int) -> View:
    """Of a number's field, the last one counts."""
    found: View = b"\x00"
    for field in fields(message):
        if field.number == number and field.wire == VARINT:
            found = field.value
    return found


def text(message: View, number: int) -> str:
    return words(next(every(message, number), b""))


def words(value: View) -> str:
    return bytes(value[:1000]).decode("utf-8", "replace")


def whole(value: View) -> int:
    """A varint, as int64."""
    number = 0
    for place, byte in enumerate(bytes(value)):
        number |= (byte & 127) << 7 * place
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number


def _numbers(message: View, number: int) -> Iterator[int]:
    """A repeated int64, packed or not."""
    for field in fields(message):
        if field.number != number:
            continue
        if field.wire == VARINT:
            yield whole(field.value)
        elif field.wire == BYTES:
            piece = bytearray()
            for byte in bytes(field.value[:1024]):
                piece.append(byte)
                if byte < 128:
                    yield whole(bytes(piece))
                    piece.clear()


def _value(value: View) -> Value:
    tensor = next(every(next(every(value, 2), b""), 1), b"")
    axes: list[int | str] = []
    for dim in every(next(every(tensor, 2), b""), 1):
        found = [whole(field.value) for field in fields(dim) if field.number == 1 and field.wire == VARINT]
        axes.append(found[-1] if found else text(dim, 2)[:64])
    return Value(text(value, 1)[:200], TYPES.get(whole(last(tensor, 1)), ("", 0))[0], tuple(axes))
