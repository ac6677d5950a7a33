"""What a pair of ears tells. Times called `at` and those of words are seconds of the frames' media time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..speech.transcript import line
from ..speech.words import Waveform, Word


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks. A later `SpeechEnded` of the same utterance follows, unless the ears are cleared or closed."""

    at: float
    noticed: float  # media time by which it was sure
    utterance: str = ""
    probability: float = 1.0  # mean over what was heard of it


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The silence after it has lasted long enough; `TurnEnded` follows as soon as the words are there."""

    at: float  # the end of the speech, not of the silence
    noticed: float
    utterance: str = ""
    began: float = 0.0
    probability: float = 1.0  # mean over the windows of speech
    voiced: float = 0.0  # s of speech, pauses left out
    cut: bool = False  # it went on, but was too long, or was committed

    @property
    def duration(self) -> float:
        """s from begin to end, pauses included."""
        return self.at - self.began


@dataclass(frozen=True, slots=True)
class Partial:
    """What the end of the utterance sounds like so far: replaces the last one."""

    utterance: str
    words: tuple[Word, ...]
    language: str

    @property
    def text(self) -> str:
        return line(self.words, self.language)


@dataclass(frozen=True, slots=True)
class Committed:
    """Words that stay, after those that the utterance has."""

    utterance: str
    words: tuple[Word, ...]
    language: str
    final: bool  # the last ones; they may be none

    @property
    def text(self) -> str:
        return line(self.words, self.language)


@dataclass(frozen=True, slots=True)
class TurnLikely:
    """It is silent and the words look finished: a reply may be begun. `TurnEnded` or `TurnResumed` follows."""

    text: str
    words: tuple[Word, ...]
    utterance: str = ""


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """After `TurnLikely` the speaker went on: a reply that was begun is of no use."""

    utterance: str
    at: float
    noticed: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """All that was said in one turn. `text` may be empty: a cough, or a recogniser that failed."""

    utterance: str
    words: tuple[Word, ...]
    text: str
    began: float
    ended: float
    endpointed: float  # s, monotonic: when the turn was taken for over
    recognized: float  # s, monotonic: when its words were there
    language: str
    audio: Waveform | None  # pre-roll and pauses included, the last 60 s at most
    speaker: str = ""  # whose turn it was, where several speak


@dataclass(frozen=True, slots=True)
class HearingTrouble:
    """Something failed; listening goes on."""

    part: Literal["vad", "recognizer"]  # without vad, loudness decides; without recogniser, words are missing
    detail: str


EarEvent: TypeAlias = (SpeechBegan | SpeechEnded | Partial | Committed | TurnLikely | TurnResumed | TurnEnded
                       | HearingTrouble)
