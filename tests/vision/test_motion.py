"""Boxes that move steadily."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.motion import RATE, Motions

FIRST = np.array([0], np.int64)


def box(x: float, y: float, width: float = 80, height: float = 60) -> Floats:
    """(1, 4) with its middle there."""
    return np.array([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]], np.float32)


def followed(every: int, pictures: int, *, speed: float = 5) -> Motions:
    """Of a box that moves to the right by so many px a picture, seen in each of `every`."""
    motions = Motions()
    motions.add(box(100, 100))
    for number in range(1, pictures + 1):
        motions.advance(1 / RATE)
        if number % every == 0:
            motions.correct(FIRST, box(100 + speed * number, 100))
    return motions


def test_a_box_that_was_seen_once_stays_where_it_was() -> None:
    motions = Motions()
    motions.add(box(100, 100))
    motions.advance(1)
    assert motions.boxes[0] == pytest.approx(box(100, 100)[0])


@pytest.mark.parametrize("every", [1, 3, 6])
def test_steady_movement_is_foretold(every: int) -> None:
    motions = followed(every, 60)
    for number in range(61, 61 + every):
        motions.advance(1 / RATE)
        assert motions.boxes[0] == pytest.approx(box(100 + 5 * number, 100)[0], abs=1.5)


def test_pictures_that_were_left_out_do_no_harm() -> None:
    whole, holes = followed(3, 60), Motions()
    holes.add(box(100, 100))
    for number in range(3, 61, 3):
        holes.advance(3 / RATE)
        holes.correct(FIRST, box(100 + 5 * number, 100))
    whole.advance(0.1)
    holes.advance(0.1)
    assert holes.boxes[0] == pytest.approx(whole.boxes[0], abs=0.5)


def test_a_thing_that_comes_nearer_grows_until_it_is_out_of_sight() -> None:
    motions = Motions()
    motions.add(box(100, 100, 40, 40))
    for number in range(1, 40):
        motions.advance(1 / RATE)
        motions.correct(FIRST, box(100, 100, 40 + number, 40 + number))
    width = motions.boxes[0][2] - motions.boxes[0][0]
    motions.advance(5 / RATE)
    assert motions.boxes[0][2] - motions.boxes[0][0] == pytest.approx(width + 5, abs=0.5)
    motions.freeze(FIRST)
    motions.advance(5 / RATE)
    assert motions.boxes[0][2] - motions.boxes[0][0] == pytest.approx(width + 5, abs=0.5)


def test_no_box_shrinks_to_nothing() -> None:
    motions = Motions()
    motions.add(box(100, 100, 60, 60))
    for number in range(1, 11):
        motions.advance(1 / RATE)
        motions.correct(FIRST, box(100, 100, 60 - 5 * number, 60 - 5 * number))
    motions.advance(2)
    assert motions.boxes[0] == pytest.approx(box(100, 100, 1, 1)[0], abs=0.1)


def test_noise_is_smoothed() -> None:
    chance, motions = np.random.default_rng(1), Motions()
    motions.add(box(100, 100))
    measured, smoothed = [], []
    for _ in range(200):
        noisy = box(100, 100) + chance.normal(0, 3, (1, 4)).astype(np.float32)
        motions.advance(1 / RATE)
        motions.correct(FIRST, noisy)
        measured.append(noisy[0, 0])
        smoothed.append(motions.boxes[0, 0])
    assert np.diff(smoothed).std() < 0.75 * np.diff(measured).std()


def test_rows_come_and_go() -> None:
    motions = Motions()
    assert motions.boxes.shape == (0, 4)
    motions.advance(0.1)
    motions.add(np.concatenate([box(10, 10), box(50, 50), box(90, 90)]))
    motions.keep(np.array([0, 2], np.int64))
    assert len(motions) == 2
    assert motions.boxes[1] == pytest.approx(box(90, 90)[0])
    motions.correct(np.array([1], np.int64), box(100, 90))
    assert motions.boxes[0] == pytest.approx(box(10, 10)[0])
    assert 90 < motions.boxes[1].mean() < 100
