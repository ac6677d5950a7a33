"""Weights as 16-bit floats (IEEE 754 binary16), of a graph whose arithmetic stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ..formats.kinds import Tensor
from ..formats.safetensors import write
from .files import only, opened, tensors, written

LEAST = 64  # numbers: shorter ones are scales, limits and the like, and would save nothing
LARGEST = float(np.finfo(np.float16).max)


def half(source: Path, target: Path, format: str) -> dict[str, Any]:
    """Tensors with values beyond 65504 stay as they are. Raises `InvalidInput` where nothing would change."""
    done, kept = _graph(source, target) if format == "onnx" else _weights(source, target)
    if not done:
        raise InvalidInput("there are no 32-bit weights in it that would fit into 16 bits", field="kind")
    return {"tensors": done, "kept": kept}


def _graph(source: Path, target: Path) -> tuple[int, int]:
    """Each weight is kept half as long, and a Cast gives it its old name and kind: done once, on loading."""
    from onnx import TensorProto, helper, numpy_helper

    model = opened(source)
    graph = model.graph
    casts, kept, names = [], 0, set()
    for weights in graph.initializer:
        if weights.data_type != TensorProto.FLOAT or np.prod(weights.dims) < LEAST:
            continue
        values = numpy_helper.to_array(weights)
        if np.abs(values).max(initial=0) > LARGEST:
            kept += 1
            continue
        name = weights.name
        names.add(name)
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    taken = [each for each in graph.input if each.name not in names]  # old files list weights as inputs
    nodes = [*casts, *graph.node]
    del graph.input[:], graph.node[:]
    graph.input.extend(taken)
    graph.node.extend(nodes)
    written(model, target)
    return len(casts), kept


def _weights(source: Path, target: Path) -> tuple[int, int]:
    made: list[tuple[Tensor, Any]] = []
    done = kept = 0
    path = only(source, ".safetensors")
    for tensor, values in tensors(path):
        if tensor.dtype in ("F32", "F64") and np.abs(values).max(initial=0) <= LARGEST:
            made.append((Tensor(tensor.name, "F16", tensor.shape, 2 * values.size), values.astype("<f2")))
            done += 1
        else:
            made.append((tensor, values))
            kept += tensor.dtype in ("F32", "F64")
    write(target / path.name, made)
    return done, kept
