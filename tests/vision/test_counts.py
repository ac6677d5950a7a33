"""How many came into zones and went over lines."""

from __future__ import annotations

from typing import Any

from aimass_stream.events import LineCrossed, SpeechStarted, ZoneEntered, ZoneLeft
from aimass_stream.vision.counts import COUNTED, Counts


def entered(number: int, zone: str = "door", label: str = "person") -> ZoneEntered:
    return ZoneEntered(zone=zone, id=number, label=label, model="eyes")


def note(*zones: Any) -> dict[str, Any]:
    return {"model": "eyes", "zones": list(zones)}


def test_who_came_who_left_and_for_how_long() -> None:
    counts = Counts()
    counts.look(note({"name": "door", "inside": 0}), "video-0")
    for number in (1, 2, 3):
        counts.add(entered(number, label="dog" if number == 3 else "person"), "video-0")
        counts.look(note({"name": "door", "inside": number}), "video-0")
    for number, dwell in ((1, 2.0), (2, 5.0)):
        counts.add(ZoneLeft(zone="door", id=number, label="person", model="eyes", dwell=dwell), "video-0")
    counts.look(note({"name": "door", "inside": 1}), "video-0")
    for direction in ("in", "in", "out"):
        counts.add(LineCrossed(line="gate", id=1, label="person", model="eyes", direction=direction), "video-0")
    counts.add(SpeechStarted(at=1), "audio-0")
    assert counts.json() == {
        "zones": [{"track": "video-0", "model": "eyes", "zone": "door", "inside": 1, "most": 3, "entered": 3,
                   "left": 2, "dwell": 3.5, "longest": 5.0, "labels": {"person": 2, "dog": 1}}],
        "lines": [{"track": "video-0", "model": "eyes", "line": "gate", "in": 2, "out": 1, "labels": {"person": 3}}]}


def test_tracks_and_detectors_are_counted_each_on_its_own() -> None:
    counts = Counts()
    counts.add(entered(1), "video-0")
    counts.add(entered(1), "video-1")
    counts.add(ZoneEntered(zone="door", id=1, label="person", model="other"), "video-0")
    assert [(zone["track"], zone["model"], zone["entered"], zone["dwell"]) for zone in counts.json()["zones"]] == [
        ("video-0", "eyes", 1, None), ("video-1", "eyes", 1, None), ("video-0", "other", 1, None)]


def test_notes_of_other_peoples_stages_do_no_harm_and_it_is_bounded() -> None:
    counts = Counts()
    for odd in (None, 3, {"name": "x"}, {"name": "x", "inside": "many"}):
        counts.look(note(odd), "video-0")
    counts.look({"zones": "all"}, "video-0")
    assert counts.json() == {"zones": [], "lines": []}
    for number in range(2 * COUNTED):
        counts.add(entered(number, label=f"thing {number}"), "video-0")
        counts.add(entered(number, zone=f"zone {number}"), "video-0")
        counts.add(LineCrossed(line=f"line {number}", id=1, label="x", model="eyes", direction="in"), "video-0")
    told = counts.json()
    assert len(told["zones"]) == len(told["lines"]) == len(told["zones"][0]["labels"]) == COUNTED
    assert told["zones"][0]["entered"] == 2 * COUNTED
