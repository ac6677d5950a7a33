"""What moves in a picture that stands still, and what is only noise or light."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from aimass_stream.frames import Pixels
from aimass_stream.vision.boxes import Floats
from aimass_stream.vision.change import Box, Change, Scene

WIDTH, HEIGHT = 320, 240
LEAST = 0.003
COMES = 30  # the picture in which something begins
ACROSS, DOWN = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))


def room() -> Floats:
    """Luma of a wall with a door, a window and the grain of its paper."""
    made = np.linspace(60, 150, HEIGHT)[:, None] * np.ones((1, WIDTH))
    cv2.rectangle(made, (40, 75), (100, 200), 90, -1)
    cv2.rectangle(made, (200, 30), (280, 100), 180, -1)
    grain = np.random.default_rng(3).normal(0, 20, made.shape)
    return np.asarray(made + cv2.GaussianBlur(grain, (0, 0), 3), np.float32)


ROOM = room()
CHANCE = np.random.default_rng(4)
NOISES = [CHANCE.normal(0, 1, ROOM.shape).astype(np.float32) for _ in range(17)]


def shot(number: int, picture: Floats = ROOM, noise: float = 4) -> Pixels:
    return np.clip(picture + noise * NOISES[number % len(NOISES)], 0, 255).astype(np.uint8)


def light(share: float | Floats, picture: Floats = ROOM) -> Floats:
    return np.asarray(16 + (picture - 16) * share, np.float32)


def with_somebody(seconds: float, grey: int = 40) -> tuple[Floats, Box]:
    """A grey figure that has come in from the left, 60 px a second; and where it is, in parts."""
    made, x = ROOM.copy(), round(-40 + 60 * seconds)
    cv2.rectangle(made, (x, 90), (x + 35, 210), grey, -1)
    return made, (max(0, x) / WIDTH, 90 / HEIGHT, (x + 36) / WIDTH, 211 / HEIGHT)


def watched(picture: Callable[[int], Pixels], count: int, deviations: float = 7.5) -> list[Change]:
    scene = Scene()
    return [scene.look(picture(number), number / 30, deviations, LEAST) for number in range(count)]


def moving(changes: list[Change]) -> list[int]:
    return [number for number, change in enumerate(changes) if change.blobs]


@pytest.mark.parametrize("picture", [
    lambda number: shot(number),
    lambda number: shot(number, noise=14),
    lambda number: shot(number, light(0.35), noise=8),
    lambda number: shot(number, light(1 - 0.4 * min(1, number / 60))),  # dusk
    lambda number: shot(number, light(1 if number < COMES else 1.5)),  # the ceiling's light goes on
    lambda number: shot(number, light(1 + 0.1 * np.sin(number * 0.9))),  # a tube that flickers
    lambda number: shot(number, light(1 + (number >= COMES) * 0.8 * np.exp(
        -(((ACROSS - 220) / 60) ** 2 + ((DOWN - 150) / 60) ** 2)))),  # a lamp in a corner
], ids=["noise", "much noise", "in the dark", "dusk", "light on", "flicker", "lamp"])
def test_noise_and_light_are_no_movement(picture: Callable[[int], Pixels]) -> None:
    assert moving(watched(picture, 90)) == []


@pytest.mark.parametrize("grey", [40, 70, 220])
def test_somebody_who_walks_is_found_where_he_is(grey: int) -> None:
    changes = watched(lambda number: shot(number, with_somebody(max(0, number - COMES) / 30, grey)[0]), 150)
    found = moving(changes)
    assert COMES < found[0] <= COMES + 30
    assert set(range(COMES + 40, 150)) <= set(found)
    for number in range(COMES + 45, 150, 10):
        _, box = with_somebody((number - COMES) / 30, grey)
        [blob] = changes[number].blobs[:1]
        assert blob.box == pytest.approx(box, abs=0.05)
        size = (box[2] - box[0]) * (box[3] - box[1])
        assert changes[number].share == pytest.approx(size, rel=0.35)


def test_what_stands_still_moves_no_longer_and_leaves_no_ghost() -> None:
    def picture(number: int) -> Pixels:
        seconds = min(max(0, number - COMES), 60) / 30 if number < 200 else 100
        return shot(number, with_somebody(seconds)[0])

    found = moving(watched(picture, 300))
    assert not [number for number in found if 125 <= number < 200]  # he stands
    assert not [number for number in found if number >= 235]  # he is gone


def test_leaves_in_the_wind_are_usual_after_a_while() -> None:
    def picture(number: int) -> Pixels:
        made = ROOM.copy()
        made[25:60, 150:190] += 25 * np.sin(number * 0.7)
        return shot(number, made)

    found = moving(watched(picture, 240))
    assert not [number for number in found if number >= 150]


def test_another_scene_is_no_movement_and_what_moves_in_it_is() -> None:
    other = np.asarray(ROOM[:, ::-1][::-1], np.float32)

    def picture(number: int) -> Pixels:
        if number < COMES:
            return shot(number)
        made = other.copy()
        if number >= 60:
            cv2.rectangle(made, (3 * (number - 60), 90), (3 * (number - 60) + 35, 210), 40, -1)
        return shot(number, made)

    changes = watched(picture, 100)
    assert [number for number, change in enumerate(changes) if change.scene] == [COMES]
    assert 60 <= moving(changes)[0] <= 66


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 4000), (4000, 2), (16, 16), (3, 7)])
def test_pictures_of_any_size(width: int, height: int) -> None:
    scene = Scene()
    for number in range(4):
        luma = CHANCE.integers(0, 256, (height, width)).astype(np.uint8)
        change = scene.look(luma, number / 30, 7.5, LEAST)
        assert 0 <= change.share <= 1
        assert max(change.size) <= 160


def test_another_size_or_a_gap_begins_anew() -> None:
    scene = Scene()
    dark, bright = (np.full((60, 80), value, np.uint8) for value in (30, 200))
    bright = bright.copy()
    bright[:30] = 30
    assert scene.look(dark, 0, 7.5, LEAST) == Change(size=(80, 60))
    assert scene.look(bright[:, :70].copy(), 0.03, 7.5, LEAST).blobs == ()
    assert scene.look(dark[:, :70].copy(), 5, 7.5, LEAST) == Change(size=(70, 60))
    assert scene.look(bright[:, :70].copy(), 4, 7.5, LEAST).blobs == ()  # a clock that went back
