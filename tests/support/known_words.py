"""A recogniser for sound whose words are known: it tells each when its end has been heard. And sound for it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

import numpy as np

from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Samples
from aimass_stream.speech.contract import Heard, HearingAbilities
from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

from .speech import speak

RATE = 48_000


class KnownWords:
    """`words` have their times in the stream. `gate` holds it back; `failures` is how often it raises first."""

    engine, model = "known", "words"
    abilities = HearingAbilities(("en",), word_times=True, confidence=False, batching=False, hotwords=False,
                                 translation=False)

    def __init__(self, words: Sequence[Word] = (), *, failures: int = 0) -> None:
        self._words = tuple(words)
        self._at = 0.0
        self.failures = failures
        self.gate = asyncio.Event()
        self.gate.set()
        self.heard: list[tuple[float, float]] = []  # begin and end of each utterance in the stream
        self.accepted: list[int] = []  # samples of each piece
        self.closed = False

    async def begin(self, at: float) -> None:
        self._at = at
        self.heard.append((at, at))

    async def accept(self, audio: Waveform) -> Heard | None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the model is ill")
        self._at += len(audio) / HEARING_RATE
        self.accepted.append(len(audio))
        self.heard[-1] = (self.heard[-1][0], self._at)
        return Heard(partial=self._said(), language="en")

    async def finish(self) -> Heard:
        await self.gate.wait()
        return Heard(committed=self._said(), language="en")

    async def close(self) -> None:
        self.closed = True

    def _said(self) -> tuple[Word, ...]:
        begin, end = self.heard[-1]
        return tuple(word for word in self._words if word.start >= begin - 0.1 and word.end <= end + 0.1)


class LateWords(KnownWords):
    """Its partials lag: they are brought up to date in a pause only."""

    def __init__(self, words: Sequence[Word] = ()) -> None:
        super().__init__(words)
        self.pauses = 0

    async def accept(self, audio: Waveform) -> Heard | None:
        await super().accept(audio)
        return None

    async def pause(self) -> Heard | None:
        self.pauses += 1
        await self.gate.wait()
        return Heard(partial=self._said(), language="en")


spoken = functools.cache(speak)


def silence(seconds: float) -> Samples:
    return np.zeros((round(seconds * RATE), 1), np.int16)


def voice(text: str) -> Samples:
    """The text as sound, without silence around it."""
    samples = spoken(text)
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 300)
    cut: Samples = samples[loud[0] : loud[-1] + 1]
    return cut


def said(*parts: str | float) -> tuple[Samples, list[Word]]:
    """Texts and silences (s) in their order: the sound, and the words with their times, evenly over their text."""
    pieces, words, at = [], [], 0.0
    for part in parts:
        piece = silence(part) if isinstance(part, float) else voice(part)
        length = len(piece) / RATE
        if isinstance(part, str):
            texts = part.split()
            step = length / len(texts)
            words += [Word(text, at + place * step, at + (place + 1) * step) for place, text in enumerate(texts)]
        pieces.append(piece)
        at += length
    return np.concatenate(pieces), words


def frames(samples: Samples, *, begin: float = 0.0, rate: int = RATE, length: float = 0.02) -> list[AudioFrame]:
    """In pieces of 20 ms; `begin` is the media time of the first sample."""
    step = round(length * rate)
    first = round(begin * RATE)
    return [AudioFrame(samples=samples[at : at + step], pts=first + at * RATE // rate, time_base=AUDIO_TIME_BASE,
                       track="audio-0", rate=rate) for at in range(0, len(samples), step)]
