"""How fast a viewer can be sent to: the least of what it says itself (REMB) and what its losses allow."""

from __future__ import annotations

from .outbound import Report

CALM = 0.02  # share of packets lost up to which the rate grows
LOSSY = 0.10  # and from which it falls; between the two it stays
GROWTH = 1.08  # a report, about one second


class Rate:
    """One viewer's. All rates in bit/s."""

    def __init__(self, start: int, least: int, most: int) -> None:
        self._least, self._most = least, most
        self._by_loss = float(min(max(start, least), most))
        self._estimate: int | None = None
        self._lossy = False  # the rate last fell, because packets were lost

    def report(self, report: Report) -> None:
        """A receiver report came."""
        loss = report.fraction_lost
        if loss < CALM:
            self._by_loss = min(self._by_loss * GROWTH + 1000, self._most)
            self._lossy = False
        elif loss > LOSSY:
            self._by_loss = max(self._by_loss * (1 - loss / 2), self._least)
            self._lossy = True

    def estimate(self, bits: int) -> None:
        """The viewer estimated its maximum (REMB)."""
        self._estimate = bits

    @property
    def target(self) -> int:
        return round(max(self._least, min(self._by_loss, self._estimate or self._most, self._most)))

    @property
    def reason(self) -> str:
        """What decides it."""
        if self._estimate is not None and self._estimate < self._by_loss:
            return "the receiver's estimate"
        if self._by_loss >= self._most:
            return "the highest allowed"
        return "packet loss" if self._lossy else "growing as long as nothing is lost"
