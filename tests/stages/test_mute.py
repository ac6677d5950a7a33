from __future__ import annotations

import pytest

from aimass_stream.clips import tone
from aimass_stream.stage_base import BLACK, NEUTRAL, planes

from ..support.context import audio, once, silence, video

pytestmark = pytest.mark.anyio


async def test_sound_becomes_silence_of_the_same_length() -> None:
    frame = audio(tone(0.02), pts=960)
    muted = await once("mute", frame)
    assert muted.samples.shape == (960, 1)
    assert not muted.samples.any()
    assert (muted.pts, muted.rate) == (960, 48_000)
    assert frame.samples.any()


async def test_pictures_become_black_of_the_same_size() -> None:
    muted = await once("mute", video(3, 322, 182), video=True)
    luma, u, v = planes(muted.picture.i420)
    assert luma.shape == (182, 322)
    assert (luma == BLACK).all()
    assert (u == NEUTRAL).all()
    assert (v == NEUTRAL).all()
    assert muted.bgr.max() == 0


async def test_what_is_not_asked_for_passes() -> None:
    sound, picture = audio(tone(0.02)), video(3)
    assert await once("mute", sound, audio=False) is sound
    assert await once("mute", picture) is picture


async def test_empty_sound() -> None:
    assert (await once("mute", audio(silence(0)))).samples.shape == (0, 1)
