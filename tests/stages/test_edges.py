from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.frames import Picture
from aimass_stream.stage_base import BLACK, NEUTRAL, WHITE, planes

from ..support.context import once, video

pytestmark = pytest.mark.anyio

TOP, LEFT, BOTTOM, RIGHT = 100, 200, 300, 400


def square() -> Picture:
    i420 = np.full((720, 640), 60, np.uint8)
    i420[TOP:BOTTOM, LEFT:RIGHT] = 180
    i420[480:] = 90
    return Picture.from_i420(i420)


@pytest.mark.parametrize(("on", "line", "ground"), [("black", WHITE, BLACK), ("white", BLACK, WHITE)])
async def test_lines_are_where_brightness_changes_and_nowhere_else(on: str, line: int, ground: int) -> None:
    luma, u, v = planes((await once("edges", video(picture=square()), on=on)).picture.i420)
    assert set(luma.ravel().tolist()) == {line, ground}
    y, x = np.nonzero(luma == line)
    on_border = (np.minimum(abs(y - TOP), abs(y - BOTTOM)) <= 2) | (np.minimum(abs(x - LEFT), abs(x - RIGHT)) <= 2)
    assert on_border.all()
    assert len(np.nonzero((luma == line)[:, 300])[0]) == 2  # one line at the top and one at the bottom
    assert (u == NEUTRAL).all()
    assert (v == NEUTRAL).all()


async def test_on_the_picture_itself() -> None:
    frame = video(picture=square())
    luma, u, _ = planes((await once("edges", frame, on="picture")).picture.i420)
    assert luma[50, 50] == 60
    assert (luma == WHITE).any()
    assert u[0, 0] == 90
    assert not (square().i420 == WHITE).any()


async def test_a_high_threshold_leaves_nothing_of_a_weak_edge() -> None:
    luma, _, _ = planes((await once("edges", video(picture=square()), threshold=1000)).picture.i420)
    assert (luma == BLACK).all()
