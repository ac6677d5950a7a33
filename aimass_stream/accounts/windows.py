"""Counters for `limits` in memory, by a clock that nobody can set: a jump of the time of day changes nothing.

The library's own takes the time of day, and starts a thread for every few counts.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from limits.storage import Storage

MOST = 100_000  # counters at once; the one that ends first goes


class Windows(Storage):
    """Fixed windows: a counter ends so many seconds after its first count. Called on one thread."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._counters: dict[str, tuple[int, float]] = {}  # and when it ends
        self._ends: list[tuple[float, str]] = []

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def __len__(self) -> int:
        return len(self._counters)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        moment = self._clock()
        count, end = self._counters.get(key, (0, 0.0))
        if end <= moment:
            self._tidy(moment)
            count, end = 0, moment + expiry
            heapq.heappush(self._ends, (end, key))
        self._counters[key] = count + amount, end
        return count + amount

    def _tidy(self, moment: float) -> None:
        while self._ends and (self._ends[0][0] <= moment or len(self._counters) >= MOST):
            end, key = heapq.heappop(self._ends)
            if self._counters.get(key, (0, 0.0))[1] == end:
                del self._counters[key]

    def get(self, key: str) -> int:
        count, end = self._counters.get(key, (0, 0.0))
        return count if end > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """s since the epoch, as the library has it."""
        return time.time() + self.left(key)

    def left(self, key: str) -> float:
        """s until the counter ends."""
        return max(0.0, self._counters.get(key, (0, 0.0))[1] - self._clock())

    def clear(self, key: str) -> None:
        self._counters.pop(key, None)

    def reset(self) -> int:
        count = len(self._counters)
        self._counters.clear()
        self._ends.clear()
        return count

    def check(self) -> bool:
        return True
