"""Who came in, and when: a bounded record of a session, as a table (RFC 4180) and as JSON."""

from __future__ import annotations

import csv
import io
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..events import EventData, PersonArrived, PersonLeft

MOST = 5000  # visits; older ones are dropped and counted
COLUMNS = ("name", "person", "track", "arrived", "left", "stayed", "arrived_pts", "left_pts")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of one


@dataclass(frozen=True, slots=True)
class Visit:
    person: str  # id; empty for somebody who was deleted
    name: str
    track: str
    since: float  # s of media time
    when: float  # s since the epoch: the same moment by the server's clock
    until: float | None = None  # s of media time; None: still there

    def json(self) -> dict[str, Any]:
        stayed = None if self.until is None else round(self.until - self.since, 2)
        return {"name": self.name, "person": self.person, "track": self.track, "arrived": _clock(self.when),
                "left": None if stayed is None else _clock(self.when + stayed), "stayed": stayed,
                "arrived_pts": round(self.since, 3), "left_pts": None if self.until is None else round(self.until, 3)}


class Attendance:
    """Fed with every event of a session."""

    def __init__(self, most: int = MOST, *, clock: Callable[[], float] = time.time) -> None:
        self.dropped = 0
        self._visits: deque[Visit] = deque(maxlen=most)
        self._clock = clock

    def __len__(self) -> int:
        return len(self._visits)

    def add(self, data: EventData, track: str | None, pts: float | None) -> None:
        """Other events are none of its business. `pts` (s) is that of the picture it was noticed in: now."""
        if isinstance(data, PersonArrived):
            self.dropped += len(self._visits) == self._visits.maxlen
            self._visits.append(Visit(data.person, data.name, track or "", data.at,
                                      self._clock() - max(0.0, (data.at if pts is None else pts) - data.at)))
        elif isinstance(data, PersonLeft):
            for place in range(len(self._visits) - 1, -1, -1):
                visit = self._visits[place]
                if (visit.person, visit.track, visit.until) == (data.person, track or "", None):
                    self._visits[place] = replace(visit, until=data.at)
                    return

    def forget(self, person: str) -> None:
        """That somebody was there stays; who it was does not. For the record, who was there left now."""
        for place, visit in enumerate(self._visits):
            if visit.person == person:
                until = visit.since + max(0.0, self._clock() - visit.when) if visit.until is None else visit.until
                self._visits[place] = replace(visit, person="", name="", until=until)

    def json(self) -> list[dict[str, Any]]:
        return [visit.json() for visit in self._visits]

    def csv(self) -> str:
        """`COLUMNS`, then a row a visit in the order of arrival; no `left` for who is still there."""
        written = io.StringIO()
        table = csv.writer(written)
        table.writerow(COLUMNS)
        for visit in self.json():
            table.writerow([_cell(visit[column]) for column in COLUMNS])
        return written.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return "" if value is None else value


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
