"""Faces cut out upright, and local binary patterns of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aimass_stream.vision.faces import (
    EYES_NOSE_MIDDLE,
    EYES_NOSE_MOUTH,
    PATTERNS,
    SIDE,
    UNIFORM,
    aligned,
    patterns,
    similar,
)
from tests.support.drawn_faces import portrait


def turned(points: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((56, 56), degrees, scale)
    matrix[:, 2] += (200, 150)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (30, 2.5), (-75, 0.4), (180, 1)])
def test_the_way_back_is_found(degrees: float, scale: float) -> None:
    points = turned(EYES_NOSE_MOUTH, degrees, scale)
    matrix = similar(points, EYES_NOSE_MOUTH)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], EYES_NOSE_MOUTH, atol=0.01)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_eyes_come_to_their_places_however_the_head_is_turned(count: int) -> None:
    named = EYES_NOSE_MOUTH if count == 5 else EYES_NOSE_MIDDLE
    placed = turned(named, 25, 1.6)
    picture = np.zeros((480, 640, 3), np.uint8)
    for x, y in placed[:2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 5, (255, 255, 255), -1)
    points = [(float(x), float(y)) for x, y in placed] + [(0.0, 0.0)] * (count - len(named))  # ears don't matter
    face = aligned(picture, (0, 0, 640, 480), points)
    assert face.shape == (SIDE, SIDE, 3)
    for x, y in EYES_NOSE_MOUTH[:2]:
        assert face[round(float(y)), round(float(x)), 0] > 200
    assert face[100, 56, 0] == 0


def test_without_points_or_with_broken_ones_the_box_is_taken() -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[100:200, 100:200] = 255
    for points in ((), [(float("nan"), 0.0)] * 5, [(1.0, 2.0)] * 3):
        face = aligned(picture, (100, 100, 200, 200), points)
        assert face[56, 56, 0] == 255
        assert face[2, 56, 0] == 0  # a little room around it


def test_points_that_fall_together_and_boxes_of_nothing_do_no_harm() -> None:
    picture = np.full((20, 20, 3), 7, np.uint8)
    assert aligned(picture, (5, 5, 5, 5), [(3.0, 3.0)] * 5).shape == (SIDE, SIDE, 3)
    assert (aligned(picture, (5, 5, 5, 5), ()) == 7).all()


def test_patterns_tell_people_apart_whatever_the_light() -> None:
    face, other = (np.ascontiguousarray(portrait(who)[56:168, 104:216]) for who in (1, 2))
    first = patterns(face)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    darker = np.asarray(face * 0.6 + 20, np.uint8)
    assert first @ patterns(darker) > first @ patterns(other) + 0.02
    assert np.isfinite(patterns(np.zeros((SIDE, SIDE, 3), np.uint8))).all()


def test_there_are_as_many_patterns_as_there_should_be() -> None:
    assert len(np.unique(UNIFORM)) == PATTERNS
    assert (UNIFORM == PATTERNS - 1).sum() == 256 - 58
