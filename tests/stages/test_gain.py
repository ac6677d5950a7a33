from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.clips import tone
from aimass_stream.frames import Samples
from aimass_stream.stages.gain import KNEE

from ..support.context import audio, once, params, silence, started

pytestmark = pytest.mark.anyio


async def test_half_and_double() -> None:
    samples = tone(0.02, level=-20)
    half = (await once("gain", audio(samples), db=-6.0206)).samples
    np.testing.assert_allclose(half, samples / 2, atol=0.51)
    double = (await once("gain", audio(samples), db=6.0206)).samples
    np.testing.assert_allclose(double, samples * 2.0, atol=0.51)
    assert double.dtype == np.int16


async def test_no_gain_is_no_work() -> None:
    frame = audio(tone(0.02, level=0))
    assert await once("gain", frame) is frame


async def test_peaks_bend_and_never_wrap() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int16)[:, None]
    loud = (await once("gain", audio(samples), db=12)).samples[:, 0].astype(int)
    assert (np.diff(loud) >= 0).all()
    assert np.diff(loud).max() <= np.ceil(10 ** (12 / 20)) + 1  # no jump at the knee
    assert abs(loud).max() <= 32767
    quiet = abs(samples[:, 0].astype(int)) * 10 ** (12 / 20) < KNEE
    np.testing.assert_allclose(loud[quiet], samples[quiet, 0] * 10 ** (12 / 20), atol=1)


async def test_a_change_glides_over_one_frame() -> None:
    stage, _ = await started("gain")
    frame = audio(np.full((960, 2), 10_000, np.int16))
    stage.update(params("gain", db=-40))
    first, second = await stage.process(frame), await stage.process(frame)
    assert first.samples[0, 0] == 10_000
    assert first.samples[-1, 0] == 100
    assert abs(np.diff(first.samples[:, 0].astype(int))).max() <= 12
    assert (second.samples == 100).all()


async def test_empty_sound_passes() -> None:
    frame = audio(silence(0))
    assert (await once("gain", frame, db=20)).samples.shape == (0, 1)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50), st.floats(-60, 40))
def test_sign_and_order_are_kept(values: list[int], db: float) -> None:
    from aimass_stream.stages.gain import _factor, _rounded, _soft_clip

    wave = np.array(values, np.float32) * np.float32(_factor(db))
    after: Samples = _rounded(_soft_clip(wave))
    order = np.argsort(values, kind="stable")
    assert (np.diff(after[order].astype(int)) >= 0).all()
    assert (np.sign(after) * np.sign(values) >= 0).all()
