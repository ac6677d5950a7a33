"""The sizes of the style network, and which part of its weights a rung takes; numpy only, for engines without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELL = 4  # px of the fine cells, which one stroke of the stem makes
GRID = 2 * CELL  # px of the coarse ones; the network sees pictures of a multiple of this
MARGIN = 2 * GRID  # px of continued border around a picture, so that what convolutions do at edges is cut away
EPSILON = 1e-4  # of norms


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to run the network; the governor goes down from the first."""

    name: str
    width: int  # channels of the blocks
    half: bool = False  # the picture's sides are halved before, and what was made is upsampled


RUNGS = (Rung("wide", 64), Rung("narrow", 32), Rung("half", 64, half=True))


@dataclass(frozen=True, slots=True)
class Sizes:
    fine: int = 16  # channels of the fine cells: onnxruntime is at its best with sixteen
    width: int = 64  # of the coarse ones, in the widest rung
    blocks: int = 5
    rungs: tuple[Rung, ...] = RUNGS

    def channels(self, rung: int) -> int:
        """Of all norms together: the last axis of the statistics."""
        return 2 * self.fine + (2 + self.blocks) * self.rungs[rung].width


def borders(height: int, width: int) -> tuple[int, int, int, int]:
    """px by which a picture is continued left, right, above and below."""
    return MARGIN, MARGIN + -width % GRID, MARGIN, MARGIN + -height % GRID


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Of all weights, by name."""
    fine, width, rungs, pixels = sizes.fine, sizes.width, len(sizes.rungs), CELL * CELL
    convolutions = {"stem": (fine, 3, 2 * CELL), "down": (width, fine, 4), "up": (fine, width, 1),
                    "merge": (fine, fine, 3), "paint": (3 * pixels, fine, 3), "guide": (pixels, 3, CELL),
                    "gate": (pixels, fine, 1), "detail": (3 * pixels, pixels, 1)}
    norms = {"stem_norm": fine, "down_norm": width, "trunk_norm": width, "merge_norm": fine}
    for number in range(sizes.blocks):
        block = f"blocks.{number}"
        for half in (1, 2):
            convolutions |= {f"{block}.spread{half}": (width, 1, 3), f"{block}.mix{half}": (width, width, 1)}
        norms[f"{block}.norm"] = width
    found: dict[str, tuple[int, ...]] = {}
    for name, (outputs, inputs, kernel) in convolutions.items():
        found |= {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
    for name, channels in norms.items():
        found |= {f"{name}.gain": (rungs, channels), f"{name}.shift": (rungs, channels)}
    return found


def parts(state: Mapping[str, NDArray[Any]], sizes: Sizes, rung: int) -> dict[str, NDArray[np.float32]]:
    """Of the network's weights by name, what a rung takes: the first so many channels, and its own norms."""
    width = sizes.rungs[rung].width
    found = {}
    for name, values in state.items():
        layer, _, kind = name.rpartition(".")
        inside = layer.startswith("blocks.")
        if kind in ("gain", "shift"):
            row = values[rung]
            part = row[:width] if inside or layer in ("down_norm", "trunk_norm") else row
        elif layer == "up":
            part = values[:, :width] if kind == "weight" else values
        elif layer == "down" or "spread" in layer or (inside and kind == "bias"):
            part = values[:width]
        else:
            part = values[:width, :width] if inside else values
        found[name] = np.ascontiguousarray(part, np.float32)
    return found
