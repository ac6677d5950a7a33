from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest

from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.hands import (
    BONES,
    WRIST,
    Square,
    back,
    cut,
    gesture,
    of_palm,
    of_points,
    same,
)


def skeleton(fingers: str, thumb: str) -> Floats:
    """(21, 2): a hand that points up; straight fingers are "1", the thumb is "in", "up" or "side"."""
    made = np.zeros((21, 2), np.float32)
    made[WRIST] = (0, 100)
    for number, (straight, x) in enumerate(zip(fingers, (-30, -10, 10, 30), strict=True)):
        ys = (0, -30, -55, -80) if straight == "1" else (0, -30, -5, 15)
        made[5 + 4 * number : 9 + 4 * number] = [(x, y) for y in ys]
    made[1:5] = {"in": [(-25, 80), (-35, 55), (-20, 35), (0, 30)], "up": [(-30, 80), (-42, 50), (-45, 0), (-46, -60)],
                 "side": [(-30, 80), (-60, 60), (-85, 55), (-110, 50)]}[thumb]
    return made


@pytest.mark.parametrize(("fingers", "thumb", "shown"), [
    ("1111", "side", "open"), ("1111", "in", "open"), ("1000", "in", "point"), ("1100", "in", "victory"),
    ("0000", "in", "fist"), ("0000", "up", "thumb"), ("0000", "side", "none"), ("0011", "in", "none"),
    ("1001", "in", "none"),
])
@pytest.mark.parametrize("scale", [0.3, 4.0])
def test_gestures_of_any_size(fingers: str, thumb: str, shown: str, scale: float) -> None:
    assert gesture(skeleton(fingers, thumb) * scale + 300) == shown
    mirrored = skeleton(fingers, thumb) * [-scale, scale]
    assert gesture(np.asarray(mirrored, np.float32)) == shown


def test_points_that_fall_together_are_no_gesture_of_fingers() -> None:
    assert gesture(np.zeros((21, 2), np.float32)) == "fist"


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, -2.5, math.pi])
def test_what_is_cut_out_comes_back_to_its_place(angle: float) -> None:
    square = Square(300, 200, 120, angle)
    picture = np.zeros((480, 640, 3), np.uint8)
    tip = (300 + 40 * math.sin(angle), 200 - 40 * math.cos(angle))  # 40 px towards the fingers
    cv2.circle(picture, (round(tip[0]), round(tip[1])), 3, (255, 255, 255), -1)
    upright = cut(picture, square, 224)
    row, column = np.argwhere(upright[..., 0] > 128).mean(axis=0)
    assert (column, row) == pytest.approx((112, 112 - 40 * 224 / 120), abs=3)
    np.testing.assert_allclose(back(np.array([[column, row]], np.float32), square, 224), [tip], atol=1.5)


def turned(points: Floats, angle: float) -> Floats:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]), np.float32)


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.0])
def test_the_next_square_holds_the_hand_and_turns_with_it(angle: float) -> None:
    points = turned(skeleton("1111", "side"), angle) + 400
    square = of_points(np.asarray(points, np.float32))
    assert square.angle == pytest.approx(angle, abs=0.1)
    inside: Any = points @ square.into(1)[:, :2].T + square.into(1)[:, 2]
    assert inside.min() > 0
    assert inside.max() < 1
    assert same(square, Square(square.x + 10, square.y, square.side, 0))
    assert not same(square, Square(square.x + square.side, square.y, square.side, 0))


def test_the_square_of_a_palm_reaches_over_the_fingers() -> None:
    square = of_palm((360, 360, 440, 440), np.array([[400, 440], [380, 360], [400, 360], *[[0, 0]] * 4], np.float32))
    assert square == Square(400, 360, 208, 0)


def test_every_point_has_a_bone() -> None:
    assert {point for bone in BONES for point in bone} == set(range(21))
    assert len(BONES) == 20
