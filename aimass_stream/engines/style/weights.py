"""Weights in the safetensors format: 8 bytes with the header's length, the header as JSON, then plain numbers.

Read here by hand, so that painting needs neither torch nor another package: it is all that is wanted of the format.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput

Floats = NDArray[np.float32]

MOST = 16 << 20  # bytes of a file
NUMBERS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8")}


def read(path: Path) -> dict[str, Floats]:
    """Tensors by name. Raises `InvalidInput` for another kind of file, and for numbers that are not finite."""
    size = path.stat().st_size
    if size > MOST:
        raise InvalidInput(f"{path.name} has {size} bytes; a style has at most {MOST}", field="files")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length]) if 0 < length <= size - 8 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InvalidInput(f"{path.name} is no safetensors file", field="files")
    body = memoryview(data)[8 + length :]
    return {name: _tensor(name, told, body) for name, told in header.items() if name != "__metadata__"}


def _tensor(name: str, told: Any, body: memoryview) -> Floats:
    try:
        kind, shape, (begin, end) = NUMBERS[told["dtype"]], [int(axis) for axis in told["shape"]], told["data_offsets"]
        if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * kind.itemsize:
            raise ValueError
        values = np.asarray(np.frombuffer(body[begin:end], kind).reshape(shape), np.float32)
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(f"the tensor {name[:64]} is not told as safetensors has it", field="files") from None
    if not np.isfinite(values).all():
        raise InvalidInput(f"the tensor {name[:64]} has values that are no finite numbers", field="files")
    return values
