"""Hands by 21 points: where to look for them, and what they show.

Points are in MediaPipe's order: the wrist, then four of each finger from its base to its tip, thumb first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import cv2
import numpy as np

from ..frames import Pixels
from .boxes import Floats

Gesture: TypeAlias = Literal["none", "open", "fist", "point", "thumb", "victory"]

WRIST, THUMB_TIP, INDEX_BASE, MIDDLE_BASE, LITTLE_BASE = 0, 4, 5, 9, 17
FINGERS = ((5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))  # index to little finger
BONES = tuple((first, second) for finger in ((0, 1, 2, 3, 4), *((0, *finger) for finger in FINGERS))
              for first, second in pairwise(finger))

# how MediaPipe widens a palm, or the points of the picture before, to the square that the network of points wants
PALM_SCALE, PALM_SHIFT = 2.6, -0.5
HAND_SCALE, HAND_SHIFT = 2.0, -0.1
STEADY_POINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # without the last joints, which move most

STRAIGHT = 0.75  # length from base to tip as a share of the bones' own: a finger that is bent has less
THUMB_OUT = 0.75  # of the palm's width that a thumb's tip is away from the index finger's base, at least
UP = 0.8  # of a thumb's direction that points up in the picture


@dataclass(frozen=True, slots=True)
class Square:
    """A turned square in a picture. `angle` (radians, clockwise) is that of fingers that would point up at 0."""

    x: float  # px, the middle
    y: float
    side: float  # px
    angle: float

    def into(self, size: int) -> Floats:
        """(2, 3): from the picture's px to those of the square, drawn upright with `size` px a side."""
        scale = size / max(self.side, 1e-3)
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        return np.array([[cos, sin, size / 2 - cos * self.x - sin * self.y],
                         [-sin, cos, size / 2 + sin * self.x - cos * self.y]], np.float32)


def of_palm(box: tuple[float, float, float, float], points: Floats) -> Square:
    """Where the hand of a palm is: its box (left, top, right, bottom) and seven points (7, 2)."""
    angle = _turn(points[0], points[2])
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return _widened(middle, box[2] - box[0], box[3] - box[1], angle, PALM_SCALE, PALM_SHIFT)


def of_points(points: Floats) -> Square:
    """Where a hand (21, 2) of this picture will be in the next."""
    towards = (points[6] + points[14]) / 4 + points[10] / 2  # between the fingers' middle joints
    angle = _turn(points[WRIST], towards)
    steady = points[list(STEADY_POINTS)]
    cos, sin = math.cos(angle), math.sin(angle)
    upright = steady @ np.array([[cos, -sin], [sin, cos]], np.float32)
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2
    middle = (float(x * cos - y * sin), float(x * sin + y * cos))
    return _widened(middle, float(high[0] - low[0]), float(high[1] - low[1]), angle, HAND_SCALE, HAND_SHIFT)


def cut(picture: Pixels, square: Square, size: int) -> Pixels:
    """The square of a picture, upright, (size, size, 3); black outside of the picture."""
    return np.asarray(cv2.warpAffine(picture, square.into(size), (size, size), flags=cv2.INTER_LINEAR), np.uint8)


def back(points: Floats, square: Square, size: int) -> Floats:
    """Points (n, 2) of the upright square in the picture's px."""
    inverse = cv2.invertAffineTransform(square.into(size))
    return np.asarray(points @ inverse[:, :2].T + inverse[:, 2], np.float32)


def same(first: Square, second: Square) -> bool:
    """True for two that are about one hand."""
    return math.hypot(first.x - second.x, first.y - second.y) < 0.35 * max(first.side, second.side)


def gesture(points: Floats) -> Gesture:
    """What a hand (21, 2) shows, by which of its fingers are straight."""
    fingers = tuple(_straight(points, finger) for finger in FINGERS)
    thumb = _thumb(points)
    shown: dict[tuple[bool, ...], Gesture] = {
        (True, True, True, True): "open", (True, False, False, False): "point", (True, True, False, False): "victory"}
    if any(fingers):
        return shown.get(fingers, "none")
    if not thumb:
        return "fist"
    direction = points[THUMB_TIP] - points[2]
    length = float(np.hypot(*direction))
    return "thumb" if length > 0 and -direction[1] / length > UP else "none"


def _straight(points: Floats, finger: tuple[int, ...]) -> bool:
    joints = points[list(finger)]
    bones = float(np.hypot(*np.diff(joints, axis=0).T).sum())
    reach = float(np.hypot(*(joints[-1] - joints[0])))
    # a bent finger's tip also comes back towards the wrist
    away = np.hypot(*(joints[-1] - points[WRIST])) > np.hypot(*(joints[1] - points[WRIST]))
    return bones > 0 and reach / bones > STRAIGHT and bool(away)


def _thumb(points: Floats) -> bool:
    width = float(np.hypot(*(points[INDEX_BASE] - points[LITTLE_BASE])))
    return float(np.hypot(*(points[THUMB_TIP] - points[INDEX_BASE]))) > THUMB_OUT * max(width, 1e-3)


def _turn(start: Floats, end: Floats) -> float:
    """Radians clockwise from up to the direction of two points."""
    return math.atan2(float(end[0] - start[0]), -float(end[1] - start[1]))


def _widened(middle: tuple[float, float], width: float, height: float, angle: float, scale: float, shift: float
             ) -> Square:
    """A square of the longer side, moved by a share of the height along the hand."""
    move = shift * height
    return Square(middle[0] - math.sin(angle) * move, middle[1] + math.cos(angle) * move,
                  max(width, height) * scale, angle)
