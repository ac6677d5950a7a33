"""Weights in several files of at most so many bytes: safetensors with an index as Hugging Face's Hub has it, ONNX with
external data. What reads the whole reads these.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ..formats.kinds import Tensor
from ..formats.safetensors import write
from ..formats.shards import INDEX, PART
from .files import only, opened, tensors

INLINE = 1024  # bytes: smaller tensors stay in the graph's own file
DATA = "model-{:05d}-of-{:05d}.onnx_data"


def sharded(source: Path, target: Path, format: str, options: dict[str, Any]) -> dict[str, Any]:
    """A tensor is never cut: one that is larger than a part is a part of its own. Raises `InvalidInput` where all fits
    into one."""
    most = round(options["megabytes"] * 1e6)
    return {"shards": (_graph if format == "onnx" else _weights)(source, target, most)}


def _parts(sizes: list[int], most: int) -> list[list[int]]:
    """Places of tensors, in their order."""
    parts: list[list[int]] = []
    room = 0
    for place, size in enumerate(sizes):
        if not parts or size > room:
            parts.append([])
            room = most
        parts[-1].append(place)
        room -= size
    if len(parts) < 2:
        raise InvalidInput(f"its weights have {sum(sizes)} bytes, which fit into one part of {most}",
                           field="options.megabytes")
    return parts


def _weights(source: Path, target: Path, most: int) -> int:
    found: list[tuple[Tensor, Any]] = list(tensors(only(source, ".safetensors")))
    parts = _parts([tensor.bytes for tensor, _ in found], most)
    places: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        name = PART.format(number, len(parts))
        write(target / name, [found[place] for place in part])
        places |= {found[place][0].name: name for place in part}
    total = sum(tensor.bytes for tensor, _ in found)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    (target / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return len(parts)


def _graph(source: Path, target: Path, most: int) -> int:
    import onnx
    from onnx.external_data_helper import set_external_data

    model = opened(source)
    large = [each for each in model.graph.initializer if each.HasField("raw_data") and len(each.raw_data) >= INLINE]
    parts = _parts([len(each.raw_data) for each in large], most)
    for number, part in enumerate(parts, 1):
        for place in part:
            set_external_data(large[place], DATA.format(number, len(parts)))
    onnx.save_model(model, str(target / "model.onnx"))
    return len(parts)
