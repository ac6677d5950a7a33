from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.stage_base import NEUTRAL, planes

from ..support.context import once, video

pytestmark = pytest.mark.anyio


async def test_brightness_stays_and_colour_goes() -> None:
    frame = video(9)
    before = frame.picture.i420.copy()
    luma, u, v = planes((await once("gray", frame)).picture.i420)
    np.testing.assert_array_equal(luma, before[:480])
    assert (u == NEUTRAL).all()
    assert (v == NEUTRAL).all()
    np.testing.assert_array_equal(frame.picture.i420, before)  # the frame that came in is shared and not touched
