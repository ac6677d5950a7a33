"""Which stage works with less, and when again with more, so that a bound on the delay is kept. Numbers in, steps out.

Nothing here knows a session, and no clock: `look` is given the moment and what was measured since the last one.

- Down: when the 95th percentile of the last seconds is over the bound, the stage whose next rung saves most takes it,
  by the time of its hop and what the rungs cost. The frame rate is last: it is a stage that only gives when no other
  has anything worth giving, and gets all of it back if that did not help. After a step, what was measured before it no
  longer counts.
- Up: the last one that went down goes up again when there has been room for a while. If that has to be undone soon,
  the next try waits twice as long, up to some minutes; a try that lasts makes the wait shorter again. So a load that
  stays is tried less and less often, and never followed up and down.
- Nothing left: that is told once, and again only after the bound was kept for some time. The session goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

WINDOW = 3.0  # s that count; less after a step, more where there are few pictures
SETTLE = 0.3  # s after a step, in which pictures from before it still come out
JUDGE = 1.0  # s that have to be seen before the next step down
LEAST, FEW = 6, 3  # pictures that have to be seen; and where every one is over the bound
GRACE = 2.0  # s at a session's begin: models get warm, encoders start
ROOM = 0.75  # share of the bound below which there is room to go up
WAIT, LONGEST = 5.0, 320.0  # s of room before a try: at first, and at most
TRIED = 30.0  # s that a step up has to last, or twice the wait if that is longer
DOUBTFUL = 60.0  # s of room before a try that should fail, by what the rungs cost
WORTH = 0.02  # share of the bound that a step down has to save
RECENT = 10.0  # s in which the delay with fewer pictures is compared with that with all of them
HELPED = 0.9  # share of the delay that may be left for a lower frame rate to have helped
STALE = 6.0  # s without a picture after which nothing can be said
KEPT = 30.0  # s after which a bound that is missed again is told again


@dataclass(frozen=True, slots=True)
class Part:
    """A stage at work in one track, or the frame rate of the track."""

    key: Hashable  # the same for as long as it is the same
    rung: int  # that it works at
    reach: range  # rungs of use
    costs: Sequence[float]  # of every rung, in shares of the first one's
    seconds: float  # 95th percentile of its hop, and what it does beside the pictures
    last: bool = False  # gives only when no other can

    def saves(self) -> float:
        """s a picture that the next rung should take less."""
        return self.seconds * (1 - self.costs[self.rung + 1] / self.costs[self.rung])

    def adds(self) -> float:
        """s a picture that the rung before should take more."""
        return self.seconds * (self.costs[self.rung - 1] / self.costs[self.rung] - 1)


@dataclass(frozen=True, slots=True)
class Step:
    """`part` is to work at `rung`."""

    part: Part
    rung: int
    p95: float  # s, why
    why: str

    @property
    def down(self) -> bool:
        return self.rung > self.part.rung


@dataclass(frozen=True, slots=True)
class Missed:
    """The bound can't be kept."""

    p95: float  # s
    why: str


class Governor:
    """Of one track. `bound` is in seconds."""

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self.p95: float | None = None  # s, of the last seconds; None before there is enough to say
        self.missed = False  # told, and not kept for long since
        self.wait = WAIT
        self._values: deque[tuple[float, float]] = deque(maxlen=1024)  # moment of the look, s
        self._since: float | None = None  # values count from here on
        self._room: float | None = None  # since when there has been room
        self._kept: float | None = None  # since when the bound is kept
        self._order: dict[Hashable, None] = {}  # what went down, the last one last
        self._up: float | None = None  # when the last step up was; None when it is judged
        self._full_rate = (0.0, -RECENT)  # s, the delay before the frame rate was lowered, and when that was
        self._rate_from, self._rate_wait = 0.0, LONGEST  # when it may be lowered again; how long not, if it is no use

    def look(self, moment: float, totals: Sequence[float], parts: Sequence[Part], outside: float = 0.0
             ) -> Step | Missed | None:
        """What to do at a moment (s), `totals` being the delays (s) of what left since the last look.

        `outside` is the time (s, 95th percentile) on the network: where that alone is over the bound, no stage is to
        blame and none steps down.
        """
        if self._since is None:
            if not totals:
                return None
            self._since = moment + GRACE
        self._take(moment, totals)
        if self.p95 is None:
            return None
        self._judge_try(moment)
        if self.p95 > self.bound:
            self._room = self._kept = None
            return self._over(moment, parts, outside)
        self._kept = moment if self._kept is None else self._kept
        if self.missed and moment - self._kept >= KEPT:
            self.missed = False
        if self.p95 > ROOM * self.bound:
            self._room = None
            return None
        self._room = moment if self._room is None else self._room
        return self._under(moment, parts)

    def _take(self, moment: float, totals: Sequence[float]) -> None:
        assert self._since is not None
        if moment >= self._since:
            self._values.extend((moment, value) for value in totals)
        if self._values and self._values[-1][0] < moment - STALE:
            self._values.clear()
            self._room = self._kept = None
        while len(self._values) > LEAST and self._values[0][0] < moment - WINDOW:
            self._values.popleft()
        values = [value for _, value in self._values]
        enough = len(values) >= LEAST or (len(values) >= FEW and min(values) > self.bound)
        self.p95 = percentile(values) if enough and moment - self._since >= JUDGE else None

    def _judge_try(self, moment: float) -> None:
        if self._up is not None and moment - self._up > max(TRIED, 2 * self.wait):
            self._up = None
            self.wait = max(WAIT, self.wait / 2)

    def _over(self, moment: float, parts: Sequence[Part], outside: float) -> Step | Missed | None:
        assert self.p95 is not None
        if outside >= self.bound:
            return self._miss("the network alone takes longer")
        able = [part for part in parts if part.rung + 1 < part.reach.stop]
        worth = [part for part in able if not part.last and part.saves() >= WORTH * self.bound]
        rate = next((part for part in parts if part.last), None)
        chosen = max(worth, key=Part.saves, default=None) or (rate if rate in able and moment >= self._rate_from
                                                              else None)
        if chosen is None:
            if rate is not None and rate.rung > rate.reach.start and self._no_use(moment):
                self._rate_from, self._rate_wait = moment + self._rate_wait, 2 * self._rate_wait
                return self._step(moment, Step(rate, rate.reach.start, self.p95, "fewer pictures did not help"))
            return self._miss("every stage works with as little as it can")
        if chosen.last and chosen.rung == chosen.reach.start:
            self._full_rate = self.p95, moment
        if self._up is not None:  # that try has failed
            self.wait = min(LONGEST, 2 * self.wait)
            self._up = None
        there = {part.key for part in parts} - {chosen.key}
        self._order = {key: None for key in self._order if key in there} | {chosen.key: None}
        return self._step(moment, Step(chosen, chosen.rung + 1, self.p95, "over the bound"))

    def _no_use(self, moment: float) -> bool:
        """Of a lower frame rate; later, the load is another one."""
        before, when = self._full_rate
        return self.p95 is not None and moment - when <= RECENT and self.p95 > HELPED * before

    def _under(self, moment: float, parts: Sequence[Part]) -> Step | None:
        assert self.p95 is not None
        assert self._room is not None
        lowered = [part for part in parts if part.rung > part.reach.start]
        if not lowered:
            return None
        order = list(self._order)
        chosen = max(lowered, key=lambda part: (order.index(part.key) if part.key in order else -1, part.last))
        doubtful = self.p95 + chosen.adds() > self.bound
        if moment - self._room < (max(self.wait, DOUBTFUL) if doubtful else self.wait):
            return None
        self._up = moment
        return self._step(moment, Step(chosen, chosen.rung - 1, self.p95, "there is room again"))

    def _step(self, moment: float, step: Step) -> Step:
        self._values.clear()
        self._since, self._room = moment + SETTLE, None
        return step

    def _miss(self, why: str) -> Missed | None:
        assert self.p95 is not None
        if self.missed:
            return None
        self.missed = True
        return Missed(self.p95, why)


def percentile(values: Sequence[float], share: float = 0.95) -> float:
    """0 of nothing."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)] if ordered else 0.0


def costs(told: Sequence[float]) -> list[float]:
    """Of every rung in shares of the first one's; where a stage does not say (0), half of the one before."""
    found: list[float] = []
    for value in told:
        found.append(value or (found[-1] / 2 if found else 1.0))
    return found
