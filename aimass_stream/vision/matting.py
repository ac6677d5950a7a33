"""From a network's coarse mask to one that follows edges and stands still, and what is put behind a person with it.

Masks are float32 from 0 to 1, how much of a pixel is the person. Planes are uint8, of any size.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..frames import Pixels
from .boxes import Floats

STILL = 0.2  # share of a new mask where nothing moves
NOISE, CLEAR = 3.0, 9.0  # levels of luma: a mean change up to the first is noise, from the second on movement
NEAR = (9, 9)  # px of the reduced picture, over which a change is averaged

GUIDE = 320  # px, longest side of what the filter's coefficients are found on
RADIUS = 6  # px of that
FLAT = 1e-3  # variance of luma (0 to 1) below which there is no edge to follow
LOW, HIGH = 0.15, 0.85  # shares taken for nothing and for all: hair keeps its softness, a plain wall has no veil
SMOOTH = 3.0  # px, the blur that is made at a reduced size; more of it means a smaller size, not a longer filter
MOST_REDUCED = 16


class Steady:
    """Alpha over time: where the picture stands still it changes slowly, where something moves, at once."""

    def __init__(self) -> None:
        self._alpha: Floats | None = None
        self._luma: Pixels | None = None

    def next(self, alpha: Pixels, luma: Pixels) -> Pixels:
        """Alpha (h, w) of the next picture, whose luma is given in any reduced size."""
        if self._alpha is None or self._luma is None or (self._alpha.shape, self._luma.shape) != (
                alpha.shape, luma.shape):
            self._alpha = alpha.astype(np.float32)
        else:
            change = cv2.blur(cv2.absdiff(luma, self._luma), NEAR).astype(np.float32)
            share = np.clip((change - NOISE) / (CLEAR - NOISE), STILL, 1)
            share = cv2.resize(share, (alpha.shape[1], alpha.shape[0]))
            step = cv2.multiply(cv2.subtract(alpha, self._alpha, dtype=cv2.CV_32F), share)
            cv2.add(self._alpha, step, self._alpha)
        self._luma = luma
        return np.asarray(cv2.convertScaleAbs(self._alpha), np.uint8)


def refine(mask: Floats, luma: Pixels) -> Pixels:
    """The mask in the size of the luma plane (h, w), its edges where the picture has them: alpha, 0 to 255.

    A guided filter ("Guided Image Filtering", He, Sun and Tang 2013) whose coefficients are found on a reduced picture
    and applied to the whole ("Fast Guided Filter", He and Sun 2015).
    """
    height, width = luma.shape
    share = min(1.0, GUIDE / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    guide = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    coarse = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mean_guide, mean_mask = cv2.blur(guide, window), cv2.blur(coarse, window)
    variance = cv2.blur(guide * guide, window) - mean_guide * mean_guide
    covariance = cv2.blur(guide * coarse, window) - mean_guide * mean_mask
    slopes = np.asarray(covariance / (variance + FLAT), np.float32)
    offsets = np.asarray(mean_mask - slopes * mean_guide, np.float32)
    # alpha = 255 * (slope * luma / 255 + offset - LOW) / (HIGH - LOW)
    gain = 1 / (HIGH - LOW)
    slopes = np.asarray(cv2.resize(cv2.blur(slopes, window) * gain, (width, height)), np.float32)
    offsets = np.asarray(cv2.resize((cv2.blur(offsets, window) - LOW) * (255 * gain), (width, height)), np.float32)
    product = cv2.multiply(slopes, luma, dtype=cv2.CV_32F)
    return np.asarray(cv2.add(product, offsets, dtype=cv2.CV_8U), np.uint8)  # which also cuts at 0 and 255


def half(alpha: Pixels) -> Pixels:
    """Alpha for planes of chroma, (h/2, w/2)."""
    return np.asarray(cv2.resize(alpha, (alpha.shape[1] // 2, alpha.shape[0] // 2), interpolation=cv2.INTER_AREA),
                      np.uint8)


def over(plane: Pixels, behind: Pixels, alpha: Pixels, out: Pixels) -> None:
    """Write the person of `plane` before what is `behind` into `out`; all are of one size."""
    cv2.multiply(plane, alpha, out, 1 / 255)
    cv2.add(out, cv2.multiply(behind, cv2.bitwise_not(alpha), scale=1 / 255), out)


def blurred_behind(plane: Pixels, alpha: Pixels, sigma: float) -> Pixels:
    """What is behind the person, blurred with `sigma` (px), and nothing of the person's colours in it: no halo.

    A mean weighted by how little of each pixel is the person ("normalised convolution", Knutsson and Westin 1993).
    """
    height, width = plane.shape
    reduced = int(min(MOST_REDUCED, max(1, sigma / SMOOTH)))
    size = (max(1, width // reduced), max(1, height // reduced))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    free = 255 - cv2.dilate(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.ones((3, 3), np.uint8))
    weights = free.astype(np.float32) / 255 + 1e-3  # where all is person, the person's own colours are what there is
    spread = sigma / reduced
    mean = cv2.GaussianBlur(small * weights, (0, 0), spread) / cv2.GaussianBlur(weights, (0, 0), spread)
    return np.asarray(cv2.resize(np.clip(mean, 0, 255).astype(np.uint8), (width, height)), np.uint8)


def covering(picture: Pixels, width: int, height: int) -> Pixels:
    """A BGR picture in that size, cut at the sides that are too long."""
    share = max(width / picture.shape[1], height / picture.shape[0])
    size = (max(width, round(picture.shape[1] * share)), max(height, round(picture.shape[0] * share)))
    made = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.asarray(made[top : top + height, left : left + width], np.uint8)
