"""Zones and lines: who is inside, who crosses, and a box that trembles at an edge."""

from __future__ import annotations

import pytest

from aimass_stream.vision.zones import Happening, Line, Point, Stand, Watch, Zone, depth, meet, side

SIZE = (400, 200)
DOOR = Zone("door", ((0.5, 0.25), (1.0, 0.25), (1.0, 1.0), (0.5, 1.0)))  # from (200, 50) px on
GATE = Line("gate", (0.5, 0.25), (0.5, 0.75))  # downwards at x = 200 px, from y = 50 to 150


def walk(watch: Watch, *points: Point, number: int = 1, start: float = 0.0) -> list[Happening]:
    """One thing goes from point to point (px), a second each."""
    happened = []
    for passed, point in enumerate(points):
        happened += watch.see(start + passed, SIZE, [Stand(number, "person", point)])
    return happened


def test_depth_and_side() -> None:
    square = ((0, 0), (10, 0), (10, 10), (0, 10))
    assert depth(square, (5, 2)) == pytest.approx(2)
    assert depth(square, (5, -3)) == pytest.approx(-3)
    arrow = ((0, 0), (10, 0), (10, 10), (9, 1), (0, 1))
    assert depth(arrow, (5, 5)) < 0
    assert side((0, 0), (10, 0), (3, 4)) == pytest.approx(4)  # looking right, what lies below is at the right hand
    assert side((10, 0), (0, 0), (3, 4)) == pytest.approx(-4)
    assert side((5, 5), (5, 5), (9, 9)) == 0


@pytest.mark.parametrize(("second", "crosses"), [
    (((5, -5), (5, 5)), True), (((5, 0), (5, 5)), True), (((15, -5), (15, 5)), False), (((5, 1), (5, 5)), False),
])
def test_stretches_meet(second: tuple[Point, Point], crosses: bool) -> None:
    assert meet(((0, 0), (10, 0)), second) == crosses
    assert meet(second, ((0, 0), (10, 0))) == crosses


def test_someone_comes_stays_and_leaves() -> None:
    watch = Watch([DOOR], [])
    assert walk(watch, (100, 100), (300, 100)) == [Happening("entered", "door", 1, "person")]
    assert watch.json() == {"zones": [{"name": "door", "inside": 1}]}
    assert watch.dwells(1, 3.5) == {"door": 2.5}
    assert watch.dwells(2, 3.5) == {}
    assert walk(watch, (310, 100), (310, 20), start=4) == [Happening("left", "door", 1, "person", 4)]
    assert watch.json() == {"zones": [{"name": "door", "inside": 0}]}


def test_someone_who_is_there_at_first_sight_has_entered() -> None:
    assert walk(Watch([DOOR], []), (300, 100)) == [Happening("entered", "door", 1, "person")]


def test_someone_who_is_lost_left_when_last_seen() -> None:
    watch = Watch([DOOR], [GATE])
    walk(watch, (300, 100), (300, 100), (300, 100))
    walk(watch, (100, 100), number=2, start=9)
    assert watch.gone(1) == [Happening("left", "door", 1, "person", 2)]
    assert watch.gone(1) == watch.gone(2) == watch.gone(3) == []


def test_whoever_trembles_at_an_edge_enters_once_and_crosses_once() -> None:
    watch = Watch([DOOR], [GATE])
    points = [(190 + number * 0.1 + (1.5 if number % 2 else -1.5), 100.0) for number in range(200)]
    assert walk(watch, *points) == [Happening("entered", "door", 1, "person"),
                                    Happening("crossed", "gate", 1, "person", direction="out")]
    back = walk(watch, *reversed(points), start=200)
    assert [each.what for each in back] == ["left", "crossed"]
    assert watch.json()["lines"] == [{"name": "gate", "in": 1, "out": 1}]


def test_a_line_is_crossed_only_where_it_is() -> None:
    watch = Watch([], [GATE])
    assert walk(watch, (100, 20), (300, 20)) == []  # past its end
    assert walk(watch, (300, 100), (100, 100)) == [Happening("crossed", "gate", 1, "person", direction="in")]
    assert walk(watch, (300, 100), number=2) == []  # somebody else, who comes into sight on the other side
    assert watch.json() == {"lines": [{"name": "gate", "in": 1, "out": 0}]}


def test_many_at_once_and_another_size_of_the_picture() -> None:
    watch = Watch([DOOR, Zone("all", ((0, 0), (1, 0), (1, 1), (0, 1)))], [GATE])
    watch.see(0, SIZE, [Stand(1, "person", (100, 100)), Stand(2, "dog", (300, 100))])
    happened = watch.see(1, (800, 400), [Stand(1, "person", (600, 200)), Stand(2, "dog", (200, 200))])
    assert [(each.what, each.name, each.number, each.label) for each in happened] == [
        ("entered", "door", 1, "person"), ("crossed", "gate", 1, "person"),
        ("left", "door", 2, "dog"), ("crossed", "gate", 2, "dog")]
    assert watch.json()["zones"] == [{"name": "door", "inside": 1}, {"name": "all", "inside": 2}]


@pytest.mark.parametrize("foot", [(300, 200), (400, 100), (410, 230)])
def test_a_zone_that_reaches_to_the_edge_holds_whoever_is_cut_off_by_it(foot: Point) -> None:
    assert walk(Watch([DOOR], []), foot) == [Happening("entered", "door", 1, "person")]
