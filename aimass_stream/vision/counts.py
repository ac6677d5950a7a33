"""How many came into zones and went over lines, since a session began."""

from __future__ import annotations

from typing import Any

from ..events import EventData, LineCrossed, ZoneEntered, ZoneLeft

COUNTED = 200  # zones, lines, and labels of each; a client may name as many as it likes


class Counts:
    """Of each track, detector, and zone or line of it. Fed with results and with every event."""

    def __init__(self) -> None:
        self._zones: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._lines: dict[tuple[str, str, str], dict[str, Any]] = {}

    def look(self, note: dict[str, Any], track: str) -> None:
        """A result, which says how many are inside now."""
        zones = note.get("zones")
        for told in zones if isinstance(zones, list) else ():
            if isinstance(told, dict) and isinstance(told.get("inside"), int):
                zone = self._zone(track, str(note.get("model", "")), str(told.get("name", "")))
                if zone is not None:
                    zone["inside"], zone["most"] = told["inside"], max(zone["most"], told["inside"])

    def add(self, data: EventData, track: str) -> None:
        """Other events are none of its business."""
        if isinstance(data, ZoneEntered):
            zone = self._zone(track, data.model, data.zone)
            if zone is not None:
                zone["entered"] += 1
                _count(zone["labels"], data.label)
        elif isinstance(data, ZoneLeft):
            zone = self._zone(track, data.model, data.zone)
            if zone is not None:
                zone["left"] += 1
                zone["dwell"] += data.dwell
                zone["longest"] = max(zone["longest"], data.dwell)
        elif isinstance(data, LineCrossed):
            line = _kept(self._lines, (track, data.model, data.line), {"line": data.line, "in": 0, "out": 0})
            if line is not None:
                line[data.direction] += 1
                _count(line["labels"], data.label)

    def _zone(self, track: str, model: str, name: str) -> dict[str, Any] | None:
        return _kept(self._zones, (track, model, name), {"zone": name, "inside": 0, "most": 0, "entered": 0, "left": 0,
                                                         "dwell": 0.0, "longest": 0.0})

    def json(self) -> dict[str, Any]:
        """``dwell`` is the mean of those that left, s."""
        zones = [told | {"dwell": round(told["dwell"] / told["left"], 2) if told["left"] else None,
                         "longest": round(told["longest"], 2)} for told in self._zones.values()]
        return {"zones": zones, "lines": list(self._lines.values())}


def _kept(table: dict[tuple[str, str, str], dict[str, Any]], key: tuple[str, str, str],
          fresh: dict[str, Any]) -> dict[str, Any] | None:
    """The row of that key, made where there is room for one."""
    if key not in table and len(table) < COUNTED:
        table[key] = {"track": key[0], "model": key[1], **fresh, "labels": {}}
    return table.get(key)


def _count(labels: dict[str, int], label: str) -> None:
    if label in labels or len(labels) < COUNTED:
        labels[label] = labels.get(label, 0) + 1
