"""How fast a peer may send to us: what we tell it by REMB (draft-alvestrand-rmcat-remb-03).

A way that is too narrow shows as a queue in front of it: every packet takes longer than the fastest one did.
Jitter also makes packets late, but not all of them, so what counts is the fastest of the last moments. Looked
at once a picture, whose packets leave their sender together anyway: it costs a few microseconds.
"""

from __future__ import annotations

from collections import deque

QUEUE = 0.03  # s that even the fastest of the last pictures may be late
MOMENT = 0.35  # s, and at least PICTURES pictures
PICTURES = 8
BASE = 5.0  # s: half the time for which the fastest transit is remembered; clocks drift
FALL = 0.85  # of what came through
GROWTH = 1.15  # a second
BEYOND = 2.0  # times what comes; further up nothing is known
TELL = 1.0  # s between messages
WAIT = 0.5  # s after a fall, for the queue to run empty
SPAN = 64.0  # s after which abs-send-time begins again


class Estimator:
    """All rates in bit/s, times in s; `arrived` on any steady clock."""

    def __init__(self, start: int, least: int, most: int) -> None:
        self._least, self._most, self._start = least, most, start
        self.estimate = float(min(max(start, least), most))
        self._transits: deque[tuple[float, float]] = deque(maxlen=256)  # of the last moment
        self._fastest = [float("inf"), float("inf")]  # of this half and the one before
        self._half_since = 0.0
        self._last_transit: float | None = None
        self._octets = 0
        self._octets_since: float | None = None
        self.incoming = 0.0
        self._told_at = float("-inf")
        self._fell_at = float("-inf")

    def add(self, sent: bytes, arrived: float, octets: int) -> int | None:
        """A picture of so many octets came whole; `sent` is its last packet's abs-send-time. What to tell, or None."""
        self._count(octets, arrived)
        transit = self._transit(sent, arrived)
        if arrived - self._half_since > BASE:
            self._fastest = [transit, self._fastest[0]]
            self._half_since = arrived
        elif transit < self._fastest[0]:
            self._fastest[0] = transit
        recent = self._transits
        recent.append((arrived, transit))
        while len(recent) > PICTURES and recent[0][0] < arrived - MOMENT:
            recent.popleft()
        if arrived - self._told_at < TELL and arrived - self._fell_at < WAIT:
            return None
        queue = min(late for _, late in recent) - min(self._fastest)
        if len(recent) >= PICTURES and queue > QUEUE and arrived - self._fell_at >= WAIT and self.incoming:
            self.estimate = max(min(self.estimate, self.incoming) * FALL, self._least)
            self._fell_at = self._told_at = arrived
            return round(self.estimate)
        if arrived - self._told_at < TELL:
            return None
        if queue <= QUEUE / 2 and self.estimate < max(BEYOND * self.incoming, self._start):
            self.estimate = min(self.estimate * GROWTH, self._most)
        self._told_at = arrived
        return round(self.estimate)

    def _count(self, octets: int, arrived: float) -> None:
        if self._octets_since is None:
            self._octets_since = arrived
        self._octets += octets
        elapsed = arrived - self._octets_since
        if elapsed >= 0.5:
            self.incoming = 8 * self._octets / elapsed
            self._octets, self._octets_since = 0, arrived

    def _transit(self, sent: bytes, arrived: float) -> float:
        """s on the way, off by a constant; steady over wraps of the sender's 64 s."""
        transit = arrived - int.from_bytes(sent, "big") / (1 << 18)
        last = self._last_transit
        if last is not None:
            transit = last + (transit - last + SPAN / 2) % SPAN - SPAN / 2
        self._last_transit = transit
        return transit
