"""How long sound has to wait so that nearly all of it comes in time: 0 on a clean link.

Each packet's transit is its arrival less its own time, which is off by an unknown constant; the least transit of
the last two seconds is the link without jitter. The target is what 97 in 100 packets need beyond that. Packets
that arrive in a heap, in order, waited behind the first of them and say nothing more about the link, so one
stall counts once: waiting for a repetition would not help anybody. Jitter below one packet's length can't
change the order of packets, so it needs no wait at all: whoever plays the sound has a buffer of his own.
"""

from __future__ import annotations

import bisect
from collections import deque

INFINITE = float("inf")

QUANTILE = 0.97
WINDOW = 2.0  # s
KEPT = 25  # packets that stay known over a pause
STALE = 10.0  # s after which they don't
SAMPLES = 1024  # at most in the window
HEAP = 0.005  # s within which packets in order count as one arrival
BEGIN, END = 0.02, 0.012  # s of jitter at which waiting begins and ends
MARGIN = 0.002  # s
LONGEST = 0.4  # s
SHRINK = 0.06  # s a second, and a share of the rest:
SHRINK_TIME = 0.25  # s


class PlayoutDelay:
    """`target` in seconds; `due` says when a moment of the stream is to be played."""

    def __init__(self) -> None:
        self.target = 0.0
        self.reset()

    def reset(self) -> None:
        """The stream's clock was set: nothing that was measured holds."""
        self._window: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._ordered: list[float] = []
        self._arrived: float | None = None
        self._heap = False  # the last entry is the end of a heap
        self._measured = 0.0

    @property
    def jitter(self) -> float:
        """s that 97 in 100 packets stay below, over the fastest."""
        return self._measured

    def add(self, media_time: float, arrived: float, in_order: bool) -> None:
        """A packet that holds the stream from `media_time` (s) on arrived."""
        transit = arrived - media_time
        elapsed = INFINITE if self._arrived is None else max(0.0, arrived - self._arrived)
        self._arrived = arrived
        if not in_order or elapsed >= HEAP:
            self._heap = False
            self._remember(arrived, transit)
        elif transit < self._ordered[0]:  # the heap ends in the fastest packet so far
            if self._heap:
                self._forget(self._window.pop()[1])
            self._heap = True
            self._remember(arrived, transit)
        while self._window[0][0] < arrived - WINDOW and (
                len(self._window) > KEPT or self._window[0][0] < arrived - STALE):
            self._forget(self._window.popleft()[1])
        # rounded down: of up to 33 packets the slowest is left out, one alone is no jitter
        self._measured = self._ordered[int(QUANTILE * (len(self._ordered) - 1))] - self._ordered[0]
        self._follow(min(elapsed, WINDOW))

    def _remember(self, arrived: float, transit: float) -> None:
        if len(self._window) == SAMPLES:
            self._forget(self._window.popleft()[1])
        self._window.append((arrived, transit))
        bisect.insort(self._ordered, transit)

    def _forget(self, transit: float) -> None:
        del self._ordered[bisect.bisect_left(self._ordered, transit)]

    def _follow(self, elapsed: float) -> None:
        """Up at once, down over half a second: packets then leave a little closer together than they were made."""
        needed = 0.0
        if self._measured > (END if self.target else BEGIN):
            needed = min(self._measured + MARGIN, LONGEST)
        if needed >= self.target:
            self.target = needed
            return
        step = max(SHRINK * elapsed, (self.target - needed) * min(1.0, elapsed / SHRINK_TIME))
        self.target = max(needed, self.target - step)
        if self.target < 0.001:
            self.target = 0.0

    def due(self, media_time: float) -> float:
        """When the stream's `media_time` is to be played; long ago when there is nothing to wait for."""
        if not self.target or not self._ordered:
            return -INFINITE
        return self._ordered[0] + media_time + self.target

    def expected(self, media_time: float) -> float:
        """When `media_time` is to be played at the latest if the link is at its best."""
        return self._ordered[0] + media_time + self.target if self._ordered else INFINITE
