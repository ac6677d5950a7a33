"""Things that are followed: ids, places between looks, and what happens in zones."""

from __future__ import annotations

from typing import Any

import pytest

from aimass_stream.seeing.detector import Thing
from aimass_stream.seeing.following import COAST, Follower, Ground
from aimass_stream.vision.zones import Happening, Line, Zone

SIZE = (640, 480)
PERIOD = 1 / 30  # s
HALL = Ground((Zone("hall", ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))),),
              (Line("gate", (0.5, 0.0), (0.5, 1.0)),))


def person(x: float, score: float = 0.9, **more: Any) -> Thing:
    """60x100 px, its middle at (x, 200)."""
    return Thing("person", score, (x - 30, 150, x + 30, 250), **more)


def middle(thing: Thing) -> float:
    return (thing.box[0] + thing.box[2]) / 2


def test_a_box_sticks_between_looks() -> None:
    follower, worst = Follower(Ground()), 0.0
    for number in range(90):
        if number % 3 == 0:
            follower.looked(number * PERIOD, SIZE, [person(100 + 5 * number)], 0.5)
        else:
            follower.passed(number * PERIOD, SIZE)
        [thing] = follower.things
        assert (thing.id, thing.predicted) == (1, number % 3 > 0)
        if number > 15:
            worst = max(worst, abs(middle(thing) - (100 + 5 * number)))
    assert worst < 3  # without being followed, it would be 10 px off


def test_points_move_along_and_nothing_leaves_the_picture() -> None:
    follower = Follower(Ground())
    for number in range(20):
        x = 500.0 + 5 * number
        follower.looked(number * PERIOD, SIZE, [person(x, points=((x - 10, 200), (x + 10, 220)), text="hello")], 0.5)
    for number in range(20, 26):
        follower.passed(number * PERIOD, SIZE)
    [thing] = follower.things
    assert thing.points[0] == pytest.approx((500 + 5 * 25 - 10, 200), abs=2)
    assert thing.points[1] == pytest.approx((500 + 5 * 25 + 10, 220), abs=2)
    assert thing.box[2] == 640
    assert thing.json()["predicted"] is True
    assert (thing.json()["id"], thing.json()["text"]) == (1, "hello")


def test_one_that_a_look_misses_stays_for_a_moment() -> None:
    follower = Follower(Ground())
    for number in range(10):
        follower.looked(number * PERIOD, SIZE, [person(200)], 0.5)
    shown = []
    for number in range(10, 40):
        follower.looked(number * PERIOD, SIZE, [], 0.5)
        shown.append(len(follower.things))
    assert sum(shown) == pytest.approx(COAST / PERIOD, abs=1)
    assert shown == sorted(shown, reverse=True)


def test_nobody_says_for_long_where_things_are_when_nobody_looks() -> None:
    follower = Follower(Ground())
    for number in range(0, 30, 3):
        follower.looked(number * PERIOD, SIZE, [person(200)], 0.5)
    follower.passed(1.1, SIZE)
    assert len(follower.things) == 1
    follower.passed(4, SIZE)
    assert follower.things == []


def test_a_new_one_is_told_at_once_and_gets_its_id_when_it_is_seen_again() -> None:
    follower = Follower(Ground())
    follower.looked(0, SIZE, [], 0.5)
    follower.looked(1 * PERIOD, SIZE, [person(200)], 0.5)
    assert [thing.id for thing in follower.things] == [0]
    assert "id" not in follower.things[0].json()
    follower.passed(2 * PERIOD, SIZE)
    assert [thing.id for thing in follower.things] == [0]
    follower.looked(3 * PERIOD, SIZE, [person(200), person(400)], 0.5)
    assert [(thing.id, middle(thing)) for thing in follower.things] == [(1, pytest.approx(200)), (0, 400)]


def test_doubtful_ones_are_only_told_where_they_are_followed() -> None:
    follower = Follower(Ground())
    follower.looked(0, SIZE, [person(200), person(400, 0.2)], 0.5)
    follower.looked(PERIOD, SIZE, [person(200, 0.2), person(400, 0.2)], 0.5)
    [thing] = follower.things
    assert (thing.id, thing.score) == (1, 0.2)


def test_another_size_or_detector_begins_anew_with_new_ids() -> None:
    follower = Follower(Ground())
    follower.looked(0, SIZE, [person(200)], 0.5)
    follower.looked(PERIOD, (320, 240), [person(200)], 0.5)
    assert follower.things[0].id == 2
    follower.passed(2 * PERIOD, SIZE)
    assert follower.things == []
    follower.looked(3 * PERIOD, SIZE, [person(200)], 0.5)
    follower.reset()
    follower.looked(4 * PERIOD, SIZE, [person(200)], 0.5)
    assert follower.things[0].id == 4


def test_what_happens_in_zones_is_told_of_what_was_seen() -> None:
    follower = Follower(HALL)
    told: list[Happening] = []
    for number in range(60):
        if number % 2 == 0:
            follower.looked(number * PERIOD, SIZE, [person(200 + 4 * number)], 0.5)
        else:
            follower.passed(number * PERIOD, SIZE)
            assert follower.happened == []
        told += follower.happened
    assert told == [Happening("entered", "hall", 1, "person"),
                    Happening("crossed", "gate", 1, "person", direction="out")]
    assert list(follower.watch.dwells(1, 2)) == ["hall"]
    for number in range(60, 120):
        follower.looked(number * PERIOD, SIZE, [], 0.5)
        told += follower.happened
    assert [(each.what, each.name) for each in told[2:]] == [("left", "hall")]
    assert told[2].dwell == pytest.approx((58 - 32) * PERIOD, abs=3 * PERIOD)


def test_where_it_stands_is_its_foot_or_its_middle() -> None:
    floor = (Zone("floor", ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))),)  # from y = 240 on
    for foot, expected in (("bottom", ["entered"]), ("centre", [])):
        follower = Follower(Ground(floor, (), foot))  # type: ignore[arg-type]
        follower.looked(0, SIZE, [person(200)], 0.5)
        assert [each.what for each in follower.happened] == expected


def test_other_zones_find_out_anew() -> None:
    follower = Follower(Ground())
    follower.looked(0, SIZE, [person(400)], 0.5)
    follower.stand_on(HALL)
    follower.looked(PERIOD, SIZE, [person(400)], 0.5)
    assert [each.what for each in follower.happened] == ["entered"]
    follower.stand_on(HALL)
    follower.looked(2 * PERIOD, SIZE, [person(400)], 0.5)
    assert follower.happened == []
    assert follower.things[0].id == 1
