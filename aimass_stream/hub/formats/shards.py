"""safetensors in several files, with an index that says which tensor is in which: as Hugging Face's Hub has it."""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import InvalidInput
from . import safetensors
from .kinds import Tensor

INDEX = "model.safetensors.index.json"
PART = "model-{:05d}-of-{:05d}.safetensors"
INDEX_BYTES = 64 << 20


def check(parts: list[Path], index: Path) -> list[Tensor]:
    """The tensors of all parts. Raises `InvalidInput` where index and parts differ."""
    if index.stat().st_size > INDEX_BYTES:
        raise InvalidInput(f"{index.name} is larger than {INDEX_BYTES} bytes", field="files")
    try:
        places = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(f"{index.name} has no weight_map", field="files") from None
    there = {path.name for path in parts}
    for name in sorted({str(place) for place in places.values()} - there):
        raise InvalidInput(f"{index.name} names {name[:100]}, which was not sent", field="files")
    found: dict[str, Tensor] = {}
    for path in parts:
        for tensor in safetensors.check(path):
            if places.get(tensor.name) != path.name or tensor.name in found:
                raise InvalidInput(f"the tensor {tensor.name[:64]} is in {path.name}, where {index.name} does not "
                                   "have it", field="files")
            found[tensor.name] = tensor
    missing = sorted(set(places) - set(found))
    if missing:
        raise InvalidInput(f"the tensor {missing[0][:64]} is in none of the files", field="files")
    return list(found.values())
