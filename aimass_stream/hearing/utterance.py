"""One utterance between the task that listens and the task that recognises."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..speech.audio import NOTHING
from ..speech.transcript import line
from ..speech.words import Waveform, Word
from .events import TurnEnded


def _name() -> str:
    return f"u_{secrets.token_hex(6)}"


@dataclass(slots=True, eq=False)
class Utterance:
    """The listener adds sound and says what is wanted; the recogniser takes it and adds words."""

    at: float  # media time of its first sample
    began: float  # media time of its speech
    name: str = field(default_factory=_name)
    waiting: list[Waveform] = field(default_factory=list)  # for the recogniser; the listener bounds it
    held: list[Waveform] = field(default_factory=list)  # of a pause; of use only if the speech goes on
    kept: list[Waveform] = field(default_factory=list)  # for whoever wants the sound; the listener bounds it

    asked: bool = False  # a pause: the text is wanted
    paused: bool = False  # the recogniser has answered that
    waited: bool = False  # the listener has waited for that answer, and will not again
    busy: bool = False  # it is at work on this
    likely: bool = False  # `TurnLikely` was told
    over: bool = False
    unwanted: bool = False  # it was cleared: nothing more is told of it
    phase: Literal["new", "open", "finished"] = "new"  # in the recogniser
    failures: int = 0  # of the recogniser, in a row

    words: list[Word] = field(default_factory=list)
    partial: tuple[Word, ...] = ()
    last: tuple[Word, ...] = ()  # what finishing committed
    language: str = ""

    ended: float = 0.0  # media time
    endpointed: float = 0.0  # s, monotonic
    done: asyncio.Event = field(default_factory=asyncio.Event)
    turn: TurnEnded | None = None

    @property
    def heard(self) -> tuple[Word, ...]:
        return (*self.words, *self.partial)

    @property
    def text(self) -> str:
        return line(self.heard, self.language)

    @property
    def settled(self) -> bool:
        """The text is of all the sound there is before the pause."""
        return self.paused and not self.waiting and not self.busy

    def take(self) -> Waveform:
        audio = np.concatenate(self.waiting) if self.waiting else NOTHING
        self.waiting.clear()
        return audio

    def ending(self, recognized: float) -> TurnEnded:
        """The turn that this was; its words were there at `recognized` (s, monotonic)."""
        audio = np.concatenate(self.kept) if self.kept else None
        return TurnEnded(self.name, tuple(self.words), line(self.words, self.language), self.began, self.ended,
                         self.endpointed, recognized, self.language, audio)

    def resume(self) -> None:
        """The pause was one inside of the utterance."""
        self.waiting += self.held
        self.held.clear()
        self.asked = self.paused = self.waited = False


def shorten(windows: list[Waveform], most: int) -> int:
    """Drop the oldest beyond `most` windows; answers how many went."""
    excess = max(0, len(windows) - most)
    del windows[:excess]
    return excess
