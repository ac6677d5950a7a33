"""The record of who came in and when."""

from __future__ import annotations

import csv
import io

from aimass_stream.events import FrameResult, PersonArrived, PersonLeft, SpeechStarted
from aimass_stream.vision.attendance import COLUMNS, Attendance
from aimass_stream.vision.sightings import Sightings


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def came(person: str, at: float, name: str = "") -> PersonArrived:
    return PersonArrived(person=person, name=name or person.upper(), at=at)


def left(person: str, at: float, stayed: float) -> PersonLeft:
    return PersonLeft(person=person, name=person.upper(), at=at, stayed=stayed)


def test_visits_in_the_order_of_arrival_with_both_clocks() -> None:
    record = Attendance(clock=Clock())
    record.add(came("a", 1.5), "video-0", 2.0)  # noticed half a second later
    record.add(came("b", 3), "video-0", 3)
    record.add(left("a", 61.5, 60), "video-0", 64.5)
    record.add(came("a", 100), "video-0", 100)
    first, second, third = record.json()
    assert first == {"name": "A", "person": "a", "track": "video-0", "arrived": "2026-09-21T14:13:19+00:00",
                     "left": "2026-09-21T14:14:19+00:00", "stayed": 60.0, "arrived_pts": 1.5, "left_pts": 61.5}
    assert (second["name"], second["left"], second["stayed"]) == ("B", None, None)
    assert (third["name"], third["left_pts"]) == ("A", None)


def test_the_table() -> None:
    record = Attendance(clock=Clock())
    record.add(came("a", 1, "=cmd(), \"Ada\""), "video-0", 1)
    [row] = csv.DictReader(io.StringIO(record.csv()))
    assert tuple(row) == COLUMNS
    assert (row["name"], row["left"], row["arrived_pts"]) == ("'=cmd(), \"Ada\"", "", "1.0")


def test_who_is_deleted_has_no_name_in_it() -> None:
    clock = Clock()
    record = Attendance(clock=clock)
    for person in "aba":
        record.add(came(person, 1), "video-0", 1)
        record.add(left(person, 2, 1), "video-0", 2)
    record.add(came("a", 3), "video-0", 3)
    clock.now += 10
    record.forget("a")
    assert [visit["name"] for visit in record.json()] == ["", "B", "", ""]
    assert [visit["left_pts"] for visit in record.json()] == [2, 2, 2, 13]
    record.add(left("a", 4, 1), "video-0", 4)  # told by the stage afterwards
    assert "A" not in [visit["name"] for visit in record.json()]


def test_it_is_bounded_and_other_events_are_none_of_its_business() -> None:
    record = Attendance(most=3)
    for number in range(5):
        record.add(came(f"p{number}", number), "video-0", number)
    record.add(SpeechStarted(at=1), "audio-0", 1)
    record.add(left("nobody", 1, 1), "video-0", 1)
    assert (len(record), record.dropped, record.json()[0]["person"]) == (3, 2, "p2")


def test_it_is_part_of_what_was_seen_and_keeps_names_out_of_the_table_of_tracks() -> None:
    record = Sightings()
    record.add(FrameResult(notes={"faces": {"model": "m", "width": 9, "height": 9, "detections": [
        {"label": "face", "name": "Ada", "id": 1, "score": 1, "box": [1, 2, 3, 4]}]}}), "video-0", 1.0)
    record.add(came("a", 1, "Ada"), "video-0", None)
    assert (len(record), len(record.attendance)) == (2, 1)
    assert "face" in record.csv()
    assert "Ada" not in record.csv()
