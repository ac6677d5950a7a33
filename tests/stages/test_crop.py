from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.frames import Picture
from aimass_stream.stage_base import blank, planes
from aimass_stream.stages.crop import SMALLEST, Crop, CropParams

from ..support.context import once, video

pytestmark = pytest.mark.anyio

SHARE = st.floats(0, 1)
PIXELS = st.one_of(st.just(0), st.integers(0, 4096))


def mapped(width: int, height: int) -> Picture:
    """Luma tells the column, chroma the row (U) and column (V) of its pixel."""
    picture = blank(width, height)
    luma, u, v = planes(picture)
    luma[:] = np.arange(width)
    u[:] = np.arange(height // 2)[:, None]
    v[:] = np.arange(width // 2)
    return Picture.from_i420(picture)


async def test_shares() -> None:
    frame = video(3)
    part = await once("crop", frame, x=0.25, y=0.5, width=0.5, height=0.5)
    assert (part.width, part.height) == (320, 240)
    for scale, before, after in zip((1, 2, 2), planes(frame.picture.i420), planes(part.picture.i420), strict=True):
        np.testing.assert_array_equal(after, before[240 // scale : 480 // scale, 160 // scale : 480 // scale])


async def test_odd_pixels_are_no_error() -> None:
    part = await once("crop", video(3), x_px=101, y_px=33, width_px=201, height_px=99)
    assert (part.width, part.height) == (200, 98)


async def test_the_whole_picture_is_not_copied() -> None:
    frame = video(3)
    assert (await once("crop", frame)).picture is frame.picture


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
async def test_shares_that_are_not_exact_in_binary(share: float) -> None:
    assert (await once("crop", video(3), width=share)).width == round(share * 640)


@given(st.integers(1, 127), st.integers(1, 127), SHARE, SHARE, SHARE, SHARE, PIXELS, PIXELS, PIXELS, PIXELS)
@settings(max_examples=300, deadline=None)
def test_any_crop_of_any_picture(half_width: int, half_height: int, x: float, y: float, width: float, height: float,
                                 x_px: int, y_px: int, width_px: int, height_px: int) -> None:
    source = mapped(2 * half_width, 2 * half_height)
    part = Crop.draw(source, CropParams(x=x, y=y, width=width, height=height, x_px=x_px, y_px=y_px,
                                        width_px=width_px, height_px=height_px))
    assert part.width % 2 == part.height % 2 == 0
    assert min(SMALLEST, source.width) <= part.width <= source.width
    assert min(SMALLEST, source.height) <= part.height <= source.height
    luma, u, v = planes(part.i420)
    left, top = int(luma[0, 0]), 2 * int(u[0, 0])
    assert left % 2 == 0
    np.testing.assert_array_equal(luma, np.broadcast_to(np.arange(left, left + part.width), luma.shape))
    np.testing.assert_array_equal(v[0], np.arange(left // 2, (left + part.width) // 2))
    np.testing.assert_array_equal(u[:, 0], np.arange(top // 2, (top + part.height) // 2))
