"""Tensors on the wire and as arrays: the protocol's datatypes, in JSON and in raw bytes (little endian, row major)."""

from __future__ import annotations

import math
from array import array
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...inference import TensorSpec

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("bool"), "UINT8": np.dtype("<u1"), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"), "INT8": np.dtype("<i1"), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"), "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
BYTES = "BYTES"
DATATYPES = {str(dtype): name for name, dtype in DTYPES.items()} | {"object": BYTES}
KINDS = {dtype: name for name, dtype in DTYPES.items()}

MOST_AXES = 16
LENGTH = 4  # bytes before an element of BYTES


def datatype(spec: TensorSpec) -> str:
    return DATATYPES[spec.dtype]


def is_text(spec: TensorSpec) -> bool:
    """An input of texts: arrays of `str`. Other objects are no tensors."""
    return spec.dtype == "object" and spec.unit.partition(",")[0] == "text"


def shape_of(given: object, name: str) -> tuple[int, ...]:
    """Raises `InvalidInput`."""
    if isinstance(given, list) and len(given) <= MOST_AXES:
        for axis in given:
            if type(axis) is not int or not 0 <= axis < 1 << 31:
                break
        else:
            return tuple(given)
    raise InvalidInput(f"{name}: shape is a list of up to {MOST_AXES} whole numbers, such as [1, 4]", field=name)


# JSON -------------------------------------------------------------------------------------------------


def from_json(name: str, kind: str, shape: tuple[int, ...], data: object) -> NDArray[Any]:
    """`data` is nested as the shape says, or flat. Raises `InvalidInput` naming the tensor."""
    values = _flat(name, shape, data)
    if len(values) != math.prod(shape):
        raise InvalidInput(f"{name} has {len(values)} values; the shape {list(shape)} takes {math.prod(shape)}",
                           field=name)
    if kind == BYTES:
        return _texts(name, values).reshape(shape)
    return _numbers(name, kind, values).reshape(shape)


def _flat(name: str, shape: tuple[int, ...], data: object) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput(f"{name}: data must be a list", field=name)
    if not data or not isinstance(data[0], list):
        return data
    for axis, size in enumerate(shape[1:], 1):
        if (axis == 1 and len(data) != shape[0]) or not all(isinstance(each, list) and len(each) == size
                                                          for each in data):
            raise InvalidInput(f"{name}: data is not nested as the shape {list(shape)} says", field=name)
        data = list(chain.from_iterable(data))
    return data


def _texts(name: str, values: list[Any]) -> NDArray[Any]:
    if not all(isinstance(each, str) for each in values):
        raise InvalidInput(f"{name}: BYTES in JSON are strings", field=name)
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _numbers(name: str, kind: str, values: list[Any]) -> NDArray[Any]:
    dtype = DTYPES[kind]
    try:  # arrays take numbers only, where numpy would take "1.5", None and texts of any length, too
        if dtype.kind == "f":
            with np.errstate(over="raise"):
                return np.frombuffer(array("d", values), np.float64).astype(dtype)
        wide = np.frombuffer(array("Q" if kind == "UINT64" else "q", values), np.uint64 if kind == "UINT64"
                             else np.int64)
    except (TypeError, OverflowError, FloatingPointError) as error:
        what = "numbers" if dtype.kind == "f" else "true or false" if kind == "BOOL" else "whole numbers"
        raise InvalidInput(f"{name}: {kind} takes {what} in its range: {error}", field=name) from None
    low, high = (0, 1) if kind == "BOOL" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if kind not in ("UINT64", "INT64") and wide.size and (wide.min() < low or wide.max() > high):
        raise InvalidInput(f"{name}: {kind} takes values from {low} to {high}", field=name)
    return wide.astype(dtype)


def to_json(array: NDArray[Any]) -> object:
    """Its values as orjson writes them, nested as it is: numbers as short as they can be told apart by, and null where
    JSON has no number (NaN, infinity)."""
    if array.dtype.kind == "O":
        return _strings(array.tolist())
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")) if array.ndim else array[()]


def _strings(value: object) -> object:
    return [_strings(each) for each in value] if isinstance(value, list) else _str(value)


# raw bytes --------------------------------------------------------------------------------------------


def from_bytes(name: str, kind: str, shape: tuple[int, ...], data: memoryview) -> NDArray[Any]:
    """A copy, since a body can't be written to. Raises `InvalidInput` naming the tensor."""
    if kind == BYTES:
        return _elements(name, math.prod(shape), data).reshape(shape)
    dtype = DTYPES[kind]
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise InvalidInput(f"{name} has {len(data)} bytes; {kind} of the shape {list(shape)} takes "
                           f"{math.prod(shape) * dtype.itemsize}", field=name)
    if kind == "BOOL":
        return np.frombuffer(data, np.uint8).reshape(shape).astype(np.bool_)
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _elements(name: str, count: int, data: memoryview) -> NDArray[Any]:
    """Each is its length in four bytes and then itself, as UTF-8."""
    if count * LENGTH > len(data):
        raise InvalidInput(f"{name}: {count} elements of BYTES take more than {len(data)} bytes", field=name)
    found, place = np.empty(count, object), 0
    for index in range(count):
        size = int.from_bytes(data[place:place + LENGTH], "little")
        place += LENGTH
        if place + size > len(data):
            raise InvalidInput(f"{name}: element {index} says that it has {size} bytes, more than there are",
                               field=name)
        found[index] = text_of(name, data[place:place + size])
        place += size
    if place != len(data):
        raise InvalidInput(f"{name}: {len(data) - place} bytes are left after {count} elements", field=name)
    return found


def text_of(name: str, data: memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} is not UTF-8", field=name) from None


def to_bytes(array: NDArray[Any]) -> bytes:
    if array.dtype.kind == "O":
        encoded = [_str(value).encode() for value in array.ravel().tolist()]
        return b"".join(chain.from_iterable((len(each).to_bytes(LENGTH, "little"), each) for each in encoded))
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"the model answers {type(value).__name__}, which is no tensor: ask for its other outputs",
                           field="outputs")
    return value


def kind_of(array: NDArray[Any]) -> str:
    """The datatype of what a model answers. Raises `InvalidInput` for what the protocol has none for."""
    kind = KINDS.get(array.dtype) or DATATYPES.get(str(array.dtype.newbyteorder("=")))
    if kind is None:
        raise InvalidInput(f"the model answers {array.dtype}, which the protocol does not have", field="outputs")
    return kind
