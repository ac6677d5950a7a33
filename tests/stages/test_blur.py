from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.frames import Picture
from aimass_stream.stage_base import black, planes

from ..support.context import once, started, video

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sigma", [1.5, 4, 12, 30])
async def test_a_step_spreads_by_sigma(sigma: float) -> None:
    i420 = np.full((720, 640), 20, np.uint8)
    i420[:480, 320:] = 220
    i420[480:] = 128
    luma = planes((await once("blur", video(picture=Picture.from_i420(i420)), sigma=sigma)).picture.i420)[0]
    slope = np.diff(luma[240].astype(float))
    place = np.arange(len(slope))
    middle = (slope * place).sum() / slope.sum()
    spread = np.sqrt((slope * (place - middle) ** 2).sum() / slope.sum())
    assert middle == pytest.approx(319, abs=0.5)
    assert spread == pytest.approx(sigma, rel=0.15, abs=0.4)


async def test_colour_spreads_as_far_as_brightness() -> None:
    i420 = np.full((720, 640), 100, np.uint8)
    luma, u, _ = planes(i420)
    luma[:, 320:], u[:, 160:] = 220, 220
    blurred, blurred_u, _ = planes((await once("blur", video(picture=Picture.from_i420(i420)), sigma=20)).picture.i420)
    np.testing.assert_allclose(blurred_u[100].astype(int), blurred[200, ::2].astype(int), atol=6)


async def test_nothing_to_do() -> None:
    frame = video(1)
    assert (await once("blur", frame, sigma=0)).picture is frame.picture


async def test_a_large_blur_of_a_tiny_picture_is_its_mean() -> None:
    frame = video(1, 16, 16)
    luma = planes((await once("blur", frame, sigma=200)).picture.i420)[0]
    assert np.ptp(luma) <= 12
    assert luma.mean() == pytest.approx(planes(frame.picture.i420)[0].mean(), abs=8)


async def test_large_pictures_go_to_a_thread() -> None:
    stage, context = await started("blur")
    await stage.process(video(picture=black(640, 480)))
    assert not context.ran
    await stage.process(video(picture=black(1280, 720)))
    assert len(context.ran) == 1
