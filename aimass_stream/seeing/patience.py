"""How often a model that is late is asked: a picture must not wait for it again and again."""

from __future__ import annotations

from ..frames import now

REST, LONGEST = 0.05, 2.0  # s without another try after a miss, doubled by each that follows
MOST = 10  # misses that are counted


class Patience:
    def __init__(self) -> None:
        self._misses = 0  # in a row
        self._until = 0.0  # s, monotonic

    @property
    def resting(self) -> bool:
        return now() < self._until

    def missed(self) -> None:
        self._until = now() + min(LONGEST, REST * 2**self._misses)
        self._misses = min(self._misses + 1, MOST)

    def answered(self) -> None:
        self._misses, self._until = 0, 0.0
