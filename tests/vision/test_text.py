"""Lines of writing without networks: maps of known lines, strips of known places, classes of known letters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream.vision.text import HIGH, LONGEST, USUAL, in_reading_order, lines, spelled, stacked, strip

Map = NDArray[np.float32]


def area(made: Map, x: float, y: float, width: float, height: float, angle: float = 0, chance: float = 0.9) -> Map:
    """The map with one more area, as the network shows the middle of a line."""
    corners = cv2.boxPoints(((x, y), (width, height), angle)).astype(np.int32)
    cv2.fillPoly(made, [corners], chance)
    return made


def empty() -> Map:
    return np.zeros((320, 480), np.float32)


def test_a_line_is_as_large_as_its_area_grown() -> None:
    [polygon] = lines(area(empty(), 200, 100, 160, 20), 0.5)
    more = 160 * 20 * 1.6 / 180 / 2  # px on each side
    wanted = [[120 - more, 90 - more], [280 + more, 90 - more], [280 + more, 110 + more], [120 - more, 110 + more]]
    assert np.abs(polygon - wanted).max() < 2.5


@pytest.mark.parametrize("angle", [-40.0, -10.0, 10.0, 40.0])
def test_a_slanted_line_begins_at_its_left(angle: float) -> None:
    [polygon] = lines(area(empty(), 240, 160, 160, 20, angle), 0.5)
    along = polygon[1] - polygon[0]
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(angle, abs=2)
    assert polygon.mean(axis=0) == pytest.approx((240, 160), abs=2)
    assert np.linalg.norm(along) > 3 * np.linalg.norm(polygon[3] - polygon[0])


def test_what_is_no_line() -> None:
    assert lines(empty(), 0.5).shape == (0, 4, 2)
    assert len(lines(area(empty(), 200, 100, 160, 20, chance=0.4), 0.5)) == 0
    assert len(lines(area(empty(), 200, 100, 160, 0), 0.5)) == 0
    assert lines(np.full((32, 32), np.nan, np.float32), 0.5).shape == (0, 4, 2)
    noise = np.random.default_rng(1).random((320, 480)).astype(np.float32)
    assert len(lines(noise, 0.99)) == 0


def test_lines_at_the_edges_stay_finite() -> None:
    found = lines(area(area(empty(), 2, 2, 60, 20), 478, 318, 60, 20), 0.5)
    assert len(found) == 2
    assert np.isfinite(found).all()


def test_rows_from_the_top_and_words_from_the_left() -> None:
    made = empty()
    for x, y in ((400, 104), (80, 100), (240, 96), (80, 200), (300, 203)):
        area(made, x, y, 80, 16)
    middles = [tuple(round(float(value), -1) for value in each.mean(axis=0)) for each in lines(made, 0.5)]
    assert middles == [(80, 100), (240, 100), (400, 100), (80, 200), (300, 200)]
    assert in_reading_order([]) == []


def test_a_strip_is_the_line_straightened() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    corners = cv2.boxPoints(((200, 150), (200, 40), 20))
    cv2.fillPoly(picture, [corners.astype(np.int32)], (0, 0, 255))
    ordered = corners[[1, 2, 3, 0]]
    made = strip(picture, ordered.astype(np.float32))
    assert made.shape[0] == HIGH
    assert made.shape[1] == pytest.approx(HIGH * 5, abs=3)
    assert (made[4:-4, 4:-4, 2] > 200).all()


def test_a_line_that_runs_down_is_turned() -> None:
    picture = np.zeros((300, 100, 3), np.uint8)
    picture[:150] = 255  # its upper half
    made = strip(picture, np.array([[30, 20], [70, 20], [70, 280], [30, 280]], np.float32))
    assert made.shape[1] == pytest.approx(HIGH * 260 / 40, abs=2)
    assert made[:, :140].mean() > 240  # is at the left of the strip, where reading begins
    assert made[:, 180:].mean() < 20


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (5, 5, 5.2, 5.1), (0, 0, 3000, 10), (-4, -4, 6, 4)])
def test_strips_of_any_size(box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    polygon = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    made = strip(np.zeros((12, 3000, 3), np.uint8), polygon)
    assert made.shape[0] == HIGH
    assert 1 <= made.shape[1] <= LONGEST


def test_strips_of_different_lengths_in_one_input() -> None:
    made = stacked([np.full((HIGH, 50, 3), 255, np.uint8), np.zeros((HIGH, 400, 3), np.uint8)])
    assert made.shape == (2, 3, HIGH, 400)
    assert (made[0, :, :, :50] == 1).all()
    assert (made[0, :, :, 50:] == 0).all()
    assert (made[1] == -1).all()
    assert stacked([np.zeros((HIGH, 9, 3), np.uint8)]).shape[3] == USUAL


def test_letters_of_classes() -> None:
    letters = ["", "a", "b", " "]
    steps = [1, 1, 0, 1, 2, 2, 3, 0, 2]
    chances = np.zeros((2, len(steps), 4), np.float32)
    chances[0, range(len(steps)), steps] = 0.8
    chances[1, :, 0] = 1
    (text, score), (nothing, none) = spelled(chances, letters)
    assert (text, round(score, 3)) == ("aab b", 0.8)
    assert (nothing, none) == ("", 0.0)
