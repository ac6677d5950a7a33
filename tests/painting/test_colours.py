"""Colour transfer, and how alike two pictures are painted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.frames import Pixels
from aimass_stream.painting.colours import Palette, palette, transfer
from aimass_stream.painting.manner import LENGTH, SPREAD, distance, manner, nearest
from aimass_stream.painting.paintings import paintings

SHARED = Path(__file__).parents[3] / "shared" / "data" / "images" / "styles"


@pytest.mark.parametrize("name", paintings())
def test_a_picture_takes_a_painting_s_colours(name: str) -> None:
    picture, wanted = clips.draw(40, 320, 240), paintings()[name].palette
    own = palette(picture)
    made = palette(transfer(picture, own, wanted))
    far, near = (float(np.abs(np.subtract(each.numbers(), wanted.numbers())).max()) for each in (own, made))
    assert near < 12  # what can't be shown is cut
    assert near < 0.5 * far
    half = palette(transfer(picture, own, wanted, 0.5)).mean[0]
    assert half == pytest.approx((own.mean[0] + wanted.mean[0]) / 2, abs=4)
    assert np.abs(transfer(picture, own, wanted, 0).astype(int) - picture).mean() < 3  # there and back


def test_a_flat_picture_gets_no_noise_and_a_flat_one_s_colours_can_be_had() -> None:
    flat = np.full((1, 1, 3), 90, np.uint8)
    assert palette(flat).deviation == (0, 0, 0)
    noisy = np.full((48, 64, 3), 90, np.uint8)
    noisy[::2, ::2] += 1
    made = transfer(noisy, palette(noisy), paintings()["udnie"].palette)
    assert int(made.max(0).max(0).astype(int).max()) - int(made.min()) < 100
    assert made.std((0, 1)).max() < 6
    toned = transfer(clips.draw(40, 64, 48), palette(clips.draw(40, 64, 48)), palette(flat))
    assert toned.std() < 3


def test_palettes_are_mixed() -> None:
    one, other = Palette((0, 0, 0), (1, 1, 1)), Palette((100, 10, 20), (3, 5, 7))
    assert one.toward(other, 0.5) == Palette((50, 5, 10), (2, 3, 4))
    assert one.numbers() == [0, 0, 0, 1, 1, 1]


def strokes(size: int, turn: int, seed: int) -> Pixels:
    """Dabs of one size in one direction, in a few colours."""
    rng = np.random.default_rng(seed)
    picture = np.full((240, 320, 3), 128, np.uint8)
    for _ in range(40_000 // size**2 * 4):
        x, y = int(rng.integers(320)), int(rng.integers(240))
        cv2.ellipse(picture, (x, y), (2 * size, size // 2), turn, 0, 360,
                    [int(value) for value in rng.integers(40, 220, 3)], -1)
    return picture


def test_the_manner_tells_strokes_apart() -> None:
    known = {f"{size} {turn}": manner(strokes(size, turn, 1)) for size in (3, 12) for turn in (0, 45)}
    for size in (3, 12):
        for turn in (0, 45):
            assert next(iter(nearest(manner(strokes(size, turn, 2)), known))) == f"{size} {turn}"


def test_distances() -> None:
    assert len(SPREAD) == LENGTH
    for name, painting in paintings().items():
        assert len(painting.manner) == LENGTH
        found = nearest(painting.manner, {other: each.manner for other, each in paintings().items()})
        assert next(iter(found)) == name
        assert list(found.values()) == sorted(found.values())
        assert found[name] == 0
        assert list(found.values())[1] > 0.4
    assert len(manner(np.zeros((1, 1, 3), np.uint8))) == LENGTH
    assert np.isfinite(distance(manner(np.zeros((1, 1, 3), np.uint8)), manner(clips.draw(3, 64, 48))))


def test_half_of_a_painting_is_nearest_to_the_whole() -> None:
    files = {"starry-night": "starry_night.jpg", "udnie": "udnie.jpg", "composition-vii": "composition_vii.jpg"}
    if not SHARED.exists():
        pytest.skip("../shared/data/images/styles is not here")
    for name, file in files.items():
        picture = np.asarray(cv2.imread(str(SHARED / file)), np.uint8)
        assert manner(picture) == pytest.approx(paintings()[name].manner, abs=0.01)
        half = manner(np.ascontiguousarray(picture[:, : picture.shape[1] // 2]))
        assert next(iter(nearest(half, {other: each.manner for other, each in paintings().items()}))) == name
