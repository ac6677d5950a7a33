from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.frames import Picture
from aimass_stream.stage_base import NEUTRAL, WHITE, black, blank, planes
from aimass_stream.stages.rotate import Rotate, RotateParams

from ..support.context import once, started, video

pytestmark = pytest.mark.anyio


def white(width: int, height: int) -> Picture:
    i420 = blank(width, height)
    i420[:height], i420[height:] = WHITE, NEUTRAL
    return Picture.from_i420(i420)


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1), (-90, 1), (-270, -1)])
async def test_quarter_turns_keep_every_pixel(degrees: float, turns: int) -> None:
    frame = video(5)
    turned = await once("rotate", frame, degrees=degrees)
    for before, after in zip(planes(frame.picture.i420), planes(turned.picture.i420), strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, turns))


@pytest.mark.parametrize("degrees", [0, 360, -360])
async def test_a_whole_turn_is_none(degrees: float) -> None:
    frame = video(5)
    assert (await once("rotate", frame, degrees=degrees)).picture is frame.picture


@pytest.mark.parametrize("fit", ["keep", "fill", "grow"])
def test_positive_is_clockwise_about_the_middle(fit: str) -> None:
    i420 = np.full((360, 320), 16, np.uint8)  # 320 x 240
    i420[240:] = NEUTRAL
    i420[116:124, 196:204] = WHITE  # 40 px right of the middle
    turned = Rotate.draw(Picture.from_i420(i420), RotateParams(degrees=30, fit=fit))
    luma = planes(turned.i420)[0]
    y, x = np.argwhere(luma > 120).mean(axis=0)
    zoom = math.cos(math.radians(30)) + 320 / 240 * math.sin(math.radians(30)) if fit == "fill" else 1
    assert x == pytest.approx((turned.width - 1) / 2 + 40 * zoom * math.cos(math.radians(30)), abs=1.5)
    assert y == pytest.approx((turned.height - 1) / 2 + 40 * zoom * math.sin(math.radians(30)), abs=1.5)


@given(st.integers(1, 120), st.integers(1, 120), st.floats(-360, 360), st.sampled_from(["fill", "keep", "grow"]))
@settings(max_examples=150, deadline=None)
def test_sizes(half_width: int, half_height: int, degrees: float, fit: str) -> None:
    width, height = 2 * half_width, 2 * half_height
    turned = Rotate.draw(white(width, height), RotateParams(degrees=degrees, fit=fit))
    assert turned.width % 2 == turned.height % 2 == 0
    if degrees % 90:
        if fit == "grow":
            cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
            assert turned.width == pytest.approx(width * cos + height * sin, abs=2)
            assert turned.height == pytest.approx(width * sin + height * cos, abs=2)
        else:
            assert (turned.width, turned.height) == (width, height)
    assert turned.i420.shape == (turned.height * 3 // 2, turned.width)


@given(st.integers(8, 100), st.integers(8, 100), st.floats(0, 360))
@settings(max_examples=100, deadline=None)
def test_fill_leaves_no_empty_corner(half_width: int, half_height: int, degrees: float) -> None:
    turned = Rotate.draw(white(2 * half_width, 2 * half_height), RotateParams(degrees=degrees, fit="fill"))
    assert (planes(turned.i420)[0] == WHITE).all()


def test_keep_leaves_black_corners_without_colour() -> None:
    luma, u, v = planes(Rotate.draw(white(320, 240), RotateParams(degrees=45, fit="keep")).i420)
    assert luma[0, 0] == luma[-1, -1] == 16
    assert luma[120, 160] == WHITE
    assert (u == NEUTRAL).all()
    assert (v == NEUTRAL).all()


async def test_large_pictures_go_to_a_thread() -> None:
    stage, context = await started("rotate", degrees=12)
    await stage.process(video(picture=black(640, 480)))
    assert not context.ran
    await stage.process(video(picture=black(1280, 720)))
    assert len(context.ran) == 1
