"""Command mode: an utterance is decoded with the grammar of the declared phrases, and believed or not.

A grammar finds a command in whatever is said. So the utterance is decoded as mere phones as well, in a process beside,
in any order: they fit other talk much better than a command does, at least at the worst of its words; what is heard of
a voice as phones is not what those of the command are usually heard as; and a command that is forced on other talk has
words which are too long or too short, and pauses between them. A logistic function of that says how likely it was a
command.

Both decode while the user speaks, so that little is left to do at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import AimassError, Busy, ModelFailed
from ..inference import Engine
from ..settings import Settings
from ..speech import quantities
from ..speech.grammar import OPEN, Command, Phrase, match, parse, slots_of
from ..speech.jsgf import jsgf, words_of
from ..speech.words import HEARING_RATE, Waveform
from .confusions import sounds_like
from .pairs import Pair, Pairs, Path
from .phones import phones, stretched
from .sphinx import NOISES, Guess, guesses

log = logging.getLogger(__name__)

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]

LONGEST = 10.0  # s; nobody says a longer command
STEP = 0.2  # s of sound that is decoded at a time


class Evidence(NamedTuple):
    """Of a command against mere phones. Scores are log likelihoods for each frame, in the decoder's unit."""

    worst: float  # the command's path over that of the phones, over the worst of its words
    spoken: float  # over the frames that have sounds in either path; from -WORST_SPOKEN on
    stretched: float  # words that are too long or too short for their phones
    paused: float  # share of all frames that are pauses inside the command
    alike: float  # the command's phones are heard as the phones that were
    counted: float  # 1 for a command with a number: there are so many that some of them fits anything


# fitted to twenty synthetic voices and two readers by `benchmarks.speech_commands --fit`; measured on others
BIAS = 5.82
WEIGHTS = Evidence(worst=0.042, spoken=0.243, stretched=-5.67, paused=-18.1, alike=3.03, counted=-0.443)
ACCEPTED = 0.732
WORST_SPOKEN = 15.0
NUMBERS = {*quantities.ONES, *quantities.TEENS, *quantities.TENS, "hundred", "thousand", "point", "minus", "oh"}


class CommandEar:
    """Decides utterances for all sessions that have the same phrases."""

    def __init__(self, pairs: Pairs, phrases: tuple[Phrase, ...]) -> None:
        self.pairs = pairs
        self._phrases = phrases
        self.phrases = tuple(_closed(phrases))  # that can be heard
        self._grammar = ""
        self.left_out: tuple[str, ...] = ()  # patterns that no grammar can hold: they are matched in text only

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, phrases: Sequence[Phrase]) -> CommandEar:
        """Raises `Unavailable` when PocketSphinx is not here."""
        async def make() -> CommandEar:
            ear = cls(await Pairs.open(engine), tuple(phrases))
            with suppress(Busy):  # else the first utterance that has a turn opens its pair
                ear.pairs.give(await ear.pairs.take(ear))
            return ear

        key = hashlib.sha256(repr(tuple(phrases)).encode()).hexdigest()[:16]
        return await engine.share(f"commands {key}", make)

    def listen(self, spawn: Spawn) -> Listening:
        """To one utterance, from its beginning on."""
        return Listening(self, spawn)

    async def decide(self, audio: Waveform) -> Command | None:
        """The command that this whole utterance is; None for other talk."""
        paths = await self.paths(audio)
        return None if paths is None else decided(*paths, self.phrases)

    async def paths(self, audio: Waveform) -> tuple[Path, Path] | None:
        """What the grammar and free speech make of a whole utterance; None for one that is not decoded."""
        listening = self.listen(lambda work, name: asyncio.create_task(work, name=name))
        try:
            listening.hear(audio)
            return await listening.paths()
        finally:
            listening.close()

    async def close(self) -> None:
        """The engine closes it, since it is shared."""
        self.pairs.forget(self)

    async def tune(self, grammatical: Any, free: Any) -> None:
        """Tell the decoders of a pair what to listen for: both at once, for each takes a while."""
        await asyncio.gather(self._tune(grammatical), free.listen_freely())

    async def _tune(self, stream: Any) -> None:
        known = set(await stream.known(self._words))  # each decoder learns the compounds among them
        if not self._grammar:
            self._grammar, self.left_out = jsgf(self._phrases, known.__contains__)
        await stream.listen_for(self._grammar)

    @cached_property
    def _words(self) -> list[str]:
        return words_of(self._phrases)


class Listening:
    """One utterance that may be a command. `hear` its sound as it comes, at HEARING_RATE, and `decide` in a silence.

    What is heard after that takes the utterance up again, from its beginning. `close` it in the end.
    """

    def __init__(self, ear: CommandEar, spawn: Spawn) -> None:
        self._ear = ear
        self._spawn = spawn
        self._sound: list[Waveform] = []
        self._samples = 0
        self._fed = 0  # pieces of the sound that the pair has
        self._pair: Pair | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._deciding = asyncio.Lock()
        self._lost = False  # it is too long, or can't be decoded

    def hear(self, sound: Waveform) -> None:
        """At once; it is decoded beside."""
        if self._lost or not len(sound):
            return
        self._sound.append(sound)
        self._samples += len(sound)
        if self._samples > LONGEST * HEARING_RATE:
            self.close()
        elif self._feeding is None and sum(map(len, self._sound[self._fed :])) >= STEP * HEARING_RATE:
            self._feed()

    async def decide(self) -> Command | None:
        """The command that it was up to now; None for other talk."""
        paths = await self.paths()
        return None if paths is None else decided(*paths, self._ear.phrases)

    async def paths(self) -> tuple[Path, Path] | None:
        """What the grammar and free speech make of it; None where that can't be had."""
        async with self._deciding:
            await self.settle()
            if self._lost or not self._sound:
                return None
            self._feed()
            await self.settle()
            if self._pair is None:
                return None
            pair, self._pair, self._fed = self._pair, None, 0
            try:
                return await pair.paths()
            except ModelFailed as error:
                log.warning("commands: %s", error)
                return None
            finally:
                self._ear.pairs.give(pair)

    async def settle(self) -> None:
        """Until what has been heard is decoded, but for less than a STEP."""
        if self._feeding is not None:
            await asyncio.wait([self._feeding])

    def close(self) -> None:
        """It is of no use any more: its decoders are free for others."""
        self._lost = True
        self._sound.clear()
        self._fed = 0
        if self._feeding is None:
            self._release()

    def _feed(self) -> asyncio.Task[None]:
        self._feeding = task = self._spawn(self._fed_all(), "command")
        task.add_done_callback(self._fed_done)  # also of one that was ended before it began
        return task

    async def _fed_all(self) -> None:
        try:
            if self._pair is None:
                self._pair = await self._ear.pairs.take(self._ear)
                await self._pair.begin()
            while self._fed < len(self._sound):
                fresh = np.concatenate(self._sound[self._fed :])
                self._fed = len(self._sound)
                await self._pair.feed(fresh)
        except AimassError as error:
            log.log(logging.INFO if isinstance(error, Busy) else logging.WARNING, "commands: %s", error)
            self._lost = True

    def _fed_done(self, task: asyncio.Task[None]) -> None:
        if self._feeding is task:
            self._feeding = None
        if self._lost or task.cancelled():
            self._lost = True
            self._release()

    def _release(self) -> None:
        if self._pair is not None:
            self._ear.pairs.give(self._pair)
            self._pair = None


def _closed(phrases: Sequence[Phrase]) -> Iterator[Phrase]:
    """What a grammar can hold of them: else "<text>" would be what its words mean."""
    for phrase in phrases:
        patterns = tuple(pattern for pattern in phrase.patterns
                         if not any(slot.kind in OPEN for slot in slots_of(parse(pattern))))
        if patterns:
            yield replace(phrase, patterns=patterns)


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
    frames = max(int(item[2]) for item in [*commanded, *free]) + 1
    margin = _scores(commanded, frames) - _scores(free, frames)
    spoken = _spoken(words, frames)
    either = spoken | _spoken(guesses(free), frames)
    said = _words(commanded)
    return Evidence(
        worst=min(float(margin[word.first : word.last + 1].mean()) for word in words),
        spoken=max(-WORST_SPOKEN, float(margin[either].mean())), stretched=stretched(said),
        paused=float((~spoken[words[0].first : words[-1].last]).sum()) / frames,
        alike=sounds_like(phones(said), phones(_words(free))),
        counted=float(any(word.text in NUMBERS for word in words)))


def likelihood(found: Evidence) -> float:
    """That a command was said, 0 to 1."""
    total = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, found, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _scores(path: Path, frames: int) -> NDArray[np.float64]:
    scores = np.zeros(frames)
    for _, first, last, score, *_ in path:
        scores[first : last + 1] = score
    return scores


def _words(path: Path) -> Path:
    return [item for item in path if not item[0].startswith(NOISES)]


def _spoken(words: list[Guess], frames: int) -> NDArray[np.bool_]:
    spoken = np.zeros(frames, bool)
    for word in words:
        spoken[word.first : word.last + 1] = True
    return spoken
