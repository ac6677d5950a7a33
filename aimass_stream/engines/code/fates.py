"""How often the child of a model has ended, so that one that ends at once is not started for ever."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ...errors import ModelFailed

MOST = 6  # ends in `WINDOW`
WINDOW = 600.0  # s
FIRST = 1.0  # s until it is started again; twice that after the next end
NAMES = 1024


class Fates:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._ends: dict[str, deque[float]] = {}

    def ended(self, name: str) -> None:
        with self._lock:
            ends = self._ends.pop(name, None) or deque(maxlen=MOST)
            ends.append(self._clock())
            self._ends[name] = ends
            while len(self._ends) > NAMES:
                self._ends.pop(next(iter(self._ends)))

    def wait(self, name: str) -> float | None:
        """s until it may be started again: `FIRST` after its end, then 2, 4... times that. None: it ended too often."""
        with self._lock:
            now = self._clock()
            recent = [at for at in self._ends.get(name, ()) if now - at < WINDOW]
        if not recent:
            return 0.0
        if len(recent) >= MOST:
            return None
        return max(0.0, recent[-1] + FIRST * 2.0 ** (len(recent) - 1) - now)

    def admit(self, name: str) -> None:
        """Raises `ModelFailed` where it must not be started yet."""
        wait = self.wait(name)
        if wait is None:
            raise ModelFailed(f"{name} ended {MOST} times in {WINDOW / 60:.0f} minutes: it is not started for now",
                              retry_after=round(WINDOW))
        if wait > 0:
            raise ModelFailed(f"{name} has ended and is not started again yet", retry_after=1 + round(wait))


FATES = Fates()
