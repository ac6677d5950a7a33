"""What a recogniser and a voice are. Engines implement these; stages and protocols see nothing else of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ..frames import Samples
from .words import Waveform, Word


@dataclass(frozen=True, slots=True)
class HearingAbilities:
    """What a recogniser can do, as far as somebody who chooses one cares."""

    languages: tuple[str, ...]  # ISO 639-1, the engine's own answer
    word_times: bool
    confidence: bool
    batching: bool  # sessions may share one run
    hotwords: bool
    translation: bool  # into English


@dataclass(frozen=True, slots=True)
class Heard:
    """What changed. `committed` is appended and never retracted; `partial` replaces the last partial."""

    committed: tuple[Word, ...] = ()
    partial: tuple[Word, ...] = ()
    language: str = ""


class Recognizer(Protocol):
    """Hears one stream. Calls come from one task, in order; each may await a model."""

    engine: str  # "whisper", "emformer", "pocketsphinx"
    model: str  # for people: "asr-nano-en", "small"
    abilities: HearingAbilities

    async def begin(self, at: float) -> None:
        """An utterance begins: the next sample lies `at` seconds from the begin of the stream."""
        ...

    async def accept(self, audio: Waveform) -> Heard | None:
        """The next piece of the utterance, of any length, at HEARING_RATE. None: nothing changed.

        A caller that waited here hands over all that has gathered meanwhile in one piece.
        """
        ...

    async def finish(self) -> Heard:
        """The utterance is over: commit the rest of it. `partial` of the answer is empty."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Pausing(Protocol):
    """Of a recogniser whose text may lag behind what it accepted. One whose partials are always up to date needs none.

    The speaker has been silent for about 0.2 s. The end of turn is decided by the text, so that has to be all there.
    """

    async def pause(self) -> Heard | None:
        """Bring the text up to date with all that was accepted; None: it is. The utterance is not over.

        Either more of it is accepted after this, or `finish` comes at once and should then cost next to nothing.
        """
        ...


Gender = Literal["female", "male", "neutral"]


@dataclass(frozen=True, slots=True)
class Voice:
    id: str  # unique in its engine: "en-us+f3"
    name: str  # for people
    engine: str  # "espeak", "piper", "tacotron2"
    languages: tuple[str, ...]  # BCP 47, the best first
    gender: Gender = "neutral"


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is to be said."""

    voice: str = ""  # id; empty: the engine's default for the language
    language: str = "en"  # BCP 47
    speed: float = 1.0  # 0.25 to 4 times the voice's own
    pitch: float = 1.0  # 0.5 to 2 times
    volume: float = 1.0  # 0 to 2


@dataclass(frozen=True, slots=True)
class Spoken:
    """A piece of speech, as soon as it is there. Word times count from the begin of the whole utterance."""

    samples: Samples  # (n, 1) int16 at the synthesizer's rate
    words: tuple[Word, ...] = ()  # that begin in this piece


class Synthesizer(Protocol):
    """A voice engine, shared by all sessions; utterances of several callers may run at once."""

    name: str  # "espeak", "piper", "tacotron2"
    rate: int  # Hz of what `speak` gives

    def voices(self) -> list[Voice]: ...

    def speak(self, text: str, manner: Manner) -> AsyncIterator[Spoken]:
        """One clause or sentence, plain text. Closing the iterator cancels it at once.

        Raises `InvalidInput` for a voice that is not there, `ModelFailed` if the engine died (it is started anew).
        """
        ...

    async def close(self) -> None: ...
