"""What is said to a cell, and what is heard from it: four bytes of length (little), JSON, and tensors that it names.

What comes from there is hostile until it was looked at, and is refused before room is made for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import SandboxError, SandboxTooBig
from ...inference.loader import DTYPES
from ...sandbox.cells import Cell

HEADER = 64 << 10  # bytes of JSON
TENSORS, AXES = 64, 8
MOST = 256 << 20  # bytes of an answer's tensors
KINDS = frozenset(DTYPES) - {"object"}


def ask(cell: Cell, values: Sequence[np.ndarray[Any, Any]], deadline: float) -> None:
    """Raises as `Cell.send`."""
    body = json.dumps({"tensors": [{"shape": list(each.shape), "dtype": str(each.dtype)} for each in values]}).encode()
    cell.send([len(body).to_bytes(4, "little") + body,
               *(np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in values)], deadline)


def heard(cell: Cell, deadline: float, most: int = MOST) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """An answer. Raises `SandboxError` for what is none, and as `Cell.receive`."""
    length = bytearray(4)
    cell.receive(memoryview(length), deadline)
    size = int.from_bytes(length, "little")
    if size > HEADER:
        raise SandboxTooBig(f"its answer begins with {size} bytes; {HEADER} are the most")
    body = bytearray(size)
    cell.receive(memoryview(body), deadline)
    try:
        said = json.loads(body)
        shapes = [_tensor(each) for each in said.get("tensors", [])]
        error = said.get("error")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise SandboxError("its answer can't be read") from None
    if error is not None:
        text = "".join(letter if letter.isprintable() else " " for letter in str(error)[:500])
        return {"error": text, "kind": str(said.get("kind"))}, []
    total = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes)
    if len(shapes) > TENSORS or total > most:
        raise SandboxTooBig(f"its answer has {len(shapes)} tensors of {total} bytes; {most} are the most")
    made = []
    for shape, kind in shapes:
        values: Any = np.empty(shape, kind)
        cell.receive(memoryview(values.reshape(-1).view(np.uint8)), deadline)
        made.append(values)
    return said, made


def _tensor(told: Any) -> tuple[tuple[int, ...], str]:
    shape, kind = told["shape"], told["dtype"]
    sane = all(type(axis) is int and 0 <= axis < 1 << 40 for axis in shape)
    if kind not in KINDS or len(shape) > AXES or not sane:
        raise ValueError
    return tuple(shape), kind
