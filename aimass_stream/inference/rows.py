"""Whether rows that go through a network together come out as they do alone: a file may claim that and be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .contract import Batch, TensorSpec

RELATIVE, ABSOLUTE = 1e-3, 1e-4  # what another order of additions may change


def independent(inputs: Sequence[TensorSpec], alone: Callable[[Batch], Batch],
                together: Callable[[Batch], Batch]) -> bool:
    """Two rows by chance, through `alone` one by one and through `together` at once. What these raise counts as no."""
    rng = np.random.default_rng(1)
    pair = {spec.name: _chance(rng, spec) for spec in inputs}
    try:
        joined = together(pair)
        for row in range(2):
            single = alone({name: values[row : row + 1] for name, values in pair.items()})
            for name, values in single.items():
                if joined[name].shape != (2, *values.shape[1:]) or not np.allclose(
                        joined[name][row : row + 1], values, RELATIVE, ABSOLUTE, equal_nan=True):
                    return False
    except Exception:  # libraries have classes of their own for what a graph can't do
        return False
    return True


def _chance(rng: np.random.Generator, spec: TensorSpec) -> np.ndarray:
    shape = (2, *spec.usual[1:])
    values = rng.random(shape) if np.dtype(spec.dtype).kind == "f" else rng.integers(0, 2, shape)
    return values.astype(spec.dtype)
