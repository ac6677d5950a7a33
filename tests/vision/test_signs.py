"""Points of a hand freed of place, size, turn and side; and a digit that stays in spite of single wrong pictures."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.signs import KEEP, VALUES, Steady, normal

HAND = np.random.default_rng(4).normal(size=(21, 2)).astype(np.float32) * 40
HAND[[5, 9, 13, 17]] = [[-30, -80], [-10, -90], [10, -88], [30, -78]]
HAND[0] = (0, 0)


def moved(degrees: float, scale: float, *, mirrored: bool = False) -> Floats:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((HAND * [-1 if mirrored else 1, 1]) @ turn * scale + [300, 200], np.float32)


@pytest.mark.parametrize(("degrees", "scale", "mirrored"), [(0, 1, False), (140, 0.2, False), (-60, 3, True)])
def test_the_same_hand_anywhere(degrees: float, scale: float, mirrored: bool) -> None:
    found = normal(moved(degrees, scale, mirrored=mirrored))
    assert found.shape == (VALUES,)
    np.testing.assert_allclose(found, normal(HAND), atol=0.002)
    upright = found.reshape(21, 2)
    assert upright[5, 0] < upright[17, 0]
    assert upright[[5, 9, 13, 17]].mean(axis=0) == pytest.approx([0, -1], abs=0.001)


@pytest.mark.parametrize("points", [np.zeros((21, 2)), np.full((21, 2), np.nan), np.full((21, 2), 1e30)])
def test_what_is_no_hand_is_zeros_or_finite(points: Floats) -> None:
    assert np.isfinite(normal(points.astype(np.float32))).all()


def sure(digit: int, chance: float = 0.99) -> Floats:
    chances = np.full(10, (1 - chance) / 9, np.float32)
    chances[digit] = chance
    return chances


def seen(steady: Steady, digits: str) -> list[int | None]:
    """What is shown after each change."""
    return [steady.digit for each in digits if steady.see(sure(int(each)))]


def test_a_digit_needs_some_pictures_and_one_wrong_one_changes_nothing() -> None:
    steady = Steady()
    assert seen(steady, "333") == []
    assert seen(steady, "3333") == [3]
    assert seen(steady, "7333333") == []
    assert seen(steady, "7777777") == [None, 7]
    assert steady.chance > 0.8


def test_doubt_is_no_digit_and_ends_one() -> None:
    steady = Steady()
    for _ in range(30):
        assert not steady.see(sure(3, 0.6))
    assert seen(steady, "33333333") == [3]
    changes = [steady.digit for _ in range(8) if steady.see(np.full(10, 0.1, np.float32))]
    assert changes == [None]
    assert steady.chance == 0


def test_chances_that_are_no_numbers_count_as_none() -> None:
    steady = Steady()
    assert seen(steady, "33333333") == [3]
    steady.see(np.full(10, np.nan, np.float32))
    assert steady.digit == 3
    assert steady.chance == pytest.approx(KEEP * 0.99, abs=0.05)
