"""Two versions side by side, in one run: how long each takes, and how far their answers are apart."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...inference.contract import Batch, Model, TensorSpec, check_inputs
from ..manifests import array_of

RUNS, SECONDS = 40, 4.0  # of both together, at most
RANDOM = 4  # seeded random inputs besides the example


def compared(before: Model, after: Model, manifest: dict[str, Any]) -> dict[str, Any]:
    """`latency_ms` and `difference` as they are kept. Raises `InvalidInput` where there is nothing to compare: what
    came out is no number, or of another shape."""
    batches = inputs(before, manifest)
    difference = _difference(before, after, batches)
    times: tuple[list[float], list[float]] = [], []
    begun = time.perf_counter()
    while len(times[1]) < RUNS // 2 and (not times[1] or time.perf_counter() - begun < SECONDS):
        for model, taken in zip((before, after), times, strict=True):  # by turns: what disturbs one disturbs both
            at = time.perf_counter()
            model.run(batches[0])
            taken.append(time.perf_counter() - at)
    latency = [round(1000 * statistics.median(taken), 4) for taken in times]
    return {"latency_ms": {"before": latency[0], "after": latency[1]}, "difference": difference,
            "runs": len(times[1]), "inputs": len(batches)}


def inputs(model: Model, manifest: dict[str, Any]) -> list[Batch]:
    """The example, where there is one, and random ones, the same each time."""
    if any(spec.dtype == "object" for spec in (*model.inputs, *model.outputs)) or model.capabilities.stateful:
        raise InvalidInput("models that take whole requests, or keep a state, can't be compared", field="kind")
    example = manifest.get("example")
    found: list[Batch] = []
    if example is not None:
        found.append({each["name"]: array_of(example[each["name"]], each) for each in manifest["inputs"]})
    for seed in range(RANDOM):
        rng = np.random.default_rng(seed)
        given = found[0] if example is not None else None
        found.append({spec.name: _random(rng, spec, given[spec.name] if given else None) for spec in model.inputs})
    for batch in found:
        check_inputs(model, batch)
    return found


def _random(rng: np.random.Generator, spec: TensorSpec, example: np.ndarray[Any, Any] | None
            ) -> np.ndarray[Any, Any]:
    shape = spec.usual if example is None else example.shape
    kind = np.dtype(spec.dtype)
    if kind.kind == "f":
        return rng.random(shape).astype(kind)
    if kind == np.uint8:  # pictures
        return rng.integers(0, 256, shape, np.uint8)
    # whole numbers may be places in a table, whose end nobody tells: those of the example, in another order
    return spec.zeros() if example is None else rng.permutation(example.ravel()).reshape(shape)


def _difference(before: Model, after: Model, batches: list[Batch]) -> dict[str, float]:
    most = total = 0.0
    count, products = 0, np.zeros(3)  # of one with itself, the other with itself, one with the other
    for batch in batches:
        made, now = before.run(batch), after.run(batch)
        for spec in before.outputs:
            one, other = (np.asarray(each[spec.name]).astype(np.float64).ravel() for each in (made, now))
            if one.shape != other.shape:
                raise InvalidInput(f"its output {spec.name[:64]} would have another shape", field="kind")
            for values, whose in ((one, "the original's"), (other, "the result's")):
                if not np.isfinite(values).all():
                    raise InvalidInput(f"{whose} output {spec.name[:64]} has values that are no finite numbers: there "
                                       "is nothing to compare, and no version was made", field="kind")
            apart = np.abs(one - other)
            most, total, count = max(most, float(apart.max(initial=0))), total + float(apart.sum()), count + one.size
            products += one @ one, other @ other, one @ other
    scale = float(np.sqrt(products[0] * products[1]))
    cosine = float(products[2]) / scale if scale else float(not products[:2].any())
    return {"max": most, "mean": total / max(1, count), "cosine": round(min(1.0, cosine), 9)}
