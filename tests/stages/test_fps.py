from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.stage_base import black
from aimass_stream.stages.fps import Fps

from ..support.context import Context, params, started, video

pytestmark = pytest.mark.anyio

TINY: Picture = black(16, 16)


async def passed(times: list[float], maximum: float) -> list[float]:
    """Which of these moments (s) go on."""
    stage, _ = await started("fps", max=maximum)
    return [time for time in times if await stage.process(video(picture=TINY, pts=round(time * 90_000))) is not None]


def steady(fps: float, seconds: float) -> list[float]:
    return [n / fps for n in range(round(fps * seconds))]


@pytest.mark.parametrize(("source", "maximum", "of_ten_seconds"), [
    (30, 10, 100), (30, 15, 150), (30, 20, 200), (30, 24, 240), (30, 29.97, 300), (60, 30, 300), (25, 7, 70),
    (30, 0.5, 5), (30, 30, 300), (30, 240, 300), (10, 30, 100)])
async def test_the_rate_is_exact(source: float, maximum: float, of_ten_seconds: int) -> None:
    assert len(await passed(steady(source, 10), maximum)) == pytest.approx(of_ten_seconds, abs=1)


async def test_a_third_of_the_pictures_is_every_third() -> None:
    times = steady(30, 3)
    assert await passed(times, 10) == times[::3]


async def test_a_camera_that_jitters_loses_nothing() -> None:
    chance = random.Random(3)
    times = [time + chance.uniform(-0.008, 0.008) for time in steady(30, 10)]
    assert await passed([time + 1 for time in times], 30) == [time + 1 for time in times]


async def test_after_a_pause_nothing_comes_faster() -> None:
    before, after = steady(30, 1), [time + 5 for time in steady(30, 1)]
    assert len([time for time in await passed([*before, *after], 10) if time >= 5]) <= 11


async def test_a_clock_that_starts_anew() -> None:
    kept = await passed([100 + time for time in steady(30, 1)] + steady(30, 1), 10)
    assert len(kept) == 20
    assert kept[10] == 0


async def test_a_new_limit_counts_at_once() -> None:
    stage, _ = await started("fps", max=0.1)
    frames = [video(picture=TINY, pts=3000 * n) for n in range(6)]
    assert [await stage.process(frame) is not None for frame in frames[:3]] == [True, False, False]
    stage.update(params("fps", max=30))
    assert all([await stage.process(frame) is not None for frame in frames[3:]])


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=80), st.floats(0.5, 60))
@settings(deadline=None)
def test_no_second_has_more(steps: list[int], maximum: float) -> None:
    stage = Fps(params("fps", max=maximum))  # type: ignore[arg-type]
    pts, kept = 0, []
    for step in steps:
        pts += step
        if _step(stage, video(picture=TINY, pts=pts)):
            kept.append(pts)
    for first in kept:
        inside = [time for time in kept if first <= time < first + 90_000]
        assert len(inside) <= maximum + 2


def _step(stage: Fps, frame: VideoFrame) -> bool:
    """One `process`, which never waits, without a loop."""
    stage.context = Context()
    coroutine = stage.process(frame)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value is not None
