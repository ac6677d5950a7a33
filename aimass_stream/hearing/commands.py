"""Command mode: an utterance is decoded with the grammar of the declared phrases, and believed or not.

A grammar finds a command in whatever is said. So the utterance is decoded as free speech as well, in a process beside:
other talk fits the words of free speech much better than those of a command, at least at the worst of these, and has
words where the command must have a pause. A logistic function of that says how likely it was a command.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFailed
from ..inference import Engine
from ..settings import Settings
from ..speech.grammar import Command, Phrase, match
from ..speech.jsgf import jsgf, words_of
from ..speech.words import HEARING_RATE, Waveform
from .sphinx import Guess, Pool, decoders, guesses

log = logging.getLogger(__name__)

Path: TypeAlias = Sequence[Sequence[Any]]  # text, first and last frame, score; pauses too

LONGEST = 10.0  # s; nobody says a longer command
MOST_WAITING = 4  # utterances of all sessions; a further one is decided by its text alone


class Evidence(NamedTuple):
    """Of a command against free speech. Scores are log likelihoods for each frame, in the decoder's unit."""

    whole: float  # the command's path over that of free speech, all frames
    worst: float  # over the worst of the command's words
    missed: float  # share of all frames that has words in free speech and a pause in the command


# fitted on three synthetic voices and every second clip of one reader; benchmarks/speech_commands.py has others
BIAS = 3.85
WEIGHTS = Evidence(whole=0.0785, worst=0.089, missed=-20.2)
ACCEPTED = 0.55


class CommandEar:
    """Decides utterances for all sessions that have the same phrases."""

    def __init__(self, pool: Pool, phrases: tuple[Phrase, ...]) -> None:
        self._pool = pool
        self._phrases = phrases
        self._streams: list[Any] = []  # for the grammar, and for free speech
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
        return decided(*heard, self._phrases)

    async def close(self) -> None:
        """The engine closes it, since it is shared."""
        for stream in self._streams:
            await stream.close()
        self._streams.clear()

    async def _heard(self, audio: Waveform) -> tuple[Path, Path]:
        if not self._streams or any(stream.failed for stream in self._streams):
            await self._prepare()
        commanded, free = await asyncio.gather(*(stream.whole(audio) for stream in self._streams))
        return commanded, free

    async def _prepare(self) -> None:
        await self.close()
        for _ in range(2):
            self._streams.append(await self._pool.stream())
        grammatical, free = self._streams
        known = set(await grammatical.known(words_of(self._phrases)))
        grammar, self.left_out = jsgf(self._phrases, known.__contains__)
        await grammatical.listen_for(grammar)
        await free.listen_freely()


def decided(commanded: Path, free: Path, phrases: Sequence[Phrase]) -> Command | None:
    """What these two paths through an utterance mean."""
    words = guesses(commanded)
    command = match(" ".join(word.text for word in words), phrases)
    if command is None:
        return None
    likely = likelihood(evidence(words, commanded, free))
    return Command(command.name, command.slots, command.text, likely) if likely >= ACCEPTED else None


def evidence(words: list[Guess], commanded: Path, free: Path) -> Evidence:
    """`words`: those of the command."""
    frames = max(int(last) for _, _, last, _ in [*commanded, *free]) + 1
    margin = _scores(commanded, frames) - _scores(free, frames)
    missed = _spoken(guesses(free), frames) & ~_spoken(words, frames)
    return Evidence(whole=float(margin.mean()), missed=float(missed.mean()),
                    worst=min(float(margin[word.first : word.last + 1].mean()) for word in words))


def likelihood(found: Evidence) -> float:
    """That a command was said, 0 to 1."""
    total = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, found, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _scores(path: Path, frames: int) -> NDArray[np.float64]:
    scores = np.zeros(frames)
    for _, first, last, score in path:
        scores[first : last + 1] = score
    return scores


def _spoken(words: list[Guess], frames: int) -> NDArray[np.bool_]:
    spoken = np.zeros(frames, bool)
    for word in words:
        spoken[word.first : word.last + 1] = True
    return spoken
