from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from aimass_stream.vision.letterbox import Fit, letterbox

SIZES = [(640, 480), (480, 640), (1, 1), (2, 8192), (8192, 2), (333, 77), (96, 96)]


@pytest.mark.parametrize("fit", get_args(Fit))
@pytest.mark.parametrize("size", SIZES)
def test_points_come_back_to_where_they_were(size: tuple[int, int], fit: Fit) -> None:
    width, height = size
    made, box = letterbox(np.full((height, width, 3), 200, np.uint8), 96, 64, fit, 114)
    assert made.shape == (64, 96, 3)
    corners = np.array([[0, 0], [width, height], [width / 3, height / 4]], np.float32)
    inside = corners * box.scale + box.offset
    assert (inside >= -1e-3).all()
    assert (inside <= [96.001, 64.001]).all()
    np.testing.assert_allclose(box.back(inside.astype(np.float32)), corners, rtol=1e-4, atol=0.01 * max(size) / 64)
    both = np.concatenate([inside[0], inside[1]]).astype(np.float32)[None]
    np.testing.assert_allclose(box.back(both)[0, 2:], [width, height], rtol=1e-3)


def test_the_picture_is_whole_and_the_rest_is_filled() -> None:
    picture = np.full((50, 100, 3), 200, np.uint8)
    centre, _ = letterbox(picture, 100, 100, "centre", 7)
    corner, _ = letterbox(picture, 100, 100, "corner", 7)
    assert (centre[25:75] == 200).all()
    assert (centre[:25] == 7).all()
    assert (centre[75:] == 7).all()
    assert (corner[:50] == 200).all()
    assert (corner[50:] == 7).all()
    assert (letterbox(picture, 100, 100, "stretch")[0] == 200).all()


def test_a_network_gets_pixels_as_it_was_trained() -> None:
    """One row of four is bright: taken or missed where single pixels are taken, a quarter where they are averaged."""
    picture = np.zeros((96, 96), np.uint8)
    picture[::4] = 200
    area, _ = letterbox(picture, 24, 24, "stretch", resize="area")
    linear, _ = letterbox(picture, 24, 24, "stretch", resize="linear")
    assert (area == 50).all()
    assert (linear == 0).all()
    np.testing.assert_array_equal(letterbox(picture, 24, 24, "stretch")[0], area)  # by itself where it shrinks so much
    np.testing.assert_array_equal(letterbox(picture, 72, 72, "stretch")[0],
                                  letterbox(picture, 72, 72, "stretch", resize="linear")[0])
