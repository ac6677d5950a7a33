"""Magnitude pruning (Han et al. 2015, arXiv:1506.02626), without training afterwards: the smallest weights become zero.

Zeros that lie anywhere are multiplied like other numbers: what they save is room where files are packed.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ..formats.kinds import Tensor
from ..formats.safetensors import write
from .files import only, opened, tensors, written

WEIGHTED = {"MatMul", "Gemm", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN"}
SAMPLE = 64 << 20  # bytes that are packed, to say what that would save

Floats = NDArray[np.floating[Any]]


def prune(source: Path, target: Path, format: str, options: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidInput` where there is nothing to prune."""
    return _graph(source, target, options) if format == "onnx" else _weights(source, target, options)


def pruned(weights: list[Floats], share: float, across: str) -> tuple[list[Floats], dict[str, Any]]:
    """The same with zeros in them, and what that is: shares of zeros asked, before and after, bytes when packed."""
    if not weights:
        raise InvalidInput("there are no matrices of weights in it that could be pruned", field="kind")
    limit = _limit(np.concatenate([np.abs(each).ravel() for each in weights]), share) if across == "model" else None
    made = []
    for values in weights:
        least = _limit(np.abs(values).ravel(), share) if limit is None else limit
        made.append(np.where(np.abs(values) > least, values, values.dtype.type(0)))
    count = sum(each.size for each in weights)
    return made, {"asked": share, "before": _zeros(weights) / count, "after": _zeros(made) / count, "weights": count,
                  "packed": {"before": _packed(weights), "after": _packed(made)}}


def _limit(magnitudes: Floats, share: float) -> float:
    """What the weights that become zero are at most. Those that are zero already count among them."""
    place = round(share * magnitudes.size) - 1
    return float(np.partition(magnitudes, place)[place]) if place >= 0 else -1.0


def _zeros(weights: list[Floats]) -> int:
    return sum(each.size - int(np.count_nonzero(each)) for each in weights)


def _packed(weights: list[Floats]) -> int:
    size, left = 0, SAMPLE
    for values in weights:
        data = np.ascontiguousarray(values).tobytes()[:left]
        size, left = size + len(zlib.compress(data, 1)), left - len(data)
    return size


def _graph(source: Path, target: Path, options: dict[str, Any]) -> dict[str, Any]:
    from onnx import TensorProto, numpy_helper

    model = opened(source)
    names = {name for node in model.graph.node if node.op_type in WEIGHTED for name in node.input}
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    chosen = [each for each in model.graph.initializer
              if each.name in names and each.data_type in kinds and len(each.dims) > 1]
    made, told = pruned([numpy_helper.to_array(each) for each in chosen], options["share"], options["across"])
    for weights, values in zip(chosen, made, strict=True):
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    written(model, target)
    return {"sparsity": told}


def _weights(source: Path, target: Path, options: dict[str, Any]) -> dict[str, Any]:
    path = only(source, ".safetensors")
    found: list[tuple[Tensor, Any]] = list(tensors(path))
    places = [place for place, (tensor, _) in enumerate(found)
              if tensor.dtype in ("F16", "F32", "F64") and len(tensor.shape) > 1]
    made, told = pruned([np.asarray(found[place][1]) for place in places], options["share"], options["across"])
    for place, values in zip(places, made, strict=True):
        found[place] = (found[place][0], values)
    write(target / path.name, found)
    return {"sparsity": told}
