"""Boxes that move steadily, many at once: where each is by now, and how sure that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .boxes import Floats, Whole

Values = NDArray[np.float64]

RATE = 30.0  # pictures a second that the noise below is meant for
PLACE, SPEED = 1 / 20, 1 / 160  # standard deviations in shares of the box's side, of a picture and from one to the next
NEW_PLACE, NEW_SPEED = 2 * PLACE, 10 * SPEED  # of a box that was seen once
SMALLEST = 1.0  # px


class Motions:
    """A Kalman filter of constant velocity for each box: middle, width and height, and the rate of each.

    The filter and its noise are those of DeepSORT (Wojke and others 2017), which ByteTrack uses, with the width in
    place of the aspect as in BoT-SORT (Aharon and others 2022). The noise of the four is independent, so the
    covariance falls into four blocks of 2x2, kept as three numbers each: no matrix is ever inverted. Time is counted
    in pictures of 1/30 s, so that pictures which were left out do no harm.
    """

    def __init__(self) -> None:
        self._value: Values = np.zeros((0, 4))  # middle x, y, width, height; px
        self._rate: Values = np.zeros((0, 4))  # of each, in px per 1/30 s
        self._place: Values = np.zeros((0, 4))  # variance of the value,
        self._both: Values = np.zeros((0, 4))  # covariance of both,
        self._speed: Values = np.zeros((0, 4))  # variance of the rate

    def __len__(self) -> int:
        return len(self._value)

    @property
    def boxes(self) -> Floats:
        """(n, 4): left, top, right, bottom."""
        half = self._value[:, 2:] / 2
        return np.concatenate([self._value[:, :2] - half, self._value[:, :2] + half], axis=1).astype(np.float32)

    def advance(self, seconds: float) -> None:
        """So much time goes by."""
        passed = seconds * RATE
        side = self._sides(self._value)
        self._value = self._value + passed * self._rate
        self._value[:, 2:] = np.maximum(self._value[:, 2:], SMALLEST)
        self._place = self._place + 2 * passed * self._both + passed**2 * self._speed + passed * (PLACE * side) ** 2
        self._both = self._both + passed * self._speed
        self._speed = self._speed + passed * (SPEED * side) ** 2

    def add(self, boxes: Floats) -> None:
        """Boxes (k, 4) that are seen for the first time, as the last rows."""
        value = _measured(boxes)
        side, nothing = self._sides(value), np.zeros_like(value)
        self._value = np.concatenate([self._value, value])
        self._rate = np.concatenate([self._rate, nothing])
        self._place = np.concatenate([self._place, (NEW_PLACE * side) ** 2])
        self._both = np.concatenate([self._both, nothing])
        self._speed = np.concatenate([self._speed, (NEW_SPEED * side) ** 2])

    def correct(self, rows: Whole, boxes: Floats) -> None:
        """These rows were seen at boxes (k, 4)."""
        value, place, both = self._value[rows], self._place[rows], self._both[rows]
        spread = place + (PLACE * self._sides(value)) ** 2
        gain, rate_gain = place / spread, both / spread
        surprise = _measured(boxes) - value
        self._value[rows] = value + gain * surprise
        self._value[rows, 2:] = np.maximum(self._value[rows, 2:], SMALLEST)
        self._rate[rows] += rate_gain * surprise
        self._place[rows] = (1 - gain) * place
        self._both[rows] = (1 - gain) * both
        self._speed[rows] -= rate_gain * both

    def freeze(self, rows: Whole) -> None:
        """These rows were not seen: they go on, but grow and shrink no further."""
        self._rate[rows, 2:] = 0

    def keep(self, rows: Whole) -> None:
        """All the others are forgotten."""
        for name in ("_value", "_rate", "_place", "_both", "_speed"):
            setattr(self, name, getattr(self, name)[rows])

    @staticmethod
    def _sides(value: Values) -> Values:
        """(n, 4): width and height, for the middle and for themselves."""
        return np.tile(np.maximum(value[:, 2:], SMALLEST), 2)


def _measured(boxes: Floats) -> Values:
    """(n, 4): middle x, y, width, height."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2, high - low], axis=1)
