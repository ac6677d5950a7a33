"""The record of what was followed, and its table."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from aimass_stream.events import FrameResult, LineCrossed, SpeechStarted, ZoneEntered, ZoneLeft
from aimass_stream.vision.sightings import COLUMNS, EVERY, Sightings


def result(*things: dict[str, Any]) -> FrameResult:
    return FrameResult(notes={"detect": {"model": "eyes", "detections": list(things)}, "other": 7})


def thing(number: int, x: float = 1.5, **more: Any) -> dict[str, Any]:
    return {"label": "person", "score": 0.875, "box": [x, 2, 30, 40], "id": number, **more}


def rows(record: Sightings) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(record.csv())))


def test_places_and_events_in_their_order() -> None:
    record = Sightings()
    record.add(result(thing(1)), "video-0", 1.0)
    record.add(ZoneEntered(zone="door, left", id=1, label="person", model="eyes"), "video-0", 1.0)
    record.add(ZoneLeft(zone="door, left", id=1, label="person", model="eyes", dwell=2.34), "video-0", 3.34)
    record.add(LineCrossed(line="gate", id=1, label="person", model="eyes", direction="out"), "video-0", 4.0)
    assert record.csv().splitlines()[0] == ",".join(COLUMNS)
    first, *events = rows(record)
    assert first == {"pts": "1.0", "track": "video-0", "model": "eyes", "what": "seen", "id": "1", "label": "person",
                     "score": "0.875", "x": "1.5", "y": "2", "width": "30", "height": "40", "name": "",
                     "direction": "", "dwell": ""}
    assert [(row["pts"], row["what"], row["name"], row["direction"], row["dwell"], row["x"]) for row in events] == [
        ("1.0", "zone.entered", "door, left", "", "", ""), ("3.34", "zone.left", "door, left", "", "2.34", ""),
        ("4.0", "line.crossed", "gate", "out", "", "")]


def test_a_place_every_so_often_for_each_thing() -> None:
    record = Sightings()
    for number in range(31):
        record.add(result(thing(1, x=number), thing(2)), "video-0", number / 30)
    assert [row["x"] for row in rows(record) if row["id"] == "1"] == ["0", "6", "12", "18", "24", "30"]
    assert len(record) == 12


def test_what_was_not_seen_or_has_no_id_is_left_out() -> None:
    record = Sightings()
    record.add(result(thing(1, predicted=True), {"label": "person", "score": 1, "box": [1, 2, 3, 4]}), "video-0", 0)
    record.add(SpeechStarted(at=1), "audio-0", 1)
    record.add(result(thing(1)), "video-0", None)
    assert len(record) == 0
    assert record.csv() == ",".join(COLUMNS) + "\r\n"


def test_notes_of_other_peoples_stages_do_no_harm() -> None:
    record = Sightings()
    for odd in ([1, None, "x"], [{"id": "1", "box": [1, 2, 3, 4]}], [{"id": 1, "box": [1]}], [{"id": 1}], "none", 3):
        record.add(FrameResult(notes={"detect": {"detections": odd}, "glow": odd}), "video-0", 0)
    assert len(record) == 0
    record.add(FrameResult(notes={"glow": {"detections": [{"id": 1, "box": [1, 2, 3, 4]}]}}), "video-0", 0)
    assert rows(record)[0]["width"] == "3"


def test_where_it_stands_gets_warm_by_its_foot_or_its_middle() -> None:
    for foot, row in (("bottom", 42 / 72), ("centre", 22 / 72)):
        record = Sightings()
        told = {"model": "eyes", "width": 128, "height": 72, "foot": foot, "detections": [thing(1)]}
        for number in range(30):
            record.add(FrameResult(notes={"detect": told}), "video-0", number / 30)
        cells = record.copy().heat.cells("video-0", "person")
        assert cells[int(row * 72), 16] == cells.sum() == pytest.approx(1)


def test_no_cell_is_a_formula() -> None:
    record = Sightings()
    record.add(ZoneEntered(zone="=1+1", id=1, label="@x", model="eyes"), "video-0", 0)
    record.add(result(thing(1, x=-1.5)), "video-0", 0)
    event, seen = rows(record)
    assert (event["name"], event["label"]) == ("'=1+1", "'@x")
    assert seen["x"] == "-1.5"


def test_it_is_bounded() -> None:
    record = Sightings(most=10)
    for number in range(25):
        record.add(result(thing(1, x=number)), "video-0", number * EVERY)
    assert (len(record), record.dropped) == (10, 15)
    assert rows(record)[0]["x"] == "15"
    copied = record.copy()
    record.add(result(thing(2)), "video-0", 100)
    assert (len(copied), copied.dropped, record.dropped) == (10, 15, 16)
    many = Sightings()
    for number in range(5000):
        many.add(result(thing(number)), "video-0", number)
    assert len(many) == 5000
    assert len(many._last) <= 1001
