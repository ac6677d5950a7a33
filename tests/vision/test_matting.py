from __future__ import annotations

import cv2
import numpy as np
import pytest

from aimass_stream.frames import Pixels
from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.matting import Steady, blurred_behind, covering, half, over, refine

CHANCE = np.random.default_rng(4)


def disc(width: int, height: int, radius: float, x: float = 0.5, y: float = 0.5) -> Floats:
    """A person as round as can be: (h, w), 0 or 1; `radius` as a share of the height."""
    rows, columns = np.mgrid[:height, :width]
    far = np.hypot((columns + 0.5) / height - x * width / height, (rows + 0.5) / height - y)
    return np.asarray(np.clip((radius - far) * height + 0.5, 0, 1), np.float32)


def noisy(picture: Floats, sigma: float) -> Pixels:
    return np.asarray(np.clip(picture + CHANCE.normal(0, sigma, picture.shape), 0, 255), np.uint8)


@pytest.mark.parametrize("size", [(640, 480), (2, 2), (16, 640), (322, 182)])
def test_all_and_nothing_stay_what_they_are(size: tuple[int, int]) -> None:
    luma = CHANCE.integers(0, 256, (size[1], size[0]), np.uint8)
    assert (refine(np.ones((144, 256), np.float32), luma) == 255).all()
    assert (refine(np.zeros((144, 256), np.float32), luma) == 0).all()


def test_a_coarse_edge_goes_where_the_picture_has_it() -> None:
    truth = disc(640, 480, 0.3)
    luma = noisy(60 + 120 * truth, 3)
    coarse = cv2.GaussianBlur(cv2.resize(disc(640, 480, 0.305), (64, 48), interpolation=cv2.INTER_AREA), (0, 0), 0.8)
    before = np.abs(np.asarray(cv2.resize(coarse, (640, 480))) - truth).mean()
    after = np.abs(refine(np.asarray(coarse, np.float32), luma) / 255 - truth).mean()
    assert after < before / 3


def test_a_still_outline_holds_still_and_a_moving_one_is_followed_at_once() -> None:
    person, steady = disc(256, 144, 0.3), Steady()
    raw: list[Pixels] = []
    held: list[Pixels] = []
    for _ in range(20):
        soft = np.asarray(cv2.GaussianBlur(person, (0, 0), 2) * 255, np.float32)
        raw.append(noisy(soft, 25))
        held.append(steady.next(raw[-1], noisy(60 + 120 * person, 3)))
    flicker = [float(np.abs(np.diff(np.stack(alphas[5:]).astype(float), axis=0)).mean()) for alphas in (raw, held)]
    assert flicker[1] < flicker[0] / 2
    moved = disc(256, 144, 0.3, x=0.65)
    after = steady.next(np.asarray(moved * 255, np.uint8), noisy(60 + 120 * moved, 3)) / 255
    there = np.abs(moved - person) > 0.5
    assert np.abs(after - moved)[there].mean() < 0.03
    other = np.asarray(disc(64, 64, 0.3) * 255, np.uint8)
    np.testing.assert_array_equal(steady.next(other, other), other)  # another size: nothing is carried over


def test_the_person_is_exactly_as_before_and_so_is_what_is_behind() -> None:
    plane, behind = CHANCE.integers(0, 256, (2, 48, 64), np.uint8)
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 20:40], alpha[:, 40] = 255, 51
    out = np.empty_like(plane)
    over(plane, behind, alpha, out)
    np.testing.assert_array_equal(out[:, 20:40], plane[:, 20:40])
    np.testing.assert_array_equal(out[:, :20], behind[:, :20])
    mixed = plane[:, 40] * 0.2 + behind[:, 40] * 0.8
    assert np.abs(out[:, 40] - mixed).max() <= 1
    assert half(alpha).shape == (24, 32)


@pytest.mark.parametrize("sigma", [1.0, 5.0, 14.0, 48.0])
def test_no_halo_the_blur_takes_nothing_of_the_person(sigma: float) -> None:
    person = disc(640, 480, 0.3)
    plane = np.asarray(40 + 200 * person, np.uint8)  # a bright person in a dark room
    alpha = np.asarray(255 * person, np.uint8)
    behind = blurred_behind(plane, alpha, sigma)
    plain = np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma))
    around = (cv2.dilate(alpha, np.ones((9, 9), np.uint8)) > 0) & (alpha == 0)
    assert behind[around].max() <= 60
    assert behind[around].mean() < plain[around].mean() - 10 or sigma == 1
    edge = np.asarray(np.repeat(np.where(np.arange(640) < 320, 40, 200)[None], 480, axis=0), np.uint8)
    spread = blurred_behind(edge, np.zeros_like(edge), sigma)
    np.testing.assert_allclose(spread.astype(float), cv2.GaussianBlur(edge, (0, 0), sigma), atol=12)
    assert (blurred_behind(plane, np.full_like(alpha, 255), sigma) >= 38).all()  # nothing but person: no division by 0


@pytest.mark.parametrize("size", [(100, 20), (20, 100), (1, 1), (300, 300)])
def test_a_picture_covers_all_of_it(size: tuple[int, int]) -> None:
    made = covering(np.full((size[1], size[0], 3), 9, np.uint8), 64, 48)
    assert made.shape == (48, 64, 3)
    assert (made == 9).all()
