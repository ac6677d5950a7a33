"""Zones and lines in the picture: what is in which zone and for how long, and what crosses which line.

Both are given in parts of the picture, so that they fit any size of it. A thing stands at one point, its foot or its
middle. Near an edge nothing changes sides: a box that trembles there neither comes and goes nor is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np

Point: TypeAlias = tuple[float, float]  # x, y

TREMBLE = 0.01  # share of the picture's shorter side around an edge in which everything stays as it was


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon; of one that crosses itself, the inside is what a ray leaves an odd number of times."""

    name: str
    points: tuple[Point, ...]  # three or more, in parts of the picture


@dataclass(frozen=True, slots=True)
class Line:
    """Crossed inwards towards the right-hand side of someone who looks from start to end."""

    name: str
    start: Point  # in parts of the picture
    end: Point


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one thing is."""

    number: int  # its id
    label: str
    at: Point  # px


@dataclass(frozen=True, slots=True)
class Happening:
    what: Literal["entered", "left", "crossed"]
    name: str  # of the zone or line
    number: int
    label: str
    dwell: float = 0.0  # s in the zone that was left
    direction: Literal["in", "out"] = "in"  # across the line


def depth(points: Sequence[Point], at: Point) -> float:
    """How far inside a polygon a point is; negative outside. In the unit of both."""
    corners = np.array(points, np.float32).reshape(-1, 1, 2)
    return float(cv2.pointPolygonTest(corners, (float(at[0]), float(at[1])), True))


def side(start: Point, end: Point, at: Point) -> float:
    """How far to the right of the endless line from start to end a point is, in a picture whose y points down."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = float(np.hypot(x, y))
    return (x * (at[1] - start[1]) - y * (at[0] - start[0])) / length if length else 0.0


def meet(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    """Whether two stretches cross; ends count."""
    return (side(*first, second[0]) * side(*first, second[1]) <= 0
            and side(*second, first[0]) * side(*second, first[1]) <= 0)


class Watch:
    """Call `see` for each picture that was looked at, `gone` for what is followed no longer."""

    def __init__(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        self.zones, self.lines = tuple(zones), tuple(lines)
        self._inside: list[dict[int, tuple[float, float, str]]] = [{} for _ in zones]  # since, last seen, label; by id
        self._clear: list[dict[int, Point]] = [{} for _ in lines]  # where each thing last was, clear of the line; parts
        self._counts: list[dict[str, int]] = [{"in": 0, "out": 0} for _ in lines]

    def see(self, seconds: float, size: tuple[int, int], stands: Iterable[Stand]) -> list[Happening]:
        """What happened at this media time in a picture of (width, height) px."""
        happened: list[Happening] = []
        for stand in stands:
            stand = Stand(stand.number, stand.label, _clear_of_the_edges(stand.at, size))
            happened += self._in_zones(seconds, size, stand)
            happened += self._over_lines(size, stand)
        return happened

    def gone(self, number: int) -> list[Happening]:
        """What was left thereby; until when it was there is the time it was last seen."""
        happened = []
        for zone, inside in zip(self.zones, self._inside, strict=True):
            if number in inside:
                since, last, label = inside.pop(number)
                happened.append(Happening("left", zone.name, number, label, last - since))
        for clear in self._clear:
            clear.pop(number, None)
        return happened

    def dwells(self, number: int, seconds: float) -> dict[str, float]:
        """The zones that a thing is in, each with the seconds since it came."""
        return {zone.name: seconds - inside[number][0]
                for zone, inside in zip(self.zones, self._inside, strict=True) if number in inside}

    def json(self) -> dict[str, Any]:
        """How many are in each zone, and how many crossed each line so far; nothing where there are none."""
        told: dict[str, Any] = {}
        if self.zones:
            told["zones"] = [{"name": zone.name, "inside": len(inside)}
                             for zone, inside in zip(self.zones, self._inside, strict=True)]
        if self.lines:
            told["lines"] = [{"name": line.name, **count}
                             for line, count in zip(self.lines, self._counts, strict=True)]
        return told

    def _in_zones(self, seconds: float, size: tuple[int, int], stand: Stand) -> list[Happening]:
        happened: list[Happening] = []
        tremble = TREMBLE * min(size)
        for zone, inside in zip(self.zones, self._inside, strict=True):
            deep = depth([_px(point, size) for point in zone.points], stand.at)
            there = inside.get(stand.number)
            if there is None and deep > tremble:
                inside[stand.number] = seconds, seconds, stand.label
                happened.append(Happening("entered", zone.name, stand.number, stand.label))
            elif there is not None and deep < -tremble:
                del inside[stand.number]
                happened.append(Happening("left", zone.name, stand.number, stand.label, seconds - there[0]))
            elif there is not None:
                inside[stand.number] = there[0], seconds, stand.label
        return happened

    def _over_lines(self, size: tuple[int, int], stand: Stand) -> list[Happening]:
        happened: list[Happening] = []
        for line, clear, count in zip(self.lines, self._clear, self._counts, strict=True):
            start, end = _px(line.start, size), _px(line.end, size)
            now = side(start, end, stand.at)
            if abs(now) <= TREMBLE * min(size):
                continue
            before = clear.get(stand.number)
            clear[stand.number] = stand.at[0] / size[0], stand.at[1] / size[1]
            if before is None:
                continue
            came = _px(before, size)
            if side(start, end, came) * now < 0 and meet((start, end), (came, stand.at)):
                direction: Literal["in", "out"] = "in" if now > 0 else "out"
                count[direction] += 1
                happened.append(Happening("crossed", line.name, stand.number, stand.label, direction=direction))
        return happened


def _px(point: Point, size: tuple[int, int]) -> Point:
    return point[0] * size[0], point[1] * size[1]


def _clear_of_the_edges(at: Point, size: tuple[int, int]) -> Point:
    """A foot that the picture cuts off stands in a zone that reaches to the picture's edge, and not at that edge."""
    margin = 2 * TREMBLE * min(size)
    return max(margin, min(at[0], size[0] - margin)), max(margin, min(at[1], size[1] - margin))
