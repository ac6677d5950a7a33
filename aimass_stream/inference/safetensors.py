"""Weights in the safetensors format: 8 bytes with the header's length, the header as JSON, then plain numbers.

Read here by hand, with numpy alone: it is all that is wanted of the format.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .loader import Entry

HEADER = 100 << 20  # bytes; what safetensors' own reader allows
FLOATS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8")}
WHOLE: dict[str, np.dtype[Any]] = {"I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"),
                                   "I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?")}


def read(path: Path, most: int = 4 << 30) -> dict[str, NDArray[Any]]:
    """Tensors by name, floats as float32. Raises `InvalidInput` for another kind of file, one of more than `most`
    bytes, and for numbers that are not finite."""
    size = path.stat().st_size
    if size > most:
        raise InvalidInput(f"{path.name} has {size} bytes; it may have at most {most}", field="files")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length]) if 0 < length <= min(size - 8, HEADER) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InvalidInput(f"{path.name} is no safetensors file", field="files")
    body = memoryview(data)[8 + length :]
    return {name: _tensor(name, told, body) for name, told in header.items() if name != "__metadata__"}


def of(entry: Entry) -> dict[str, NDArray[Any]]:
    """The tensors of a model's one file, or of all that they were split into. Raises as `read`."""
    paths = [entry.folder / item.path for item in entry.files if item.path.endswith(".safetensors")]
    if len(paths) < 2:
        return read(entry.file(".safetensors"))
    found: dict[str, NDArray[Any]] = {}
    for path in paths:
        for name, values in read(path).items():
            if name in found:
                raise InvalidInput(f"the tensor {name[:64]} is in two files", field="files")
            found[name] = values
    return found


def _tensor(name: str, told: Any, body: memoryview) -> NDArray[Any]:
    try:
        kind, shape = told["dtype"], [int(axis) for axis in told["shape"]]
        begin, end = told["data_offsets"]
        stored = np.dtype("<u2") if kind == "BF16" else FLOATS.get(kind) or WHOLE[kind]
        if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * stored.itemsize:
            raise ValueError
        values = np.frombuffer(body[begin:end], stored).reshape(shape)
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(f"the tensor {name[:64]} is not told as safetensors has it", field="files") from None
    if kind in WHOLE:
        return values.astype(stored.newbyteorder("="))
    if kind == "BF16":  # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    floats = np.array(values, np.float32)
    if not np.isfinite(floats).all():
        raise InvalidInput(f"the tensor {name[:64]} has values that are no finite numbers", field="files")
    return floats
