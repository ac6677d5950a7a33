"""What is counted on the way: a few additions in memory for each request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from ..ports import Caller

# request: inference by REST; session: a live one; frame: its way through a session; words: the first of an utterance
What: TypeAlias = Literal["request", "session", "frame", "words"]

BUCKETS = 32
FIRST = 0.0005  # s, the first bucket's upper bound; each further one is √2 times as long, the last has no end
BOUNDS = tuple(FIRST * 2 ** (number / 2) for number in range(BUCKETS - 1))
MOST = 20_000  # different sums between two writings; what comes beyond is counted without key, app and model


class Of(NamedTuple):
    """Whose use of what."""

    user: str
    team: str
    key: str
    app: str
    model: str
    what: What


@dataclass(slots=True)
class Sum:
    count: int = 0
    errors: int = 0
    drops: int = 0
    seconds: float = 0.0  # of sessions, how long they lived
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, other: Sum) -> None:
        self.count += other.count
        self.errors += other.errors
        self.drops += other.drops
        self.seconds += other.seconds
        for place, value in enumerate(other.buckets):
            self.buckets[place] += value


class Meter:
    """Counts until it is emptied. Used on the event loop."""

    def __init__(self) -> None:
        self._sums: dict[Of, Sum] = {}

    def request(self, caller: Caller, model: str, seconds: float, *, app: str = "", failed: bool = False) -> None:
        """One request for inference, that took so many seconds."""
        sum_ = self._sum(caller, app, model, "request")
        sum_.count += 1
        sum_.errors += failed
        sum_.seconds += seconds
        sum_.buckets[bisect_left(BOUNDS, seconds)] += 1

    def session(self, caller: Caller, seconds: float, *, app: str = "", begun: bool = False, drops: int = 0) -> None:
        """A session lived so many seconds more."""
        sum_ = self._sum(caller, app, "", "session")
        sum_.count += begun
        sum_.seconds += seconds
        sum_.drops += drops

    def frame(self, caller: Caller, seconds: float, *, app: str = "") -> None:
        """A frame's usual way through a session takes so long at the moment."""
        sum_ = self._sum(caller, app, "", "frame")
        sum_.count += 1
        sum_.buckets[bisect_left(BOUNDS, seconds)] += 1

    def words(self, caller: Caller, model: str, seconds: float, *, app: str = "") -> None:
        """The first words of an utterance were there so long after it began."""
        sum_ = self._sum(caller, app, model, "words")
        sum_.count += 1
        sum_.buckets[bisect_left(BOUNDS, seconds)] += 1

    def take(self) -> dict[Of, Sum]:
        """What was counted since the last time."""
        taken, self._sums = self._sums, {}
        return taken

    def give_back(self, taken: dict[Of, Sum]) -> None:
        """It could not be written."""
        for of, sum_ in taken.items():
            self._of(of).add(sum_)

    def _sum(self, caller: Caller, app: str, model: str, what: What) -> Sum:
        return self._of(Of(caller.user, caller.team, caller.id, app, model, what))

    def _of(self, of: Of) -> Sum:
        found = self._sums.get(of)
        if found is None:
            if len(self._sums) >= MOST:
                of = Of("", "", "", "", "", of.what)
            found = self._sums.setdefault(of, Sum())
        return found


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """s; within a bucket as if its values were spread evenly. None of nothing."""
    total = sum(buckets)
    if not total:
        return None
    rank, before = share * total, 0
    for place, count in enumerate(buckets):
        if count and before + count >= rank:
            low = BOUNDS[place - 1] if place else 0.0
            high = BOUNDS[place] if place < len(BOUNDS) else 2 * BOUNDS[-1]
            return low + (high - low) * (rank - before) / count
        before += count
    return 2 * BOUNDS[-1]
