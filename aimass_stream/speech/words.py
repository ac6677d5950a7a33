"""Words with their times, and what is asked of a recogniser for a piece of sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

HEARING_RATE = 16_000  # Hz, mono: what every recogniser and the voice activity detector take

Waveform: TypeAlias = NDArray[np.float32]  # (n,), -1 to 1

Task: TypeAlias = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word, with the punctuation that hangs on it. Times are in seconds of the stream it is part of."""

    text: str  # without blanks around it
    start: float  # s
    end: float  # s
    confidence: float | None = None  # 0 to 1; None: the engine does not say

    def moved(self, seconds: float) -> Word:
        return Word(self.text, self.start + seconds, self.end + seconds, self.confidence)

    def json(self) -> dict[str, Any]:
        confidence = None if self.confidence is None else round(self.confidence, 3)
        return {"text": self.text, "start": round(self.start, 3), "end": round(self.end, 3), "confidence": confidence}


def joined(words: tuple[Word, ...] | list[Word]) -> str:
    """With blanks between them; `speech.transcript.line` knows the languages that are written without."""
    return " ".join(word.text for word in words)


@dataclass(frozen=True, slots=True)
class HearRequest:
    """One piece of sound for a model that hears a whole piece at once (Whisper). A row of its batch."""

    audio: Waveform  # at HEARING_RATE, at most 30 s
    language: str | None = None  # "en"; None: detect
    task: Task = "transcribe"
    prompt: str = ""  # what was said before
    prefix: str = ""  # words of this sound that are settled: the answer goes on behind them and leaves them out
    hotwords: str = ""
    word_times: bool = True
    beam: int = 1
    temperature: float = 0.0
    retries: int = 0  # how often a poor answer is tried again, at a higher temperature each time


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a model believes was said in a piece of sound; times count from its begin."""

    words: tuple[Word, ...]
    text: str
    language: str = ""
    language_probability: float = 1.0
    no_speech: float = 0.0  # probability that nobody speaks
    mean_log_probability: float = 0.0  # of the tokens
    segments: tuple[tuple[float, float, str], ...] = ()  # (start s, end s, text) by time tokens
