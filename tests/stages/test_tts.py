"""Stage `tts`: real speech in real time, behind it and in a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.events import SpeechSpoken
from aimass_stream.frames import AudioFrame, TextFrame
from aimass_stream.inference import Engine, installed
from tests.support.context import REGISTRY, Context, params
from tests.support.session import open_session, opened_node, sound
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

TICK = Fraction(1, 1000)
TEXT = "The bell rang twice, and nobody came."


@asynccontextmanager
async def stage(own: str = "text-0", /, **given: Any) -> AsyncIterator[tuple[Any, Context]]:
    engine = Engine(installed())
    made, context = REGISTRY.create("tts", params("tts", **given)), Context()
    context.track, context.engine = own, engine
    await made.start(context)
    try:
        yield made, context
    finally:
        await made.close()
        await engine.close()


def text(words: str, pts: int = 0, track: str = "text-0", *, final: bool = True) -> TextFrame:
    return TextFrame(text=words, pts=pts, time_base=TICK, track=track, final=final)


def frames(context: Context) -> list[tuple[float, AudioFrame]]:
    return [(at, frame) for at, frame in context.emitted if isinstance(frame, AudioFrame)]


def spoken(context: Context) -> list[SpeechSpoken]:
    return [event for event, _ in context.events if isinstance(event, SpeechSpoken)]


async def silent(context: Context, seconds: float = 0.3) -> None:
    """Wait until nothing has left for so long."""
    count = -1
    while count != len(context.emitted):
        count = len(context.emitted)
        await asyncio.sleep(seconds)


async def test_text_is_spoken_in_real_time_in_frames_of_20_ms() -> None:
    async with stage() as (tts, context):
        line = text(TEXT, pts=5000)
        assert await tts.process(line) is line
        await until(lambda: spoken(context) and spoken(context)[-1].text == "and nobody came.")
        await silent(context)
        said = frames(context)
        assert {(frame.samples.shape, frame.rate, frame.track) for _, frame in said} == {((960, 1), 48_000, "audio-0")}
        assert all(after.pts - before.pts == 960 for (_, before), (_, after) in pairwise(said))
        assert 5.0 <= said[0][1].seconds < 5.5
        seconds, took = len(said) * 0.02, said[-1][0] - said[0][0]
        assert 1.5 < seconds < 4
        assert seconds - 0.2 < took < seconds + 0.3
        assert max(np.abs(frame.samples).max() for _, frame in said) > 3000
        assert tts.underruns == 0


async def test_words_are_told_with_their_media_times() -> None:
    async with stage() as (tts, context):
        await tts.process(text(TEXT, pts=7000))
        await until(lambda: len(spoken(context)) == 2)
        events = spoken(context)
        assert [event.text for event in events] == ["The bell rang twice,", "and nobody came."]
        assert events[0].engine == "espeak"
        words = [word for event in events for word in event.words]
        assert [word.text for word in words] == ["The", "bell", "rang", "twice,", "and", "nobody", "came."]
        assert all(before.end <= after.start + 0.01 for before, after in pairwise(words))
        assert words[0].start == pytest.approx(frames(context)[0][1].seconds, abs=0.05)
        await silent(context)
        assert words[-1].end <= frames(context)[-1][1].seconds + 0.02
        first = frames(context)[0][1].seconds
        said = np.zeros((frames(context)[-1][1].pts - frames(context)[0][1].pts + 960, 1), np.int16)
        for _, frame in frames(context):  # on a machine that stalls, speech may pause where it should not
            begin = frame.pts - frames(context)[0][1].pts
            said[begin : begin + 960] = frame.samples
        for word in words:  # where a word is said to be, there is sound
            piece = said[max(0, round((word.start - first) * 48_000)) : round((word.end - first) * 48_000)]
            assert np.abs(piece).max() > 1000, word


async def test_texts_that_may_be_replaced_are_not_spoken() -> None:
    async with stage() as (tts, context):
        draft = text("This is wrong.", final=False)
        assert await tts.process(draft) is draft
        await tts.process(text("Right."))
        await until(lambda: spoken(context))
        assert spoken(context)[0].text == "Right."


async def test_words_one_by_one_are_spoken_clause_by_clause() -> None:
    async with stage(text="words") as (tts, context):
        for word in TEXT.split():
            await tts.process(text(word))
        await until(lambda: len(spoken(context)) == 2)
        assert [event.text for event in spoken(context)] == ["The bell rang twice,", "and nobody came."]


async def test_a_flush_silences_it_at_once_and_the_next_text_is_spoken() -> None:
    async with stage() as (tts, context):
        await tts.process(text("This is a long sentence that somebody does not want to hear to its very end. " * 5))
        await context.until_emitted(10)
        tts.flushed()
        count = len(context.emitted)
        await asyncio.sleep(0.2)
        assert len(context.emitted) == count
        last = frames(context)[-1][1]
        await tts.process(text("Sorry."))
        await context.until_emitted(count + 5)
        assert frames(context)[count][1].pts >= last.pts + 960
        await until(lambda: spoken(context) and spoken(context)[-1].text == "Sorry.")


async def test_the_track_s_own_sound_gives_way_and_tells_the_time() -> None:
    async with stage("audio-0") as (tts, context):
        other: Any = REGISTRY.create("tts", params("tts"))
        microphone = Context()
        microphone.track, microphone.engine = "audio-0", context.engine
        await other.start(microphone)
        noise = AudioFrame(samples=np.ones((960, 1), np.int16), pts=90 * 48_000, time_base=Fraction(1, 48_000),
                           track="audio-0")
        assert await other.process(noise) is None
        await tts.process(text("Hello.", pts=3000, track="audio-0"))
        await context.until_emitted(3)
        assert 90 <= frames(context)[0][1].seconds < 90.5
        other.flushed()  # barge-in reaches the lane of the sound; the text's own instance falls silent
        count = len(context.emitted)
        await asyncio.sleep(0.1)
        assert len(context.emitted) == count
        await other.close()


async def test_sound_of_other_tracks_passes() -> None:
    async with stage("audio-1") as (tts, _):
        frame = AudioFrame(samples=np.ones((960, 1), np.int16), pts=0, time_base=Fraction(1, 48_000), track="audio-1")
        assert await tts.process(frame) is None
    async with stage("audio-1", track="audio-0") as (tts, _):
        assert await tts.process(frame) is frame


async def test_speed_and_voice_change_from_the_next_clause_on() -> None:
    async with stage() as (tts, context):
        await tts.process(text("One two three four five six."))
        await until(lambda: len(spoken(context)) == 1)
        tts.update(params("tts", speed=2.5, voice="en-gb"))
        await tts.process(text("One two three four five six."))
        await until(lambda: len(spoken(context)) == 2)
        slow, fast = (event.words[-1].end - event.words[0].start for event in spoken(context))
        assert fast < 0.6 * slow
        assert spoken(context)[1].voice == "en-gb"


async def test_a_voice_that_is_not_there_is_told_and_the_next_text_is_spoken() -> None:
    async with stage(voice="nobody") as (tts, context):
        await tts.process(text("Hello."))
        await until(lambda: "failed" in context.drops)
        with pytest.raises(InvalidInput, match="nobody"):
            await tts.process(text("Hello again."))
        tts.update(params("tts"))
        await tts.process(text("Hello at last."))
        await until(lambda: spoken(context) and spoken(context)[-1].text == "Hello at last.")


async def test_an_engine_that_is_not_there_refuses_the_start() -> None:
    engine = Engine(installed())
    made, context = REGISTRY.create("tts", params("tts", engine="piper")), Context()
    context.engine = engine
    with pytest.raises(Unavailable):
        await made.start(context)
    await engine.close()


async def test_in_a_session_speech_takes_the_place_of_the_microphone() -> None:
    async with opened_node() as node:
        live, sink = await open_session(node, [{"stage": "tts"}])
        for number in range(10):
            live.push(sound(number))
        live.push(TextFrame(text="Hello there.", pts=0, time_base=TICK, track="audio-0"))
        await sink.until(lambda: len(sink.of("audio")) > 30)
        await sink.until(lambda: sink.typed("speech.spoken"))
        assert sink.of("text")[0][1].text == "Hello there."
        live.flush("audio-0")
        await asyncio.sleep(0.1)
        assert not sink.of("audio")
