"""Command mode: an utterance is decoded with the grammar of the declared phrases, and believed or not.

A grammar finds a command in whatever is said. What tells a command from other talk is how much worse its words fit
the sound than free phones do (a phone loop, the filler of keyword spotting), over the whole and at the worst place,
and how long they take. A logistic function of these says how likely it is a command.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFailed
from ..inference import Engine
from ..settings import Settings
from ..speech.grammar import Command, Phrase, match
from ..speech.jsgf import jsgf, words_of
from ..speech.words import HEARING_RATE, Waveform
from .sphinx import Guess, Pool, decoders, guesses

log = logging.getLogger(__name__)

LONGEST = 10.0  # s; nobody says a longer command
MOST_WAITING = 4  # utterances of all sessions; a further one is decided by its text alone


class Evidence(NamedTuple):
    """Of a command against other talk; scores are log likelihoods for each frame, in the decoder's unit."""

    whole: float  # all frames, pauses too: the grammar's path against free phones
    words: float  # the frames of its words
    worst: float  # the worst of its words
    fit: float  # that word's score by itself
    count: float  # words
    pace: float  # s for each word


# fitted on some synthetic voices and one reader, checked on others
BIAS = 0.0
WEIGHTS = Evidence(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
ACCEPTED = 0.5


class CommandEar:
    """Decides utterances for all sessions that have the same phrases."""

    def __init__(self, pool: Pool, phrases: tuple[Phrase, ...]) -> None:
        self._pool = pool
        self._phrases = phrases
        self._stream: Any = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.left_out: tuple[str, ...] = ()  # patterns that no grammar can hold: they are matched in text only

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, phrases: Sequence[Phrase]) -> CommandEar:
        """Raises `Unavailable` when PocketSphinx is not here, `Busy` when all of its decoders are in use."""
        async def make() -> CommandEar:
            ear = cls(await decoders(engine), tuple(phrases))
            await ear._prepare()
            return ear

        key = hashlib.sha256(repr(tuple(phrases)).encode()).hexdigest()[:16]
        return await engine.share(f"commands {key}", make)

    async def decide(self, audio: Waveform) -> Command | None:
        """The command that this whole utterance is; None for other talk."""
        if len(audio) > LONGEST * HEARING_RATE or self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            async with self._turn:
                heard = await self._heard(audio)
        except ModelFailed as error:
            log.warning("commands: %s", error)
            return None
        finally:
            self._waiting -= 1
        return decided(heard, self._phrases)

    async def close(self) -> None:
        """The engine closes it, since it is shared."""
        if self._stream is not None:
            await self._stream.close()

    async def _heard(self, audio: Waveform) -> dict[str, Any]:
        if self._stream is None or self._stream.failed:
            await self._prepare()
        heard: dict[str, Any] = await self._stream.decide(audio)
        return heard

    async def _prepare(self) -> None:
        await self.close()
        self._stream = await self._pool.stream()
        known = set(await self._stream.known(words_of(self._phrases)))
        grammar, self.left_out = jsgf(self._phrases, known.__contains__)
        await self._stream.listen_for(grammar)


def decided(heard: dict[str, Any], phrases: Sequence[Phrase]) -> Command | None:
    """What a decoder's answer means."""
    words = guesses(heard["words"])
    if not words:
        return None
    command = match(" ".join(word.text for word in words), phrases)
    if command is None:
        return None
    likely = likelihood(evidence(words, heard["words"], heard["phones"]))
    return Command(command.name, command.slots, command.text, likely) if likely >= ACCEPTED else None


def evidence(words: list[Guess], path: Sequence[Sequence[Any]], phones: Sequence[Sequence[Any]]) -> Evidence:
    """`words`, among pauses in the grammar's path, against the phones. Rows are (text, first, last frame, score)."""
    frames = max(int(last) for _, _, last, _ in [*path, *phones]) + 1
    margin = _by_frame(path, frames) - _by_frame(phones, frames)
    spoken = np.concatenate([margin[word.first : word.last + 1] for word in words])
    span = words[-1].last - words[0].first + 1
    return Evidence(
        whole=float(margin.mean()), words=float(spoken.mean()),
        worst=min(float(margin[word.first : word.last + 1].mean()) for word in words),
        fit=min(word.score for word in words), count=float(len(words)), pace=span / 100 / len(words))


def likelihood(found: Evidence) -> float:
    """That a command was said, 0 to 1."""
    sum_ = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, found, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, sum_))))


def _by_frame(path: Sequence[Sequence[Any]], frames: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    scores = np.zeros(frames)
    for _, first, last, score in path:
        scores[first : last + 1] = score
    return scores


