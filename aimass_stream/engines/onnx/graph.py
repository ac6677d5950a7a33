"""What has to be known or changed in an ONNX file, by its protobuf fields: no package for the format is needed.

Field numbers are those of onnx.proto3; the encoding is protobuf's: a key (number << 3 | wire type), then a varint, or
a length and so many bytes, or a fixed number of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

from ...errors import InvalidInput

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
GRAPH = 7  # of a model
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13  # of a graph
NODE_INPUT, NODE_OUTPUT, NODE_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH = 5, 6
TENSOR_TYPE, TENSOR_INT64, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL = 2, 7, 8, 9, 13
INT64 = 7  # a tensor's type
SHAPE_PATH = (2, 1, 2)  # from a value to its shape: type, tensor type, shape
DIM, DIM_VALUE, DIM_PARAM = 1, 1, 2
ROWS = b"rows"  # what the freed axis is called

MOST_FIELDS = 20_000_000  # of one file: forests have ten for each node of a tree; a million take 2 s

View: TypeAlias = memoryview | bytes
_left: ContextVar[list[int] | None] = ContextVar("fields that may still be read of a file", default=None)


class Field(NamedTuple):
    number: int
    wire: int
    value: View  # of BYTES: what follows the length
    whole: View  # with its key


@contextmanager
def bounded() -> Iterator[None]:
    """Within it, what `fields` reads is counted together, as of one file: a hostile one has very many small ones."""
    token = _left.set([MOST_FIELDS])
    try:
        yield
    finally:
        _left.reset(token)


def fields(message: View) -> Iterator[Field]:
    """Raises `InvalidInput` where the bytes are no protobuf message, or there are more than `MOST_FIELDS`."""
    at, left = 0, _left.get() or [MOST_FIELDS]
    while at < len(message):
        begin = at
        left[0] -= 1
        if left[0] < 0:
            raise InvalidInput(f"onnxruntime can't run this file: it has more than {MOST_FIELDS} fields", field="files")
        key, at = _varint(message, at)
        wire = key & 7
        if key < 8:  # protobuf has no field 0; a large file of zeros would take minutes
            raise _none()
        if wire == VARINT:
            start = at
            _, at = _varint(message, at)
        elif wire == BYTES:
            length, start = _varint(message, at)
            at = start + length
        elif wire in (FIXED64, FIXED32):
            start, at = at, at + (8 if wire == FIXED64 else 4)
        else:
            raise _none()
        if at > len(message):
            raise InvalidInput("onnxruntime can't run this file: it is cut off", field="files")
        yield Field(key >> 3, wire, message[start:at], message[begin:at])


def _none() -> InvalidInput:
    return InvalidInput("onnxruntime can't run this file: it is no ONNX", field="files")


def external(data: bytes) -> set[str]:
    """The files that hold tensors of this one, as it names them."""
    try:
        with bounded():
            return {place for graph in all_of(memoryview(data), GRAPH) for place in _external(graph)}
    except RecursionError:  # a graph in a graph in a graph...
        raise InvalidInput("onnxruntime can't run this file: it is nested too deeply", field="files") from None


def _external(graph: View) -> Iterator[str]:
    for number, wire, value, _ in fields(graph):
        if wire == BYTES and number == INITIALIZER:
            yield from _locations(value)
        elif wire == BYTES and number == NODE:
            for attribute in all_of(value, NODE_ATTRIBUTE):
                for field in fields(attribute):
                    if field.wire == BYTES and field.number == ATTRIBUTE_TENSOR:
                        yield from _locations(field.value)
                    elif field.wire == BYTES and field.number == ATTRIBUTE_GRAPH:
                        yield from _external(field.value)


def _locations(tensor: View) -> Iterator[str]:
    for entry in all_of(tensor, TENSOR_EXTERNAL):
        if text_of(entry, 1) == "location":
            yield text_of(entry, 2)


def freed(data: bytes) -> bytes:
    """The same model with a free first axis on all inputs and outputs; whether that makes sense, a run has to show.

    Where a reshape has the number of rows built in, that axis follows from the others.
    """
    with bounded():
        return b"".join(_bytes(GRAPH, _freed(field.value)) if field.number == GRAPH else bytes(field.whole)
                        for field in fields(memoryview(data)))


def _freed(graph: View) -> bytes:
    weights = {text_of(tensor, TENSOR_NAME) for tensor in all_of(graph, INITIALIZER)}
    shapes = {_text_at(node, NODE_INPUT, 1) for node in all_of(graph, NODE) if text_of(node, NODE_TYPE) == "Reshape"}
    parts = []
    for number, _, value, whole in fields(graph):
        if number == INPUT and text_of(value, 1) in weights:  # as old files list them
            parts.append(bytes(whole))
        elif number in (INPUT, OUTPUT):
            parts.append(_bytes(number, _along(value, SHAPE_PATH, _free_first)))
        elif number == INITIALIZER and text_of(value, TENSOR_NAME) in shapes:
            parts.append(_bytes(number, _reshaping(value)))
        elif number == NODE and text_of(value, NODE_TYPE) == "Constant" and text_of(value, NODE_OUTPUT) in shapes:
            parts.append(_bytes(number, _along(value, (NODE_ATTRIBUTE, ATTRIBUTE_TENSOR), _reshaping)))
        elif number != VALUE_INFO:  # shapes of what lies between: they no longer hold
            parts.append(bytes(whole))
    return b"".join(parts)


def _along(message: View, path: tuple[int, ...], change: Callable[[View], bytes]) -> bytes:
    """The message with what lies at the end of the path changed."""
    if not path:
        return change(message)
    return b"".join(_bytes(field.number, _along(field.value, path[1:], change)) if field.number == path[0]
                    and field.wire == BYTES else bytes(field.whole) for field in fields(message))


def _free_first(shape: View) -> bytes:
    first, *others = [field.whole for field in fields(shape) if field.number == DIM] or [b""]
    return (_bytes(DIM, _bytes(DIM_PARAM, ROWS)) if first else b"") + b"".join(map(bytes, others))


def _reshaping(tensor: View) -> bytes:
    """A shape (int64) with a first axis of any length; as it was, if it has another free one or is something else."""
    found = list(fields(tensor))
    if not any(field.number == TENSOR_TYPE and bytes(field.value) == bytes([INT64]) for field in found):
        return bytes(tensor)
    parts = []
    for field in found:
        if field.number == TENSOR_RAW:
            raw = bytes(field.value)
            axes = [int.from_bytes(raw[at : at + 8], "little", signed=True) for at in range(0, len(raw), 8)]
            parts.append(_bytes(TENSOR_RAW, b"".join(axis.to_bytes(8, "little", signed=True) for axis in _free(axes))))
        elif field.number == TENSOR_INT64 and field.wire == BYTES:
            axes, at = [], 0
            while at < len(field.value):
                axis, at = _varint(field.value, at)
                axes.append(axis - (1 << 64) if axis >> 63 else axis)
            parts.append(_bytes(TENSOR_INT64, b"".join(map(_encoded, _free(axes)))))
        else:
            parts.append(bytes(field.whole))
    return b"".join(parts)


def _free(axes: list[int]) -> list[int]:
    if len(axes) < 2 or axes[0] <= 0:
        return axes
    if -1 not in axes:
        return [-1, *axes[1:]]
    return [0, *axes[1:]] if axes[0] == 1 else axes  # 0: as it comes in


def all_of(message: View, number: int) -> Iterator[View]:
    """What lies in each of its fields of that number."""
    return (field.value for field in fields(message) if field.number == number and field.wire == BYTES)


def text_of(message: View, number: int) -> str:
    """Of its first field of that number; "" where it has none."""
    return _text_at(message, number, 0)


def _text_at(message: View, number: int, place: int) -> str:
    found = list(all_of(message, number))
    return bytes(found[place]).decode("utf-8", "replace") if len(found) > place else ""


def _bytes(number: int, value: bytes) -> bytes:
    return _encoded(number << 3 | BYTES) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _varint(message: View, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, min(at + 10, len(message))):
        value |= (message[place] & 127) << 7 * (place - at)
        if message[place] < 128:
            return value & (1 << 64) - 1, place + 1
    raise InvalidInput("onnxruntime can't run this file: it is cut off", field="files")
