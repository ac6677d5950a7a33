"""safetensors: 8 bytes with the header's length, the header as JSON, then plain numbers. Checked piece by piece.

Beside what `inference.safetensors` wants of a file, its tensors have to cover it: no two share bytes, none are hidden.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InvalidInput
from .kinds import Tensor

HEADER = 100 << 20  # bytes; what safetensors' own reader allows
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
         "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
PIECE = 1 << 22  # values looked at together
MOST_TENSORS = 100_000


def check(path: Path) -> list[Tensor]:
    """Its tensors. Raises `InvalidInput` that says what is wrong with the file."""
    header, start = _header(path)
    body = path.stat().st_size - start
    placed = sorted((_tensor(name, told) for name, told in header.items() if name != "__metadata__"),
                    key=lambda each: (each[1], each[2]))
    if not placed or len(placed) > MOST_TENSORS:
        raise InvalidInput(f"{path.name} has {len(placed)} tensors; 1 to {MOST_TENSORS} are taken", field="files")
    at = 0
    for tensor, begin, end in placed:
        if begin != at:
            what = "shares bytes with" if begin < at else "leaves a gap after"
            raise InvalidInput(f"{path.name}: the tensor {tensor.name[:64]} {what} the one before it", field="files")
        at = end
    if at > body:
        raise InvalidInput(f"{path.name} is cut off: its tensors have {at} bytes, the file has {body} of them",
                           field="files")
    if at < body:
        raise InvalidInput(f"{path.name} has {body - at} bytes that belong to no tensor", field="files")
    for tensor, begin, end in placed:
        _finite(path, tensor, start + begin, end - begin)
    return [tensor for tensor, _, _ in placed]


def _header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > HEADER:
            raise InvalidInput(f"{path.name} is no safetensors file: it claims a header of {length} bytes; "
                               f"{HEADER} are the most", field="files")
        if length > size - 8:
            raise InvalidInput(f"{path.name} is cut off: its header has {length} bytes, the file {size}", field="files")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise InvalidInput(f"{path.name} is no safetensors file: its header is no JSON object", field="files")
    return header, 8 + length


def _tensor(name: str, told: Any) -> tuple[Tensor, int, int]:
    try:
        dtype, shape, (begin, end) = told["dtype"], tuple(told["shape"]), told["data_offsets"]
        sane = all(type(axis) is int and axis >= 0 for axis in shape) and type(begin) is type(end) is int
        if not sane or not 0 <= begin <= end or end - begin != math.prod(shape) * SIZES[dtype]:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(f"the tensor {name[:64]} is not told as safetensors has it", field="files") from None
    return Tensor(name, dtype, shape, end - begin), begin, end


def _finite(path: Path, tensor: Tensor, start: int, size: int) -> None:
    if size == 0 or tensor.dtype not in (*FLOATS, "BF16"):
        return
    dtype = np.dtype(FLOATS.get(tensor.dtype, "<u2"))
    values = np.memmap(path, dtype, "r", start, (size // dtype.itemsize,))
    for begin in range(0, len(values), PIECE):
        piece = np.asarray(values[begin : begin + PIECE])
        whole = (piece & 0x7F80) != 0x7F80 if tensor.dtype == "BF16" else np.isfinite(piece)
        if not whole.all():
            raise InvalidInput(f"the tensor {tensor.name[:64]} has values that are no finite numbers", field="files")


def write(path: Path, tensors: list[tuple[Tensor, Any]]) -> None:
    """A file of these, each with its numbers as a contiguous array."""
    header, at = {}, 0
    for tensor, _ in tensors:
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape),
                               "data_offsets": [at, at + tensor.bytes]}
        at += tensor.bytes
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    with path.open("xb") as file:
        file.write(len(told).to_bytes(8, "little") + told)
        for _, values in tensors:
            _append(file, values)


def _append(file: IO[bytes], values: Any) -> None:
    file.write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
