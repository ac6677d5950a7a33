"""A recogniser that knows beforehand what will be said, and when: a double for words only. All else is real.

Its script is words with times of the stream; a word is committed once the sound has gone past its end.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from aimass_stream.frames import AUDIO_RATE, Samples
from aimass_stream.hearing import recognizers
from aimass_stream.hearing.recognizers import Offer, Offers
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Heard, HearingAbilities
from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

ABILITIES = HearingAbilities(("en",), word_times=True, confidence=False, batching=False, hotwords=False,
                             translation=False)
CLEAR = 0.1  # s of sound after a word, then it stays


class Scripted:
    engine, model, abilities = "scripted", "script", ABILITIES
    script: ClassVar[list[Word]] = []

    def __init__(self) -> None:
        self._begin = self._at = 0.0
        self._told = 0

    @staticmethod
    def available(settings: Settings) -> Offers:
        return [Offer("script", ABILITIES, wer=0.0)], ""

    @classmethod
    async def open(cls, *arguments: Any, **options: Any) -> Scripted:
        return cls()

    async def begin(self, at: float) -> None:
        self._begin = self._at = at
        self._told = sum(word.start < at for word in self.script)

    async def accept(self, audio: Waveform) -> Heard | None:
        self._at += len(audio) / HEARING_RATE
        return self._heard(CLEAR)

    async def finish(self) -> Heard:
        return self._heard(-CLEAR)

    async def close(self) -> None:
        """Nothing is held."""

    def _heard(self, clear: float) -> Heard:
        committed = []
        while self._told < len(self.script) and self.script[self._told].end + clear <= self._at:
            committed.append(self.script[self._told])
            self._told += 1
        begun = [word for word in self.script[self._told :] if word.start <= self._at] if clear > 0 else []
        return Heard(tuple(committed), tuple(begun), "en")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    """The only recogniser there is; what it hears is what `Microphone.say` put into the sound."""
    monkeypatch.setattr(recognizers, "RECOGNIZERS", {"scripted": f"{__name__}:Scripted"})
    monkeypatch.setattr(Scripted, "script", [])
    return Scripted


class Microphone:
    """What a user's microphone will hear, laid out beforehand: 48 kHz mono with a little noise."""

    def __init__(self, seconds: float) -> None:
        self.samples = np.random.default_rng(1).normal(0, 12, int(seconds * AUDIO_RATE)).astype(np.int16)[:, None]

    def add(self, at: float, sound: Samples) -> float:
        """Mix sound in; answers where it ends, s."""
        begin = int(at * AUDIO_RATE)
        end = min(begin + len(sound), len(self.samples))
        mixed = self.samples[begin:end].astype(np.int32) + sound[: end - begin]
        self.samples[begin:end] = np.clip(mixed, -32768, 32767).astype(np.int16)
        return end / AUDIO_RATE

    def say(self, at: float, text: str, sound: Samples) -> float:
        """A clip of somebody who says this, silence around it cut off; the scripted recogniser will hear it."""
        loud = np.flatnonzero(np.abs(sound[:, 0]) > 300)
        sound = sound[loud[0] : loud[-1] + 1]
        end = self.add(at, sound)
        words = text.split()
        length = (end - at) / max(1, len(words))
        Scripted.script += [Word(word, at + n * length, at + (n + 1) * length) for n, word in enumerate(words)]
        Scripted.script.sort(key=lambda word: word.start)
        return end
