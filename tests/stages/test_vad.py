from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aimass_stream.errors import ModelFailed
from aimass_stream.events import SpeechStarted, SpeechStopped
from aimass_stream.frames import Samples
from aimass_stream.inference import Engine, FolderStore, installed

from ..support.context import REGISTRY, Context, audio, params, silence
from ..support.known_words import RATE, frames, said
from ..support.waiting import until

pytestmark = pytest.mark.anyio

SENTENCE = "The bell rang twice"


async def at_work(engine: Engine, **given: object) -> tuple[Any, Context]:
    context = Context()
    context.engine = engine
    stage = REGISTRY.create("vad", params("vad", **given))
    await stage.start(context)
    return stage, context


async def told(samples: Samples, count: int, engine: Engine | None = None, **given: object) -> Context:
    """Until there are so many events."""
    engine = engine or Engine(installed())
    stage, context = await at_work(engine, **given)
    for frame in frames(samples):
        assert await stage.process(frame) is frame
    await until(lambda: len(context.events) >= count)
    await stage.close()
    assert not context.tasks
    await engine.close()
    return context


async def test_speech_begins_and_ends() -> None:
    sound, words = said(1.0, SENTENCE, 1.0)
    began, ended = (data for data, _ in (await told(sound, 2)).events)
    assert isinstance(began, SpeechStarted)
    assert isinstance(ended, SpeechStopped)
    assert began.at == pytest.approx(1.0, abs=0.1)
    assert ended.at == pytest.approx(words[-1].end, abs=0.15)
    assert ended.duration == pytest.approx(ended.at - began.at, abs=0.002)


async def test_silence_and_pre_roll_are_parameters() -> None:
    sound, _ = said(0.2, SENTENCE, 0.4, SENTENCE, 1.0)
    one = await told(sound, 2)
    assert [type(data) for data, _ in one.events] == [SpeechStarted, SpeechStopped]
    two = await told(sound, 4, silence=200, pre_roll=1500)
    starts = [data.at for data, _ in two.events if isinstance(data, SpeechStarted)]
    assert len(starts) == 2
    assert starts[0] == 0  # the stream does not begin earlier
    first = one.events[0][0]
    assert isinstance(first, SpeechStarted)
    assert first.at > 0.1


async def test_parameters_change_while_sound_comes() -> None:
    engine = Engine(installed())
    stage, context = await at_work(engine)
    stage.update(params("vad", min_speech=2000))
    for frame in frames(said(0.3, SENTENCE, 1.0)[0]):
        await stage.process(frame)
    await asyncio.sleep(0.2)
    assert context.events == []
    await stage.close()
    await engine.close()


async def test_a_missing_model_is_told_once_and_loudness_decides() -> None:
    engine = Engine(FolderStore([]))
    stage, context = await at_work(engine)
    sound, _ = said(1.0, SENTENCE, 1.0)
    first, *others = frames(sound)
    with pytest.raises(ModelFailed, match="loudness"):
        await stage.process(first)
    for frame in others:
        assert await stage.process(frame) is frame
    await until(lambda: len(context.events) >= 2)
    assert [type(data) for data, _ in context.events] == [SpeechStarted, SpeechStopped]
    await stage.close()
    await engine.close()


async def test_odd_sound_passes() -> None:
    engine = Engine(installed())
    stage, _ = await at_work(engine)
    for count, channels, rate in ((0, 1, 48_000), (1, 1, 8_000), (960, 2, 48_000), (7, 6, 44_100), (RATE, 1, 384_000)):
        frame = audio(silence(count, channels), rate=rate)
        assert await stage.process(frame) is frame
    await stage.close()
    await engine.close()
