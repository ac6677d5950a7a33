"""How long frames took to come back, found by their pts."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Any

REMEMBERED = 4096  # frames on their way, of each track

PERCENTILES = (50, 95, 99)


def percentile(ordered: list[float], percent: float) -> float:
    """Of a sorted, non-empty list; the nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Latency:
    """Of one track. A frame that comes back was sent with the first frame that ends where it ends, or later: packets
    of sound need not be cut alike on the way back."""

    def __init__(self) -> None:
        self.sent = 0
        self.came = 0
        self.seconds: list[float] = []
        self._ends: deque[float] = deque(maxlen=REMEMBERED)  # s, media time; rising
        self._at: deque[float] = deque(maxlen=REMEMBERED)  # s, when it left

    def left(self, end: float, at: float) -> None:
        """A frame that ends at media time `end` (s) was sent."""
        self.sent += 1
        if not self._ends or end > self._ends[-1]:
            self._ends.append(end)
            self._at.append(at)

    def back(self, end: float, at: float) -> float | None:
        """A frame that ends at media time `end` came back; answers how long it took (s)."""
        self.came += 1
        index = bisect_left(self._ends, end - 0.0005)
        if index >= len(self._ends) or at < self._at[index]:
            return None
        self.seconds.append(at - self._at[index])
        return self.seconds[-1]

    def summary(self) -> dict[str, Any]:
        """Counts, and ms at p50, p95 and p99 (None without a measurement)."""
        ordered = sorted(self.seconds)
        marks = {f"p{mark}_ms": round(percentile(ordered, mark) * 1000, 1) if ordered else None for mark in PERCENTILES}
        return {"sent": self.sent, "came_back": self.came, **marks}
