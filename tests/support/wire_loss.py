"""An in-memory wire with a seeded pattern of loss, delay, jitter, overtaking and copies, on a clock of its own.

Nothing sleeps: `send` says when, `take` gives what has arrived by then, `next_arrival` says when to look again.
"""

from __future__ import annotations

import heapq
import random
from typing import Generic, TypeVar

T = TypeVar("T")


class Wire(Generic[T]):
    """Times in seconds. Each item is delayed by delay ± jitter, evenly; they overtake each other unless `in_order`."""

    def __init__(self, *, seed: int = 1, loss: float = 0.0, delay: float = 0.0, jitter: float = 0.0,
                 copies: float = 0.0, in_order: bool = False, burst: float = 1.0) -> None:
        self.loss = loss  # share of items
        self.delay = delay
        self.jitter = jitter
        self.copies = copies  # share of items that arrive twice
        self.in_order = in_order
        self.burst = burst  # mean number of items lost in a row
        self.sent = 0
        self.lost = 0
        self._random = random.Random(seed)
        self._losing = False
        self._on_the_way: list[tuple[float, int, T]] = []
        self._latest = 0.0

    def send(self, item: T, now: float) -> None:
        self.sent += 1
        if self._loses():
            self.lost += 1
            return
        for _ in range(2 if self._random.random() < self.copies else 1):
            arrival = now + max(0.0, self.delay + self._random.uniform(-self.jitter, self.jitter))
            if self.in_order:
                arrival = self._latest = max(arrival, self._latest)
            heapq.heappush(self._on_the_way, (arrival, self.sent, item))

    def _loses(self) -> bool:
        """Gilbert's two states; with a burst of 1 plain random loss."""
        if self._losing and self.burst > 1:
            self._losing = self._random.random() >= 1 / self.burst
        else:
            self._losing = self._random.random() < self.loss / self.burst
        return self._losing

    @property
    def next_arrival(self) -> float:
        """Infinite when nothing is on the way."""
        return self._on_the_way[0][0] if self._on_the_way else float("inf")

    def take(self, now: float) -> list[tuple[float, T]]:
        """What has arrived by `now`, with the moment it did."""
        arrived = []
        while self._on_the_way and self._on_the_way[0][0] <= now:
            arrival, _, item = heapq.heappop(self._on_the_way)
            arrived.append((arrival, item))
        return arrived
