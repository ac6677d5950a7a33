"""Pictures whose number can be read although they were painted over, and the client that reads it."""

from __future__ import annotations

from collections.abc import Callable

import av
import cv2
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.frames import Pixels
from benchmarks.vision import scenes

NUMBERS = (0, 1, 299, 599, 1023)
SIZES = [(320, 240), (640, 480)]


def luma(picture: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def inverted(picture: Pixels) -> Pixels:
    return 255 - picture


def dark(picture: Pixels) -> Pixels:
    return np.asarray(20 + picture // 8, np.uint8)


def strokes(picture: Pixels) -> Pixels:
    """Large ones, and noise."""
    blurred = cv2.GaussianBlur(picture, (0, 0), 3).astype(np.float32)
    noise = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 90, picture.shape).astype(np.float32), (0, 0), 2)
    return np.asarray(np.clip(128 + 0.4 * (blurred - 128) + noise, 0, 255), np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("painter", [lambda picture: picture, inverted, dark, strokes])
def test_a_number_can_be_read_when_the_picture_was_painted_over(painter: Callable[[Pixels], Pixels],
                                                                size: tuple[int, int]) -> None:
    for number in NUMBERS:
        assert scenes.read_code(luma(painter(scenes.draw(number, *size)))) == number


def test_what_cannot_be_read_for_sure_is_not_read() -> None:
    assert scenes.read_code(np.full((240, 320), 120, np.uint8)) is None
    picture = luma(scenes.draw(77, 320, 240))
    row, cell = 15, 320 // scenes.CELLS
    wrong = picture.copy()
    wrong[240 - 2 * row :, 3 * cell : 4 * cell] = picture[240 - 2 * row :, 3 * cell : 4 * cell][::-1]
    assert scenes.read_code(wrong) is None, "one cell and its opposite have changed places"


def test_a_picture_of_the_clip_shows_its_number_when_decoded() -> None:
    """Encoded as the clip is, but a few pictures only."""
    frame = av.VideoFrame.from_ndarray(scenes.draw(412, 320, 240), format="bgr24").reformat(format="yuv420p")
    assert scenes.number_of(frame) == 412


def test_the_walker_comes_back_and_stays_in_the_picture() -> None:
    places = [scenes.walker(number, 640, 480) for number in range(2 * scenes.PERIOD)]
    assert places[: scenes.PERIOD] == places[scenes.PERIOD :]
    assert all(radius < x < 640 - radius for x, _, radius in places)
    steps = np.abs(np.diff([x for x, *_ in places]))
    assert 4 < steps.max() < 12, "far enough from one picture to the next to be told apart"
    ground = clips.draw(3, 640, 480)
    x, y, radius = places[0]
    assert np.abs(scenes.person(ground, x, y, radius).astype(int) - ground)[y - radius : y + radius].mean() > 5
    assert np.array_equal(ground, clips.draw(3, 640, 480)), "the ground itself is left alone"


def test_noise_is_as_strong_as_it_is_said() -> None:
    grey = np.full((100, 100, 3), 128, np.uint8)
    assert np.std(scenes.grainy(grey, 1, 4.0).astype(float)) == pytest.approx(4, abs=0.2)
    assert np.array_equal(scenes.grainy(grey, 1, 4.0), scenes.grainy(grey, 1, 4.0))
