"""How alike two pictures are painted, without a network: colours, and how strong strokes of each size and turn are.

The strokes are those of the old texture models (Heeger and Bergen 1995; Portilla and Simoncelli 2000): the answers of
oriented filters on several scales, of which only statistics are kept, so that what is shown where does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frames import Pixels
from .colours import palette

SIDE = 384  # px of the longer side: strokes are as large as they are in a picture of this size
SCALES, TURNS = 4, 4
LENGTH = 6 + 4 * SCALES  # of a manner
# how much the values of different pictures differ; distances count in these
SPREAD = np.array([40.0, 8.0, 14.0, 15.0, 5.0, 7.0] + [0.5, 0.18, 0.25, 0.35] * SCALES)


def manner(picture: Pixels) -> list[float]:
    """Of (h, w, 3) BGR: mean and deviation of L, a and b, and of every scale how strong its strokes are, how much they
    lie in one direction, how rare the strong ones are, and how colourful."""
    own = palette(picture)
    small = _scaled(picture)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32)
    found = [*own.mean, *own.deviation]
    for _ in range(SCALES):
        found += _strokes(lab)
        lab = np.asarray(cv2.pyrDown(lab), np.float32)
    return [round(float(value), 3) for value in found]


def _scaled(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    size = (max(32, round(width * factor)), max(32, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR),
                      np.uint8)


def _strokes(lab: NDArray[np.float32]) -> list[float]:
    luma = np.ascontiguousarray(lab[:, :, 0])
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8
    strength = np.hypot(across, down)
    mean = float(strength.mean()) + 1e-3
    # the structure tensor of the whole: 0 where all directions are as strong, 1 where there is one
    both, other = float((across * down).mean()), float((across * across - down * down).mean())
    one_way = math.hypot(2 * both, other) / (float((strength * strength).mean()) + 1e-3)
    rare = float(np.sqrt((strength * strength).mean())) / mean
    tint = sum(float(np.abs(cv2.Laplacian(np.ascontiguousarray(lab[:, :, channel]), cv2.CV_32F)).mean())
               for channel in (1, 2))
    return [math.log(mean + 0.1), one_way, math.log(max(rare, 1.0)), math.log(tint + 0.1)]


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """0 for the same; about 1 is what two unrelated pictures have."""
    gaps = (np.asarray(one) - np.asarray(other)) / SPREAD
    return round(float(np.sqrt(np.square(gaps).mean())), 3)


def nearest(wanted: Sequence[float], known: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Distances by name, the nearest first."""
    found = {name: distance(wanted, values) for name, values in known.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))
