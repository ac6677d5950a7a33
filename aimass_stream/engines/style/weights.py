"""The weights of a style: a small safetensors file, so that painting needs neither torch nor another package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...inference import safetensors

Floats = NDArray[np.float32]

MOST = 16 << 20  # bytes of a file


def read(path: Path) -> dict[str, Floats]:
    """Tensors by name. Raises `InvalidInput` for another kind of file, and for numbers that are not finite."""
    return safetensors.read(path, MOST)
