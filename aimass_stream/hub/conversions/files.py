"""Models' files as conversions read and write them. For the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ..formats.kinds import Tensor
from ..formats.safetensors import FLOATS, check

MOST_MESSAGE = 1_900_000_000  # bytes: protobuf has a limit of 2 GiB
BESIDE = "weights.onnx_data"


def only(folder: Path, suffix: str) -> Path:
    """Raises `InvalidInput` unless there is one file that ends so."""
    found = sorted(folder.rglob(f"*{suffix}"))
    if len(found) != 1:
        raise InvalidInput(f"there are {len(found)} files {suffix}; one is taken", field="kind")
    return found[0]


def opened(folder: Path) -> Any:
    """The ONNX model there, with all weights in memory."""
    import onnx

    return onnx.load(str(only(folder, ".onnx")))


def written(model: Any, folder: Path) -> None:
    """As `model.onnx`; what is too large for one file has its weights in another."""
    import onnx

    apart = model.ByteSize() > MOST_MESSAGE
    onnx.save_model(model, str(folder / "model.onnx"), save_as_external_data=apart, location=BESIDE)


def tensors(path: Path) -> Iterator[tuple[Tensor, np.ndarray[Any, Any]]]:
    """Of a safetensors file, each as it is stored; numbers of kinds that numpy doesn't have as bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for tensor in check(path):
        begin, end = header[tensor.name]["data_offsets"]
        dtype = np.dtype(FLOATS.get(tensor.dtype, "u1"))
        shape = tensor.shape if tensor.dtype in FLOATS else (end - begin,)
        if begin == end:
            yield tensor, np.zeros(shape, dtype)
        else:
            yield tensor, np.memmap(path, dtype, "r", 8 + length + begin, shape)
