"""MXNet's files of parameters: arrays by name, as `mx.nd.save` of versions 0.x to 1.9 writes them.

Little endian: a magic number (0x112) and 0 (uint64 each), the arrays' count and the arrays, the names' count and the
names, each with its length before it.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput

LIST = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # of an array; before them the first word was the count of axes
TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
MOST_ARRAYS, MOST_AXES, MOST_NAME = 100_000, 32, 1000


class _Reader:
    def __init__(self, path: Path) -> None:
        self.name, self.data, self.at = path.name, memoryview(path.read_bytes()), 0

    def wrong(self, what: str) -> InvalidInput:
        return InvalidInput(f"{self.name} {what}", field="files")

    def take(self, size: int) -> memoryview:
        if size < 0 or self.at + size > len(self.data):
            raise self.wrong("is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def array(self) -> NDArray[Any]:
        magic = self.numbers("<I")[0]
        if magic in (V2, V3) and self.numbers("<i")[0] not in (0, -1):
            raise self.wrong("has sparse arrays, which are not taken")
        wide = magic in (V1, V2, V3)
        axes = self.numbers("<I")[0] if wide else magic
        if axes > MOST_AXES:
            raise self.wrong("is no file of MXNet's parameters")
        shape = self.numbers(f"<{axes}{'q' if wide else 'I'}")
        if not axes and magic != V3:
            return np.zeros(0, np.float32)  # an array of nothing has no more than this
        _, _, kind = self.numbers("<iii")  # device, its number, type
        if kind not in TYPES or any(axis < 0 for axis in shape):
            raise self.wrong("has an array of a kind that is not taken")
        dtype = np.dtype(TYPES[kind])
        values = np.frombuffer(self.take(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
        if dtype.kind == "f" and not np.isfinite(values).all():
            raise self.wrong("has values that are no finite numbers")
        return values


def read(path: Path) -> dict[str, NDArray[Any]]:
    """By the names that symbols use: without ``arg:`` and ``aux:``. Raises `InvalidInput`."""
    reader = _Reader(path)
    magic, _, count = reader.numbers("<QQQ")
    if magic != LIST or count > MOST_ARRAYS:
        raise reader.wrong("is no file of MXNet's parameters")
    arrays = [reader.array() for _ in range(count)]
    names = []
    if reader.numbers("<Q")[0] != count:
        raise reader.wrong("has arrays without names")
    for _ in range(count):
        length = reader.numbers("<Q")[0]
        if length > MOST_NAME:
            raise reader.wrong("has names that are none")
        names.append(bytes(reader.take(length)).decode("utf-8", "replace"))
    return {name.removeprefix("arg:").removeprefix("aux:"): values for name, values in zip(names, arrays, strict=True)}
