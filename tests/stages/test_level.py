from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.clips import tone
from aimass_stream.events import AudioLevel
from aimass_stream.frames import Samples

from ..support.context import Context, audio, silence, started

pytestmark = pytest.mark.anyio


async def played(samples: Samples, **given: object) -> Context:
    """One second and less in pieces of 20 ms."""
    stage, context = await started("level", **given)
    for start in range(0, len(samples), 960):
        frame = audio(samples[start : start + 960], pts=start)
        assert await stage.process(frame) is frame
    return context


def levels(context: Context) -> list[AudioLevel]:
    return [data for data, _ in context.events if isinstance(data, AudioLevel)]


async def test_a_sine_of_minus_12() -> None:
    heard = levels(await played(tone(1, level=-12)))
    assert len(heard) == 10
    for level in heard:
        assert level.peak == pytest.approx(-12, abs=0.05)
        assert level.rms == pytest.approx(-12 - 3.01, abs=0.05)


async def test_events_carry_the_frame_they_end_with() -> None:
    context = await played(tone(0.2))
    assert [frame.pts for _, frame in context.events if frame is not None] == [4 * 960, 9 * 960]


@pytest.mark.parametrize(("rate", "count"), [(1, 1), (2, 2), (50, 50)])
async def test_rate(rate: float, count: int) -> None:
    assert len(levels(await played(tone(1), rate=rate))) == count


async def test_the_ends_of_the_scale() -> None:
    assert levels(await played(silence(4800))) == [AudioLevel(rms=-100, peak=-100)]
    full = np.full((4800, 2), -32768, np.int16)
    assert levels(await played(full)) == [AudioLevel(rms=0, peak=0)]


async def test_a_short_peak_between_two_events_is_not_missed() -> None:
    samples = silence(4800)
    samples[100] = 32767
    assert levels(await played(samples))[0].peak == pytest.approx(0, abs=0.01)


async def test_empty_sound_says_nothing() -> None:
    assert levels(await played(silence(0))) == []
    stage, context = await started("level", rate=50)
    await stage.process(audio(silence(0)))
    assert context.events == []
