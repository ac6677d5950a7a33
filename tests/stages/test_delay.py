from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest

from aimass_stream.frames import TextFrame, now
from aimass_stream.stage_base import black
from aimass_stream.stages.delay import MOST_BYTES, MOST_FRAMES

from ..support.context import audio, params, silence, started, video

pytestmark = pytest.mark.anyio


def word(number: int) -> TextFrame:
    return TextFrame(pts=number, time_base=Fraction(1, 1000), track="text-0", text=str(number))


async def test_every_frame_comes_later_in_order_and_at_the_full_rate() -> None:
    stage, context = await started("delay", ms=120)
    sent = []
    for number in range(20):
        sent.append(now())
        assert await stage.process(word(number)) is None
        await asyncio.sleep(0.01)
    await context.until_emitted(20)
    assert [frame.pts for _, frame in context.emitted] == list(range(20))
    late = [came - begun for (came, _), begun in zip(context.emitted, sent, strict=True)]
    assert min(late) >= 0.119
    assert sorted(late)[10] < 0.5
    await stage.close()


async def test_sound_and_pictures() -> None:
    stage, context = await started("delay", ms=20)
    picture, sound = video(1), audio(silence())
    await stage.process(picture)
    await stage.process(sound)
    await context.until_emitted(2)
    assert [frame for _, frame in context.emitted] == [picture, sound]


async def test_busy_holds_one_frame_and_answers_it() -> None:
    stage, context = await started("delay", ms=60, mode="busy")
    begun, frame = now(), word(1)
    assert await stage.process(frame) is frame
    assert 0.059 <= now() - begun < 1
    assert context.emitted == []


async def test_a_shorter_delay_lets_go_at_once_and_keeps_the_order() -> None:
    stage, context = await started("delay", ms=5000)
    for number in range(5):
        await stage.process(word(number))
    stage.update(params("delay", ms=0))
    await stage.process(word(5))
    assert [frame.pts for _, frame in context.emitted] == [0, 1, 2, 3, 4, 5]


async def test_a_longer_delay_counts_for_what_is_held() -> None:
    stage, context = await started("delay", ms=20)
    begun = now()
    await stage.process(word(0))
    stage.update(params("delay", ms=100))
    await context.until_emitted(1)
    assert context.emitted[0][0] - begun >= 0.099


async def test_from_hold_to_busy_nothing_is_left_behind() -> None:
    stage, context = await started("delay", ms=5000)
    await stage.process(word(0))
    stage.update(params("delay", ms=1, mode="busy"))
    assert [frame.pts for _, frame in context.emitted] == [0]
    assert await stage.process(word(1)) is not None


async def test_after_close_nothing_comes() -> None:
    stage, context = await started("delay", ms=20)
    await stage.process(word(0))
    await stage.close()
    await asyncio.sleep(0.05)
    assert context.emitted == []
    assert context.drops == {"removed": 1}


async def test_more_than_it_may_hold_goes_on_early() -> None:
    stage, context = await started("delay", ms=5000)
    for number in range(MOST_FRAMES + 3):
        await stage.process(word(number))
    assert [frame.pts for _, frame in context.emitted] == [0, 1, 2]
    await stage.close()


async def test_more_bytes_than_it_may_hold_go_on_early() -> None:
    stage, context = await started("delay", ms=5000)
    large = black(1920, 1920)
    fits = MOST_BYTES // (1920 * 1920 * 3 // 2)
    for number in range(fits + 2):
        await stage.process(video(picture=large, pts=number))
    assert [frame.pts for _, frame in context.emitted] == [0, 1]
    await stage.close()
