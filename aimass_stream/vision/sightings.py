"""What was followed in a session's pictures, in a bounded record, and as a table: comma-separated values (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable
from typing import Any

from ..events import EventData, FrameResult, LineCrossed, ZoneEntered, ZoneLeft
from .attendance import Attendance
from .counts import Counts
from .heat import Heat

MOST = 20_000  # rows, of about 150 bytes: an hour of one thing; older ones are dropped and counted
EVERY = 0.2  # s from one place of a thing to the next in the record
COLUMNS = ("pts", "track", "model", "what", "id", "label", "score", "x", "y", "width", "height", "name", "direction",
           "dwell")
NOWHERE = ("", "", "", "", "")  # an event has no score and no box
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of one
PRUNED = 1000  # things whose last place is remembered; they are not all there any more


class Sightings:
    """Fed with every event of a session: where things were seen (`FrameResult`), and what they did in zones."""

    def __init__(self, most: int = MOST) -> None:
        self.dropped = 0  # rows
        self.heat = Heat()
        self.counts = Counts()
        self.attendance = Attendance()
        self._rows: deque[str] = deque(maxlen=most)
        self._last: dict[tuple[str, str, int], float] = {}  # track, model, id: when a place was last recorded, s

    def __len__(self) -> int:
        return len(self._rows) + len(self.attendance)

    def add(self, data: EventData, track: str | None, pts: float | None) -> None:
        """Other events are none of its business."""
        self.attendance.add(data, track, pts)
        if pts is None or track is None:
            return
        if isinstance(data, FrameResult):
            for note in data.notes.values():
                if isinstance(note, dict) and isinstance(note.get("detections"), list):
                    self._places(note, track, pts)
                    self.counts.look(note, track)
            return
        self.counts.add(data, track)
        if isinstance(data, ZoneEntered):
            self._write(pts, track, data.model, data.type, data.id, data.label, *NOWHERE, data.zone, "", "")
        elif isinstance(data, ZoneLeft):
            self._write(pts, track, data.model, data.type, data.id, data.label, *NOWHERE, data.zone, "", data.dwell)
        elif isinstance(data, LineCrossed):
            self._write(pts, track, data.model, data.type, data.id, data.label, *NOWHERE, data.line, data.direction, "")

    def _places(self, note: dict[str, Any], track: str, pts: float) -> None:
        """Of what was seen in this very picture, not of what is only supposed to be somewhere."""
        model, size = str(note.get("model", "")), (note.get("width"), note.get("height"))
        for thing in note["detections"]:
            number, box = (thing.get("id"), thing.get("box")) if isinstance(thing, dict) else (None, None)
            if not isinstance(number, int) or not isinstance(box, list) or len(box) != 4 or "predicted" in thing:
                continue
            key = track, model, number
            if pts - self._last.get(key, float("-inf")) >= EVERY - 0.001:
                self._last[key] = pts
                self._write(pts, track, model, "seen", number, thing.get("label", ""), thing.get("score", ""), *box,
                            "", "", "")
                self._warm(track, str(thing.get("label", "")), [*box, *size], note.get("foot") == "centre")
        if len(self._last) > PRUNED:
            self._last = {key: at for key, at in self._last.items() if at > pts - EVERY}

    def _warm(self, track: str, label: str, numbers: list[Any], middle: bool) -> None:
        """Where it stands, for the map: box and the picture's size, px."""
        if all(isinstance(number, int | float) for number in numbers):
            x, y, wide, high, width, height = numbers
            self.heat.add(track, label, (x + wide / 2, y + high / (2 if middle else 1)), (width, height), EVERY)

    def _write(self, pts: float, *values: object) -> None:
        self.dropped += len(self._rows) == self._rows.maxlen
        self._rows.append(_row([round(pts, 3), *values]))

    def copy(self) -> Sightings:
        """As it is now, for another thread to read."""
        copied = Sightings()
        copied.dropped, copied._rows, copied.heat = self.dropped, self._rows.copy(), self.heat.copy()
        return copied

    def csv(self) -> str:
        """`COLUMNS`, then a row for each place and event in their order: s of media time, px of the picture."""
        return _row(COLUMNS) + "".join(self._rows)


def _row(values: Iterable[object]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
                                  for value in values])
    return written.getvalue()
