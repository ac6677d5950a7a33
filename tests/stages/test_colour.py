"""Colours of a painting, or of whatever picture."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aimass_stream import clips
from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.painting.colours import palette
from aimass_stream.painting.paintings import paintings
from aimass_stream.stages.colour import ColourParams
from tests.support.context import once, started, video

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["udnie", "The Scream", "神奈川冲浪里"])
async def test_a_painting_s_colours(name: str) -> None:
    frame = video(7, 320, 240)
    answer = await once("colour", frame, painting=name, strength=1)
    assert isinstance(answer, VideoFrame)
    assert answer.pts == frame.pts
    wanted = paintings()[ColourParams(painting=name).painting].palette.numbers()
    before, after = (float(np.abs(np.subtract(palette(each.bgr).numbers(), wanted)).max()) for each in (frame, answer))
    assert after < 15
    assert after < 0.6 * before


async def test_any_picture_s_colours() -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, ::2] = (20, 20, 220)
    stage, _ = await started("colour", palette=palette(red).numbers(), strength=1)
    for width, height in ((64, 48), (2, 2), (640, 16)):
        answer = await stage.process(video(1, picture=Picture.from_bgr(clips.draw(1, width, height))))
        assert isinstance(answer, VideoFrame)
        assert (answer.width, answer.height) == (width, height)
    assert answer.bgr[:, :, 2].mean() > answer.bgr[:, :, 0].mean() + 40
    stage.update(ColourParams(strength=0))
    frame = video(2, 64, 48)
    assert await stage.process(frame) is frame


async def test_colours_do_not_pump_and_follow_a_cut() -> None:
    stage, _ = await started("colour", strength=1)
    bright = np.full((48, 64, 3), 180, np.uint8)
    bright[::3] = 60
    lit = np.asarray(bright * 0.9, np.uint8)
    first = await stage.process(video(1, picture=Picture.from_bgr(bright)))
    second = await stage.process(video(2, picture=Picture.from_bgr(lit)))
    assert isinstance(first, VideoFrame)
    assert isinstance(second, VideoFrame)
    assert first.bgr.mean() > second.bgr.mean() + 2  # what became darker is shown darker
    dark = np.asarray(bright // 6, np.uint8)
    cut = await stage.process(video(3, picture=Picture.from_bgr(dark)))
    assert isinstance(cut, VideoFrame)
    assert abs(cut.bgr.mean() - first.bgr.mean()) < 10


def test_what_is_no_palette_and_no_painting_is_told() -> None:
    for wrong in ([1.0], [0, 0, 0, 0, 0, 300], [0] * 7):
        with pytest.raises(ValidationError, match="palette"):
            ColourParams(palette=wrong)
    with pytest.raises(ValidationError, match="there are: starry-night, great-wave"):
        ColourParams(painting="Mona Lisa")
