"""What moves in a picture that stands still: against what is usually seen there, whatever the light does.

Pictures are looked at small and as logarithms of their luma, where more light is a sum. Each place has a usual value
and a usual deviation, learnt while nothing moves there (one Gaussian, as "Pfinder", Wren and others 1997, section
4.1), so noise, and leaves in the wind after a while, are no movement. What differs counts if it has edges that were
not there, which light has not, and if it changed within the last moment, which a thing that was put down has not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frames import Pixels
from .boxes import Floats

Mask = NDArray[np.uint8]
Box = tuple[float, float, float, float]

WIDTH = 160  # px that pictures are looked at; small things of larger pictures need no more
DARK = 20  # of luma, added before the logarithm: what is nearly black is mostly noise
LEARNS, ABSORBS = 2.0, 20.0  # s in which the usual follows: where nothing moves, and where something stays
LATELY = 0.4  # s, a moment
NOISE, MOST_NOISE = 0.015, 0.12  # deviations at the beginning, and that may be learnt at most
EDGE = 0.05  # of the difference from one px to the next
EVERYWHERE = 0.5  # share of the picture: then it is another picture, and nothing has moved
STEP = 1.0  # s between two pictures that are still looked at as if they followed on each other
MOST = 20  # places that move, told of one picture

_LOGARITHMS = np.log(np.maximum(np.arange(256) - 16, 0).astype(np.float32) + DARK)


@dataclass(frozen=True, slots=True)
class Blob:
    """One place that moves."""

    box: Box  # left, top, right, bottom; parts of the picture
    fill: float  # share of the box that moves
    mask: Mask  # (h, w) of the small picture, 0 or 1


@dataclass(frozen=True, slots=True)
class Change:
    blobs: tuple[Blob, ...] = ()  # the largest first
    size: tuple[int, int] = (1, 1)  # px of the small picture, width and height
    scene: bool = False  # all of the picture is another one

    @property
    def share(self) -> float:
        """Of the picture, that moves."""
        return sum(int(blob.mask.sum()) for blob in self.blobs) / (self.size[0] * self.size[1])


class Scene:
    """Call `look` for each picture in its order. Not for two threads at once."""

    def __init__(self) -> None:
        self._usual: Floats | None = None  # (h, w), logarithms
        self._noise: Floats = np.zeros((0, 0), np.float32)  # (h, w), mean deviation
        self._late: Floats = np.zeros((0, 0), np.float32)  # (h, w), of the last moment
        self._at = 0.0  # s of media time

    def look(self, luma: Pixels, seconds: float, threshold: float, least: float) -> Change:
        """What moves in a picture's luma (h, w) of this media time.

        `threshold` is how many times the usual deviation counts as movement, `least` the smallest share of the picture.
        """
        seen = small(luma)
        size = (seen.shape[1], seen.shape[0])
        if self._usual is None or self._usual.shape != seen.shape or not 0 <= seconds - self._at <= STEP:
            self._begin(seen, seconds)
            return Change(size=size)
        passed, self._at = max(1e-3, seconds - self._at), seconds
        difference = _even(seen - self._usual)
        limit = threshold * self._noise
        moved = _cleaned(np.abs(difference) > limit)
        if moved.mean() > EVERYWHERE:
            self._begin(seen, seconds)
            return Change(size=size, scene=True)
        lately = np.abs(_even(seen - self._late)) > limit
        blobs = _blobs(moved, lately, _edges(difference), least)
        self._learn(seen, difference, moved, passed)
        return Change(blobs, size)

    def _begin(self, seen: Floats, seconds: float) -> None:
        self._usual, self._late, self._at = seen.copy(), seen.copy(), seconds
        self._noise = np.full(seen.shape, NOISE, np.float32)

    def _learn(self, seen: Floats, difference: Floats, moved: Mask, passed: float) -> None:
        assert self._usual is not None
        still = moved == 0
        rate = np.where(still, _rate(passed, LEARNS), _rate(passed, ABSORBS)).astype(np.float32)
        self._usual += rate * (seen - self._usual)
        self._noise += rate * (np.minimum(np.abs(difference), MOST_NOISE) - self._noise)
        np.maximum(self._noise, NOISE, out=self._noise)
        self._late += np.float32(_rate(passed, LATELY)) * (seen - self._late)


def small(luma: Pixels) -> Floats:
    """Logarithms of luma (h, w) at a width of `WIDTH` px at most, (h', w')."""
    height, width = luma.shape
    share = min(1.0, WIDTH / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    shrunk = luma if size == (width, height) else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.LUT(shrunk, _LOGARITHMS), np.float32)


def _rate(passed: float, constant: float) -> float:
    """Share of the way to a new value after that many s."""
    return 1 - math.exp(-passed / constant)


def _even(difference: Floats) -> Floats:
    """Without what is the same all over: more light, or another exposure."""
    return np.asarray(difference - np.float32(np.median(difference[::4, ::4])), np.float32)


_SPECK, _GAP = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)


def _cleaned(moved: NDArray[np.bool_]) -> Mask:
    """Without specks, and with holes and gaps closed."""
    opened = cv2.morphologyEx(moved.astype(np.uint8), cv2.MORPH_OPEN, _SPECK)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _GAP), np.uint8)


def _edges(difference: Floats) -> Mask:
    across, down = (np.abs(cv2.Sobel(difference, cv2.CV_32F, *axes, scale=1 / 8)) for axes in ((1, 0), (0, 1)))
    return (across + down > EDGE).astype(np.uint8)


def _blobs(moved: Mask, lately: NDArray[np.bool_], edges: Mask, least: float) -> tuple[Blob, ...]:
    """Those large enough whose edges are new and that changed lately."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(moved, connectivity=8)
    if count < 2:
        return ()
    height, width = moved.shape
    flat = labels.ravel()
    sharp = np.bincount(flat, edges.ravel(), count)
    fresh = np.bincount(flat, lately.ravel(), count)
    areas = statistics[:, cv2.CC_STAT_AREA]
    found = []
    for label in sorted(range(1, count), key=lambda label: -areas[label])[:MOST]:
        left, top, wide, high, area = (int(value) for value in statistics[label])
        # an outline grows as the root of what is inside
        if area < least * height * width or sharp[label] < math.sqrt(area) or fresh[label] < math.sqrt(area) / 2:
            continue
        box = (left / width, top / height, (left + wide) / width, (top + high) / height)
        found.append(Blob(box, area / (wide * high), (labels == label).astype(np.uint8)))
    return tuple(found)
