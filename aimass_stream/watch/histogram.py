"""What values are like, in a few dozen numbers that can be added up: moments, and counts in bins.

Bins are not known beforehand. They are the tenths of the first values that come (kept until there are enough), and
stay: so a baseline and whatever comes later are counted in the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEARNED = 256  # values that bins are made from
AT_ONCE = 32  # of them at most of one input: neighbours in a picture are much alike
BINS = 10
LARGEST = 1e100  # what is beyond is that: squares of it can be added up
LEAST = 50  # values on each side, before they are compared

Values = NDArray[np.float64]


@dataclass(slots=True)
class Histogram:
    count: int = 0
    missing: int = 0  # NaN and infinite ones
    mean: float = 0.0
    squares: float = 0.0  # sum of squared distances from the mean
    bins: list[int] = field(default_factory=list)
    edges: list[float] | None = None  # upper ones, each within its bin; the last bin has none
    first: list[float] = field(default_factory=list)  # until there are edges

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def add(self, values: Values) -> None:
        """Moments, and bins where they are known."""
        sound = sound_of(values)
        self.missing += int(values.size - sound.size)
        if not sound.size:
            return
        mean = float(sound.mean())
        self._merge(int(sound.size), mean, float(np.square(sound - mean).sum()))
        if self.edges is not None:
            self.bins = (np.asarray(self.bins, np.int64) + _binned(sound, self.edges)).tolist()

    def learn(self, values: Values, samples: int = 1, *, now: bool = False) -> None:
        """Make bins of these, which are of so many inputs, and those before, if they are enough; `now`: in any case."""
        if self.edges is not None:
            return
        before, sound = np.asarray(self.first, np.float64), sound_of(values)
        most = min(sound.size, LEARNED, AT_ONCE * samples)
        self.first += [float(f"{value:.9g}") for value in sound[np.arange(most) * sound.size // max(1, most)]]
        if self.first and (now or len(self.first) >= LEARNED):
            self.edges = edges_of(np.asarray(self.first))
            self.bins = (_binned(before, self.edges) + _binned(sound, self.edges)).tolist()
            self.first = []

    def like(self) -> Histogram:
        """An empty one with the same bins."""
        return Histogram(edges=self.edges, bins=[] if self.edges is None else [0] * (len(self.edges) + 1))

    def merge(self, other: Histogram) -> None:
        """With one of the same bins, or of none yet."""
        if other.count:
            self._merge(other.count, other.mean, other.squares)
        self.missing += other.missing
        if len(self.bins) == len(other.bins):
            self.bins = [mine + more for mine, more in zip(self.bins, other.bins, strict=True)]

    def _merge(self, count: int, mean: float, squares: float) -> None:
        total = self.count + count
        apart = mean - self.mean
        self.squares += squares + apart * apart * self.count * count / total
        self.mean += apart * count / total
        self.count = total

    def json(self) -> dict[str, Any]:
        return {"count": self.count, "missing": self.missing, "mean": self.mean, "squares": self.squares,
                "bins": self.bins} | ({"first": self.first} if self.first else {})

    @classmethod
    def of(cls, told: dict[str, Any], edges: list[float] | None) -> Histogram:
        return cls(told["count"], told["missing"], told["mean"], told["squares"], list(told["bins"]), edges,
                   list(told.get("first", ())))


def sound_of(values: Values) -> Values:
    return np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)


def edges_of(values: Values) -> list[float]:
    """Tenths. A value that is more than one of them, such as 0, gets a bin of its own."""
    tenths = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="nearest")
    several = {float(each) for each, count in zip(*np.unique(tenths, return_counts=True), strict=True) if count > 1}
    below = {float(np.nextafter(each, -np.inf)) for each in several}
    return sorted({float(each) for each in tenths} | below)


def psi(before: Histogram, now: Histogram) -> float | None:
    """Population stability index: 0 is the same, 0.1 somewhat another, 0.25 and more another. None: too few values.

    What is missing counts as a bin; half a value is added to each, so that an empty one is not endlessly far away.
    """
    if before.edges is None or len(before.bins) != len(now.bins):
        return None
    counts = np.array([[*before.bins, before.missing], [*now.bins, now.missing]], np.float64)
    if counts.sum(1).min() < LEAST:
        return None
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    shares = (counts + 0.5) / (counts.sum(1, keepdims=True) + 0.5 * counts.shape[1])
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _binned(values: Values, edges: Sequence[float]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(np.asarray(edges), values, side="left"), minlength=len(edges) + 1)
