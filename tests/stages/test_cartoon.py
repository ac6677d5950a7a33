from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.frames import Picture
from aimass_stream.stage_base import BLACK, NEUTRAL, WHITE, planes

from ..support.context import once, video

pytestmark = pytest.mark.anyio


def flat(luma: int, u: int, v: int) -> Picture:
    i420 = np.empty((360, 320), np.uint8)
    for plane, value in zip(planes(i420), (luma, u, v), strict=True):
        plane[:] = value
    return Picture.from_i420(i420)


async def test_a_flat_picture_takes_one_shade_and_stronger_colour() -> None:
    picture = (await once("cartoon", video(picture=flat(100, 108, 158)), shades=4, colour=1.5)).picture
    luma, u, v = planes(picture.i420)
    shades = [round(BLACK + step / 3 * (WHITE - BLACK)) for step in range(4)]
    assert set(luma.ravel().tolist()) == {shades[1]}
    assert set(u.ravel().tolist()) == {NEUTRAL - 30}
    assert set(v.ravel().tolist()) == {NEUTRAL + 45}


async def test_without_colour() -> None:
    _, u, v = planes((await once("cartoon", video(5), colour=0)).picture.i420)
    assert (u == NEUTRAL).all()
    assert (v == NEUTRAL).all()


async def test_lines_are_dark_and_can_be_left_out() -> None:
    i420 = flat(200, 128, 128).i420.copy()
    planes(i420)[0][:, 100:104] = 60
    picture = Picture.from_i420(i420)
    drawn = planes((await once("cartoon", video(picture=picture), lines=20)).picture.i420)[0]
    assert drawn[120, 101] == BLACK
    plain = planes((await once("cartoon", video(picture=picture), lines=0)).picture.i420)[0]
    assert plain[120, 101] > BLACK


async def test_fewer_shades_than_the_picture_has() -> None:
    frame = video(5)
    before = planes(frame.picture.i420)[0]
    after = planes((await once("cartoon", frame, shades=4, lines=0)).picture.i420)[0]
    counts = np.bincount(after.ravel(), minlength=256)
    assert np.sort(counts)[-4:].sum() > 0.8 * after.size  # the rest is in between, where areas meet
    assert np.sort(np.bincount(before.ravel(), minlength=256))[-4:].sum() < 0.5 * after.size
