"""A picture in the colours of another one: Reinhard et al., *Color Transfer between Images* (2001).

Each channel's mean and deviation become those of the other picture. CIELAB stands for the paper's lαβ: its channels
depend on each other about as little, and OpenCV turns pictures into it in whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..frames import Pixels

LOOKED_AT = 160  # px of the longer side on which a picture's colours are measured
STRETCH = 3.0  # times a channel's deviation, at most: noise must not become colour


@dataclass(frozen=True, slots=True)
class Palette:
    """Of L, a and b as OpenCV has them in eight bits: 0 to 255, colourless at 128."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def toward(self, other: Palette, share: float) -> Palette:
        """A share of the way to another one."""
        def mixed(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, float, float]:
            first, second, third = (a + share * (b - a) for a, b in zip(one, two, strict=True))
            return first, second, third

        return Palette(mixed(self.mean, other.mean), mixed(self.deviation, other.deviation))

    def numbers(self) -> list[float]:
        """Means, then deviations; as people send them."""
        return [round(value, 2) for value in (*self.mean, *self.deviation)]


def palette(picture: Pixels) -> Palette:
    """Of (h, w, 3) BGR."""
    factor = min(1.0, LOOKED_AT / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    lab = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    means, deviations = cv2.meanStdDev(lab)
    first, second = [float(value) for value in means.flat], [float(value) for value in deviations.flat]
    return Palette((first[0], first[1], first[2]), (second[0], second[1], second[2]))


def transfer(picture: Pixels, own: Palette, other: Palette, strength: float = 1.0) -> Pixels:
    """(h, w, 3) BGR with the colours `own`, in those of another one; `strength` is the share of the way."""
    levels = np.arange(256, dtype=np.float32)
    table = np.empty((1, 256, 3), np.float32)
    for channel in range(3):
        factor = min(other.deviation[channel] / max(own.deviation[channel], 1e-3), STRETCH)
        moved = (levels - own.mean[channel]) * factor + other.mean[channel]
        table[0, :, channel] = levels + strength * (moved - levels)
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    changed = cv2.LUT(lab, np.clip(table + 0.5, 0, 255).astype(np.uint8))
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_LAB2BGR), np.uint8)
