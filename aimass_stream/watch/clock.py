"""The time, as one goes by that counts and throws away: a clock that is set wrong for a moment changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW = 2.0  # s within which the machine's clock is simply followed
SETTLES = 120.0  # s after which it is believed that it was set


class Clock:
    """s since the epoch, going on evenly. `look` now and then; called by whoever asks what time it is."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._begin = wall() - steady()
        self._jumped: tuple[float, float] | None = None  # how far it is away, and since when

    def __call__(self) -> float:
        return self._begin + self._steady()

    def look(self) -> None:
        """Follow the machine's clock: at once where it is near, after a while where it stays away."""
        apart, now = self._wall() - self(), self._steady()
        if abs(apart) <= SLEW:
            self._begin += apart
            self._jumped = None
        elif self._jumped is None or abs(apart - self._jumped[0]) > SLEW:
            self._jumped = (apart, now)
        elif now - self._jumped[1] >= SETTLES:
            self._begin += apart
            self._jumped = None
