"""Recorded sound through an engine that streams (PocketSphinx), and through Whisper with random weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soxr

from aimass_stream.errors import InvalidInput, NotFound
from aimass_stream.hearing.files import Segment, transcribe
from aimass_stream.inference import Engine, installed
from aimass_stream.speech.words import HEARING_RATE, Waveform

from ..support.options import settings
from ..support.speech import speak
from ..support.whisper import make

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def speech() -> Waveform:
    spoken = speak("The bell rang twice.")[:, 0].astype(np.float32) / 32768
    return np.asarray(soxr.resample(spoken, 48_000, HEARING_RATE), np.float32)


def silence(seconds: float) -> Waveform:
    return np.zeros(round(seconds * HEARING_RATE), np.float32)


async def heard(audio: Waveform, *, hearing_model: str = "", **given: object) -> tuple[list[Segment], list[float]]:
    engine, done = Engine(installed()), list[float]()
    try:
        options = settings(hearing_model=hearing_model)
        return [segment async for segment in transcribe(engine, options, audio, progress=done.append,
                                                        **given)], done  # type: ignore[arg-type]
    finally:
        await engine.close()


async def test_speech_is_found_between_minutes_of_silence(speech: Waveform) -> None:
    audio = np.concatenate([silence(20), speech, silence(30), speech, silence(10)])
    segments, done = await heard(audio, want="pocketsphinx")
    assert len(segments) >= 2
    first, last = segments[0], segments[-1]
    length = len(speech) / HEARING_RATE
    assert 19.5 < first.start < first.end < 20.5 + length
    assert 49.5 + length < last.start < last.end < 50.5 + 2 * length
    assert all(segment.start <= word.start <= word.end <= segment.end + 1e-6
               for segment in segments for word in segment.words)
    assert {segment.engine for segment in segments} == {"pocketsphinx"}
    assert done == sorted(done)
    assert done[-1] == pytest.approx(len(audio) / HEARING_RATE)
    assert len(done) > 20  # also told while nothing is heard


async def test_whisper_hears_long_talk_in_windows(speech: Waveform, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(make, tmp_path / "tiny", multilingual=True)
    audio = np.tile(speech, 18)  # half a minute without a rest
    for seconds in (0, 0.01, 20):
        segments, done = await heard(silence(seconds), hearing_model=str(folder))
        assert (segments, done[-1]) == ([], seconds)
    engine = Engine(installed())
    options = settings(hearing_model=str(folder))
    with_words = [segment async for segment in transcribe(engine, options, audio, language="de", temperature=0.5)]
    in_segments = [segment async for segment in transcribe(engine, options, audio, language="de", temperature=0.5,
                                                           word_times=False)]
    assert {segment.language for segment in [*with_words, *in_segments]} <= {"de"}
    assert engine.statistics()[f"whisper {folder}"].runs >= 2
    assert all(0 <= segment.start <= segment.end <= len(audio) / HEARING_RATE + 0.1 for segment in in_segments)
    await engine.close()


async def test_what_can_not_be_heard_is_told_before_the_first_segment(speech: Waveform) -> None:
    with pytest.raises(NotFound):
        await heard(speech, want="pocketsphinx", language="zh")
    with pytest.raises(InvalidInput):
        await heard(speech, want="siri")
    with pytest.raises(InvalidInput, match="no directory"):
        await heard(speech, model="/nowhere/at/all")
