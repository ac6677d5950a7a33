"""A model that hears perfectly what a script says, up to words that the end of the sound cuts, which it gets wrong.

Sound for it carries its own time: see `sound`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aimass_stream.inference import Batch, Capabilities, TensorSpec
from aimass_stream.speech.commit import key
from aimass_stream.speech.words import HEARING_RATE, HearRequest, Hypothesis, Waveform, Word

BASE, SLOPE = 0.2, 1e-4  # of the sound: its value at 0 s, and what each second adds
LOUD = 0.1  # under which it is silence


def sound(start: float, end: float, silences: Sequence[tuple[float, float]] = ()) -> Waveform:
    """From `start` to `end` s of the stream, at HEARING_RATE, silent in between where told."""
    moments = np.arange(round(start * HEARING_RATE), round(end * HEARING_RATE)) / HEARING_RATE
    audio = (BASE + SLOPE * moments).astype(np.float32)
    for begin, until in silences:
        audio[(moments >= begin) & (moments < until)] *= np.float32(0.01)
    return audio


def spoken(text: str, start: float = 0.3, each: float = 0.3, pause: float = 0.05) -> tuple[Word, ...]:
    """The words of a text one after another."""
    return tuple(Word(word, start + index * (each + pause), start + index * (each + pause) + each)
                 for index, word in enumerate(text.split()))


@dataclass
class Script:
    """In the engine by the name `script`. `invent` may change what it says about the sound from..to s."""

    words: tuple[Word, ...]
    invent: Callable[[Hypothesis, float, float], Hypothesis] = lambda said, start, end: said
    languages: tuple[str, ...] = ("en",)
    language: Callable[[float], tuple[str, float]] = lambda start: ("en", 1.0)  # and its probability
    requests: list[HearRequest] = field(default_factory=list)
    name = "script"
    version = "1"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("request", (None,), "object"),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("hypothesis", (None,), "object"),)
    capabilities = Capabilities()

    def warm_up(self) -> None:
        """Needs none."""

    def run(self, batch: Batch) -> Batch:
        row = batch["request"][0]
        answer = np.empty(1, object)
        answer[0] = self.hear(row) if isinstance(row, HearRequest) else Hypothesis((), "")
        return {"hypothesis": answer}

    def hear(self, request: HearRequest) -> Hypothesis:
        self.requests.append(request)
        loud = np.flatnonzero(request.audio > LOUD)
        first = int(loud[0]) if len(loud) else 0
        start = (float(request.audio[first]) - BASE) / SLOPE - first / HEARING_RATE if len(loud) else 0.0
        end = start + len(request.audio) / HEARING_RATE
        words = []
        for word in self.words if len(loud) else ():
            if word.start >= start - 0.01 and word.end <= end:
                words.append(word.moved(-start))
            elif word.start >= start - 0.01 and word.start < end - 0.05:
                words.append(Word(f"mis{len(self.requests)}", word.start - start, end - start))  # another each time
        known = [key(word) for word in request.prefix.split()]
        assert [key(word.text) for word in words[: len(known)]] == known, "the sound does not begin with its prefix"
        words = words[len(known) :]
        language, probability = self.language(start)
        said = Hypothesis(tuple(words), " ".join(word.text for word in words), language, probability)
        return self.invent(said, start, end)

    def reset(self, slot: int) -> None:
        """Keeps no state."""

    def close(self) -> None:
        """Holds nothing."""
