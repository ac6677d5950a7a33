"""Which packets are missing, and when to ask for them again (RFC 4585 6.2.1).

A gap may be a packet that overtook another, so the first request waits as long as nine in ten of those lately
took on this way (3 ms where none was seen): waiting for all of them would delay the repair of what is lost, and
a needless answer costs one packet. Further requests follow a little over a round trip apart, as measured from
requests to answers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

INFINITE = float("inf")

OVERTAKING = 0.003  # s waited before the first request, at least
OVERTAKING_MEMORY = 2.0  # s
RETRY = 0.035  # s between requests before a round trip was measured
RETRY_RANGE = (0.012, 0.1)  # s
TRIES = 12  # requests for one packet
LARGEST_GAP = 256  # packets; more are not asked for


@dataclass(slots=True)
class _Gap:
    since: float  # s, when it was noticed
    due: float  # s, the next request
    asked: float = 0.0  # s, the first request
    tries: int = 0
    came: float = 0.0  # s


class Missing:
    """Keyed by sequence numbers that count on over wraps. All times are seconds on the caller's clock."""

    def __init__(self, longest_wait: float) -> None:
        self._gaps: dict[int, _Gap] = {}  # in rising order
        self._longest_wait = longest_wait
        self._overtaken: deque[tuple[float, float]] = deque(maxlen=64)  # when, by how much
        self._repaired: dict[int, _Gap] = {}  # asked for and come, 64 at most
        self._expected = -1, 0.0  # number, when asked for
        self.wait = OVERTAKING
        self.rtt: float | None = None  # s, request to answer
        self._deviation = 0.0  # s, of single answers from it
        self.asked = 0  # requests, in packets
        self.needless = 0  # packets that came by themselves after they were asked for

    def __len__(self) -> int:
        return len(self._gaps)

    def __contains__(self, number: int) -> bool:
        return number in self._gaps

    def open(self, first: int, end: int, now: float) -> None:
        """first ... end - 1 were skipped."""
        due = now + self.wait
        before = {} if not self._gaps or next(reversed(self._gaps)) < first else self._gaps
        new = {number: _Gap(now, due) for number in range(first, end)}
        if self._expected[0] in new:
            asked = self._expected[1]
            new[self._expected[0]] = _Gap(now, max(due, asked + self.retry), asked, tries=1)
        if before:  # only a stream whose first packets come out of order
            self._gaps = new | before
        else:
            self._gaps |= new

    def expect(self, number: int, now: float) -> None:
        """A packet above the highest is asked for, on the guess that it is lost."""
        self._expected = number, now
        self.asked += 1

    def came(self, number: int, now: float) -> None:
        """A packet below the highest came: one that was missing, or a copy."""
        gap = self._gaps.pop(number, None)
        if gap is None:
            repaired = self._repaired.pop(number, None)
            if repaired is not None:  # both the packet and the answer to our request: the one before was no answer
                self.needless += 1
                self._saw_overtaking(repaired.came - repaired.since, now)
                self._saw_answer(now - repaired.asked, 0.5)
            return
        gap.came = now
        if not gap.tries:
            self._saw_overtaking(now - gap.since, now)
            return
        if gap.tries == 1 and (self.rtt is None or now - gap.asked > self.rtt / 2):
            self._saw_answer(now - gap.asked, 0.2)
        while len(self._repaired) >= 64:
            self._repaired.pop(next(iter(self._repaired)))
        self._repaired[number] = gap

    def _saw_answer(self, seconds: float, weight: float) -> None:
        if self.rtt is None:
            self.rtt, self._deviation = seconds, seconds / 4
            return
        self._deviation += weight * (abs(seconds - self.rtt) - self._deviation)
        self.rtt += weight * (seconds - self.rtt)

    def _saw_overtaking(self, late: float, now: float) -> None:
        self._overtaken.append((now, late))
        self._measure(now)

    def _measure(self, now: float) -> None:
        while self._overtaken and self._overtaken[0][0] < now - OVERTAKING_MEMORY:
            self._overtaken.popleft()
        lateness = sorted(late for _, late in self._overtaken)
        usual = lateness[len(lateness) * 9 // 10] if lateness else 0.0
        self.wait = min(max(OVERTAKING, usual), self._longest_wait)

    @property
    def retry(self) -> float:
        """s between requests."""
        if self.rtt is None:
            return RETRY
        return min(max(self.rtt + 2 * self._deviation + 0.004, RETRY_RANGE[0]), RETRY_RANGE[1])

    def due(self, now: float) -> list[int]:
        """The packets to ask for now."""
        numbers = [number for number, gap in self._gaps.items() if gap.due <= now]
        if numbers:
            self._measure(now)
        for number in numbers:
            gap = self._gaps[number]
            gap.asked = gap.asked or now
            gap.tries += 1
            gap.due = now + self.retry if gap.tries < TRIES else INFINITE
        self.asked += len(numbers)
        return numbers

    @property
    def next_due(self) -> float:
        return min((gap.due for gap in self._gaps.values()), default=INFINITE)

    @property
    def oldest(self) -> float:
        """Since when the lowest missing packet is; infinite when none is."""
        for gap in self._gaps.values():
            return gap.since
        return INFINITE

    def forget_below(self, number: int) -> None:
        """Packets below `number` are of no use any more."""
        stale = []
        for missing in self._gaps:
            if missing >= number:
                break
            stale.append(missing)
        for missing in stale:
            del self._gaps[missing]

    def clear(self) -> None:
        self._gaps.clear()
        self._repaired.clear()
