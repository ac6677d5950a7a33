"""Recorded sound of any length: cut where nobody speaks, recognised piece by piece, by any engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from ..errors import Busy
from ..inference import Engine
from ..settings import Settings
from ..speech.commit import believable
from ..speech.contract import Recognizer
from ..speech.pieces import Pieces, sentences
from ..speech.transcript import line
from ..speech.words import HEARING_RATE, Hypothesis, Task, Waveform, Word
from .recognizers import open_recognizer
from .vad import MOST_WINDOWS, WINDOW, Vad
from .whisper import WhisperRecognizer

BEAM = 5
RETRIES = 3  # of a piece that came out badly
AGAIN = 0.2  # s until a device is asked again that had too much to do for us
CONTEXT = 200  # characters of what was said before


@dataclass(frozen=True, slots=True)
class Segment:
    """About a sentence. Times are in seconds of the whole sound."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    language: str
    engine: str
    model: str
    # None: the engine has none
    no_speech: float | None = None  # probability that nobody speaks in the piece it is from
    mean_log_probability: float | None = None  # of the tokens of that piece


async def transcribe(engine: Engine, settings: Settings, audio: Waveform, *, want: str = "", model: str = "",
                     language: str | None = None, task: Task = "transcribe", prompt: str = "",
                     hotwords: tuple[str, ...] = (), temperature: float = 0.0, word_times: bool = True,
                     session: str = "files",
                     progress: Callable[[float], None] = lambda seconds: None,
                     opened: Callable[[str, str], None] = lambda engine, model: None) -> AsyncIterator[Segment]:
    """Segments in their order, as soon as each is there; `progress` is told the seconds that are done, `opened` who
    hears.

    The device serves others between two pieces. Raises, with the first segment at the latest, what
    `open_recognizer` raises.
    """
    recognizer = await open_recognizer(engine, settings, session=session, want=want, model=model, language=language,
                                       task=task, prompt=prompt, hotwords=hotwords)
    opened(recognizer.engine, recognizer.model)
    said = ""
    try:
        async for begin, end in _pieces(engine, audio, session, progress):
            piece = audio[round(begin * HEARING_RATE) : round(end * HEARING_RATE)]
            if isinstance(recognizer, WhisperRecognizer):
                heard = await _whole(recognizer, piece, said, temperature, word_times)
            else:
                heard = await _through(recognizer, piece)
            said = f"{said} {heard.text}"[-CONTEXT:].strip()
            progress(end)
            for segment in _segments(heard, begin, recognizer):
                yield segment
        progress(len(audio) / HEARING_RATE)
    finally:
        await recognizer.close()


async def _pieces(engine: Engine, audio: Waveform, session: str,
                  progress: Callable[[float], None]) -> AsyncIterator[tuple[float, float]]:
    vad = Vad(engine, session=session)
    await vad.start()
    pieces = Pieces(WINDOW / HEARING_RATE)
    try:
        for at in range(0, len(audio), WINDOW * MOST_WINDOWS):
            block = audio[at : at + WINDOW * MOST_WINDOWS]
            windows = np.pad(block, (0, -len(block) % WINDOW)).reshape(-1, WINDOW)
            for probability in await vad.probabilities(windows):
                piece = pieces.feed(probability)
                if piece is not None:
                    yield piece
            if pieces.idle:
                progress((at + len(block)) / HEARING_RATE)
        last = pieces.finish()
        if last is not None:
            yield last[0], min(last[1], len(audio) / HEARING_RATE)
    finally:
        await vad.close()


async def _whole(recognizer: WhisperRecognizer, piece: Waveform, said: str, temperature: float,
                 word_times: bool) -> Hypothesis:
    """One careful pass; the words are those that can be believed. Waits while the device is busy with our own."""
    while True:
        try:
            heard = await recognizer.whole(piece, prompt=said, word_times=word_times, beam=1 if temperature else BEAM,
                                           temperature=temperature, retries=0 if temperature else RETRIES)
        except Busy:
            await asyncio.sleep(AGAIN)
            continue
        if not word_times:
            return heard
        words = believable(heard, piece)
        return Hypothesis(words, line(words, heard.language), heard.language, heard.language_probability,
                          heard.no_speech, heard.mean_log_probability)


async def _through(recognizer: Recognizer, piece: Waveform) -> Hypothesis:
    """Through an engine that hears streams."""
    await recognizer.begin(0.0)
    heard = await recognizer.accept(piece)
    last = await recognizer.finish()
    words = (*(heard.committed if heard is not None else ()), *last.committed)
    language = last.language or (heard.language if heard is not None else "")
    return Hypothesis(words, line(words, language), language)


def _segments(heard: Hypothesis, begin: float, recognizer: Recognizer) -> list[Segment]:
    def segment(start: float, end: float, text: str, words: tuple[Word, ...]) -> Segment:
        return Segment(start + begin, end + begin, text, words, heard.language, recognizer.engine, recognizer.model,
                       *sure)

    sure = (heard.no_speech, heard.mean_log_probability) if isinstance(recognizer, WhisperRecognizer) else (None, None)
    if heard.segments:
        return [segment(start, end, text, ()) for start, end, text in heard.segments]
    return [segment(group[0].start, group[-1].end, line(group, heard.language),
                    tuple(word.moved(begin) for word in group)) for group in sentences(heard.words)]
