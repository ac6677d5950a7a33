"""What was painted at half size or less, at full size: `architectures.style.upsample` on arrays, for processors.

He and Sun, *Fast Guided Filter* (arXiv:1505.00996): around every pixel the style's colours are taken for a linear
function of the picture's luma, found at the small size and applied at the full one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frames import Pixels

Floats = NDArray[np.float32]

WINDOW = (5, 5)  # px at the small size
EPSILON = np.float32(1e-4 * 255 * 255)  # of the luma's variance, 0 to 255


def halved(picture: Pixels) -> Pixels:
    """Means of 2x2 px of (h, w, 3); odd sides are rounded up."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.asarray(cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
    size = ((width + 1) // 2, (height + 1) // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def upsampled(planes: Floats, seen: Pixels, picture: Pixels) -> Pixels:
    """(h, w, 3) BGR like `picture`, of the smaller (3, h', w') RGB, 0 to 1, that were made of `seen`."""
    guide = np.asarray(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY), np.float32)
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)
    mean = _mean(guide)
    gain = 1 / (_mean(guide * guide) - mean * mean + EPSILON)
    size = (picture.shape[1], picture.shape[0])
    made = []
    for plane in planes[::-1]:
        values = plane * np.float32(255)
        slope = np.asarray((_mean(guide * values) - mean * _mean(values)) * gain, np.float32)
        full = _grown(slope, size)
        np.multiply(full, luma, out=full)
        np.add(full, _grown(values - slope * guide, size), out=full)
        np.maximum(full, 0, out=full)  # the next line would take what is below for as much above
        made.append(cv2.convertScaleAbs(full))
    return np.asarray(cv2.merge(made), np.uint8)


def _mean(values: Floats) -> Floats:
    return np.asarray(cv2.blur(values, WINDOW, borderType=cv2.BORDER_REPLICATE), np.float32)


def _grown(values: Floats, size: tuple[int, int]) -> Floats:
    """At half size the cells lie on the full one's pairs, also where a side is odd and the last is cut."""
    width, height = 2 * values.shape[1], 2 * values.shape[0]
    if (width // 2, height // 2) != ((size[0] + 1) // 2, (size[1] + 1) // 2):
        width, height = size
    grown = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown[: size[1], : size[0]], np.float32)
