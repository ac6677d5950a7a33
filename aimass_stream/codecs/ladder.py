"""When an encoder that must be opened anew for another bit rate may do so: each time costs a key frame."""

from __future__ import annotations

STEP = 1.5  # ratio between the rungs
INTERVAL = 2 * 90_000  # ticks of pts between two rebuilds


class Ladder:
    """Steps of x1.5, at most every 2 s of pts."""

    def __init__(self) -> None:
        self._last: int | None = None

    def step(self, now: int, wanted: int, pts: int) -> bool:
        """True when going from `now` to `wanted` bit/s is worth a key frame at `pts`."""
        if max(now, wanted) < STEP * min(now, wanted):
            return False
        if self._last is not None and 0 <= pts - self._last < INTERVAL:
            return False
        self._last = pts
        return True
