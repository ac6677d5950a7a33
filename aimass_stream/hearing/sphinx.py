"""PocketSphinx as a recogniser: what works without any weights but its wheel's. English only, and often wrong."""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from ..errors import InvalidInput, Unavailable
from ..inference import Engine
from ..settings import Settings
from ..speech.contract import Heard, HearingAbilities
from ..speech.words import HEARING_RATE, Task, Waveform, Word
from .recognizers import Offer, Offers

MODEL = "pocketsphinx-en-us"
ABILITIES = HearingAbilities(languages=("en",), word_times=True, confidence=True, batching=False, hotwords=False,
                             translation=False)
WER = 0.29  # of 21 clips by three kinds of readers, streamed, each with a new stream

FRAME = 0.01  # s
STEADY = 0.19  # s: a word that the decoder has not changed for so long, and
CLEAR = 0.28  # s: that ended so long ago, is committed
SAME = 4  # frames that a word's ends may move while it counts as unchanged
SMALLEST = HEARING_RATE // 16  # samples: less is gathered first, for each answer costs

NOISES = ("[", "+", "<")  # what begins so is no word
_VARIANT = re.compile(r"\(\d+\)$")


class Guess(NamedTuple):
    """A word of the decoder's best path. Frames of its utterance."""

    text: str
    first: int
    last: int
    score: float


def guesses(words: Sequence[Sequence[Any]]) -> list[Guess]:
    """Without noises, and without the numbers of pronunciations."""
    return [Guess(_VARIANT.sub("", text), first, last, score) for text, first, last, score, *_ in words
            if not text.startswith(NOISES)]


class Commits:
    """Which words of a growing best path are settled: the first ones, unchanged and clear of its end for a while."""

    def __init__(self) -> None:
        self._until = -1  # the last frame that is committed
        self._since: list[tuple[Guess, int]] = []  # the uncommitted words, and the frame at which each was new

    def feed(self, path: list[Guess], frames: int) -> tuple[list[Guess], list[Guess]]:
        """What is committed by this path of so many frames, and what remains."""
        path = self._fresh(path)
        self._since = [(word, self._known(place, word, frames)) for place, word in enumerate(path)]
        settled = 0
        for word, since in self._since:
            if (frames - since) * FRAME < STEADY or (frames - word.last) * FRAME < CLEAR:
                break
            settled += 1
        if settled:
            self._until = path[settled - 1].last
            self._since = self._since[settled:]
        return path[:settled], path[settled:]

    def end(self, path: list[Guess]) -> list[Guess]:
        """The rest, by the last path."""
        rest = self._fresh(path)
        self._until, self._since = -1, []
        return rest

    def _fresh(self, path: list[Guess]) -> list[Guess]:
        """Words that lie behind what is committed, most of each of them."""
        return [word for word in path if word.first + word.last > 2 * self._until]

    def _known(self, place: int, word: Guess, frames: int) -> int:
        if place < len(self._since):
            before, since = self._since[place]
            if before.text == word.text and abs(before.first - word.first) <= SAME \
                    and abs(before.last - word.last) <= SAME:
                return since
        return frames


class Decoder(Protocol):
    """`engines.pocketsphinx.Stream`."""

    failed: bool

    async def begin(self) -> None: ...
    async def hear(self, sound: Waveform) -> dict[str, Any]: ...
    async def finish(self) -> dict[str, Any]: ...
    async def close(self) -> None: ...


class Pool(Protocol):
    """`engines.pocketsphinx.Decoders`."""

    @property
    def pairs(self) -> int:
        """Of streams for commands, that there may be at once."""
        ...

    async def stream(self, *, command: bool = False) -> Any: ...
    async def close(self) -> None: ...


async def decoders(engine: Engine) -> Pool:
    """The decoders that all sessions share. Raises `Unavailable` when PocketSphinx is not here."""
    try:
        module = importlib.import_module("aimass_stream.engines.pocketsphinx")
    except ImportError as error:
        raise Unavailable(f"PocketSphinx can't be loaded: {error}") from error
    return await engine.share("pocketsphinx", cast(Callable[[], Awaitable[Pool]], module.Decoders.open))


class SphinxRecognizer:
    engine = "pocketsphinx"
    model = MODEL
    abilities = ABILITIES

    def __init__(self, pool: Pool, decoder: Decoder) -> None:
        self._pool = pool
        self._decoder = decoder
        self._began = 0.0
        self._commits = Commits()
        self._gathered: list[Waveform] = []
        self._told: tuple[str, ...] = ()  # the last partial

    @staticmethod
    def available(settings: Settings) -> Offers:
        if importlib.util.find_spec("pocketsphinx") is None:
            return [], "the package pocketsphinx is not installed"
        return [Offer(MODEL, ABILITIES, wer=WER, title="CMU's English model, in PocketSphinx's wheel")], ""

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, *, session: str, model: str = "",
                   language: str | None = None, task: Task = "transcribe", policy: str = "", prompt: str = "",
                   hotwords: tuple[str, ...] = ()) -> SphinxRecognizer:
        """Raises `InvalidInput` for another language than English, `Busy` when all decoders are in use."""
        if language not in (None, "", "en"):
            raise InvalidInput(f"PocketSphinx hears English only, not {language!r}", field="language")
        if task == "translate":
            raise InvalidInput("PocketSphinx does not translate", field="task")
        if model not in ("", MODEL):
            raise InvalidInput(f"PocketSphinx has one model, {MODEL}, not {model[:100]!r}", field="model")
        pool = await decoders(engine)
        return cls(pool, await pool.stream())

    async def begin(self, at: float) -> None:
        if self._decoder.failed:  # the last utterance's end; this one gets a decoder of its own
            await self._decoder.close()
            self._decoder = await self._pool.stream()
        self._began, self._commits, self._told = at, Commits(), ()
        self._gathered.clear()
        await self._decoder.begin()

    async def accept(self, audio: Waveform) -> Heard | None:
        self._gathered.append(audio)
        if sum(map(len, self._gathered)) < SMALLEST:
            return None
        heard = None
        for piece in self._pieces():
            heard = await self._decoder.hear(piece)
        assert heard is not None
        committed, partial = self._commits.feed(guesses(heard["words"]), heard["frames"])
        told = tuple(word.text for word in partial)
        if not committed and told == self._told:
            return None
        self._told = told
        return Heard(self._words(committed), self._words(partial), "en")

    async def finish(self) -> Heard:
        for piece in self._pieces():
            await self._decoder.hear(piece)
        heard = await self._decoder.finish()
        return Heard(self._words(self._commits.end(guesses(heard["words"]))), (), "en")

    async def close(self) -> None:
        await self._decoder.close()

    def _pieces(self) -> list[Waveform]:
        """What has gathered, in pieces that are decoded well within an answer's time."""
        pieces = [gathered[at : at + HEARING_RATE * 10] for gathered in self._gathered
                  for at in range(0, len(gathered), HEARING_RATE * 10)]
        self._gathered.clear()
        return pieces

    def _words(self, found: list[Guess]) -> tuple[Word, ...]:
        return tuple(Word(word.text, self._began + word.first * FRAME, self._began + (word.last + 1) * FRAME,
                          confidence(word)) for word in found)


def confidence(word: Guess) -> float:
    """How likely the word is right, by how well it sounds like itself and how long it is: a weak guess.

    Fitted on 450 words of three readers. Of the right words and the wrong ones, it puts 64 % of pairs in their order.
    """
    frames = min(word.last - word.first, 60)
    return 1 / (1 + math.exp(-(0.08 + 0.033 * (word.score + 45) + 0.018 * (frames - 25))))
