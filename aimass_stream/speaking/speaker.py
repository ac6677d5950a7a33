"""Text in, word by word; speech out, one clause ahead.

While a clause is listened to the next one is made, and no more than that: what is not spoken yet can be cancelled,
and costs little. A clause is spoken as soon as it stands, so the first sound comes long before the text is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import TooLarge
from ..frames import Samples
from ..speech.clauses import Clauses
from ..speech.contract import Manner, Synthesizer
from ..speech.numbers import expanded
from ..speech.plain import Fences, plain, spoken
from ..speech.ssml import Break, parse
from ..speech.words import Word

MOST_TEXT = 64 * 1024  # characters that wait to be spoken
AHEAD = 1  # clauses made, or being made, beyond the one that is listened to
SENTENCE_PAUSE, CLAUSE_PAUSE = 0.28, 0.12  # s between two of them
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
SENTENCE_END = ".!?…。！？\"'”’)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of speech."""

    samples: Samples  # (n, 1) int16 at the speaker's rate
    text: str  # the clause it is part of, as it was written
    words: tuple[Word, ...] = ()  # that begin in it; times in s from the begin of the utterance
    first: bool = False  # of its clause
    last: bool = False  # of its clause


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str  # as written
    manner: Manner
    pause: float = 0.0  # s of silence in place of words


class Speaker:
    """One utterance: `say` and `finish` from one task, `pieces` in another. Used on one event loop."""

    def __init__(self, synthesizer: Synthesizer, manner: Manner | None = None, *, markdown: bool = True) -> None:
        """With `markdown` the text is written for eyes, as a language model's: its marks are left out."""
        self.rate = synthesizer.rate  # Hz
        self.manner = manner or Manner()
        self._synthesizer = synthesizer
        self._mandarin = any(language.startswith(("cmn", "zh")) for voice in synthesizer.voices()
                             for language in voice.languages)
        self._clauses = Clauses()
        self._fences = Fences() if markdown else None
        self._waiting: deque[_Clause] = deque(maxlen=MOST_TEXT + 1)
        self._length = 0  # characters that wait
        self._made: deque[Piece] = deque(maxlen=MOST_TEXT)  # not taken yet: AHEAD clauses and the one at hand
        self._ahead = 0  # clauses begun to be made that the listener has not begun
        self._samples = 0  # made so far
        self._making = False
        self._finished = self._cancelled = self._over = False
        self._error: Exception | None = None
        self._news = asyncio.Event()  # for the maker
        self._sound = asyncio.Event()  # for the listener

    def say(self, delta: str) -> None:
        """More text; a word, a letter or a book's page at a time. Raises `TooLarge` when too much waits already."""
        if self._finished or self._cancelled:
            return
        if self._length + len(delta) > MOST_TEXT:
            raise TooLarge(f"more than {MOST_TEXT} characters wait to be spoken", field="input")
        self._take(self._clauses.feed(self._fences.feed(delta) if self._fences is not None else delta))

    def read(self, ssml: str) -> None:
        """A whole document of SSML in place of plain text. Raises `InvalidInput` with the place of what is wrong."""
        for part in parse(ssml, self.manner):
            if isinstance(part, Break):
                self._waiting.append(_Clause("", self.manner, part.seconds))
                continue
            clauses = Clauses()
            for text in clauses.feed(part.text) + clauses.flush():
                self._waiting.append(_Clause(text, part.manner))
                self._length += len(text)
        self._news.set()

    def flush(self) -> None:
        """What there is of a clause is one; more text may follow, and is another utterance's."""
        if not self._finished:
            rest = self._fences.flush() if self._fences is not None else ""
            self._take(self._clauses.feed(rest) + self._clauses.flush())

    def finish(self) -> None:
        """That was all of the text."""
        self.flush()
        self._finished = True
        self._news.set()

    @property
    def idle(self) -> bool:
        """Everything that can be said so far has been made."""
        return not self._waiting and not self._making

    @property
    def over(self) -> bool:
        """Nothing more will come: finished and said, cancelled or failed."""
        return self._over or self._cancelled

    def cancel(self) -> None:
        """Say no more: `pieces` ends at once, with what it has given."""
        self._cancelled = self._finished = True
        self._waiting.clear()
        self._made.clear()
        self._news.set()
        self._sound.set()

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The speech, until the text is finished and said, or cancelled. Ask once. Close it to let go of the voice.

        Raises what the voice raises (`InvalidInput`, `ModelFailed`, `Busy`) after the sound that came before.
        """
        maker = asyncio.create_task(self._make(), name="speaker")
        try:
            while not self._cancelled:
                if self._made:
                    piece = self._made.popleft()
                    if piece.first:
                        self._ahead -= 1
                        self._news.set()
                    yield piece
                elif self._over:
                    if self._error is not None:
                        raise self._error
                    return
                else:
                    self._sound.clear()
                    await self._sound.wait()
        finally:
            maker.cancel()
            await asyncio.wait([maker])

    def _take(self, clauses: list[str]) -> None:
        for text in clauses:
            self._waiting.append(_Clause(text, self.manner))
            self._length += len(text)
        if clauses:
            self._news.set()

    async def _make(self) -> None:
        try:
            while (clause := await self._next()) is not None:
                self._ahead += 1
                await self._speak(clause)
        except Exception as error:  # told to the listener, in its turn
            self._error = error
        finally:
            self._over = True
            self._sound.set()

    async def _next(self) -> _Clause | None:
        """The next clause, when it is its turn; None when there will be none."""
        while not self._cancelled:
            if self._waiting and self._ahead < AHEAD:
                clause, self._making = self._waiting.popleft(), True
                self._length -= len(clause.text)
                return clause
            if self._finished and not self._waiting:
                return None
            self._news.clear()
            await self._news.wait()
        return None

    async def _speak(self, clause: _Clause) -> None:
        """One clause, and the pause that follows it: its last piece, which may be empty."""
        if clause.pause:
            self._making = False
            self._give(Piece(self._silence(clause.pause), "", first=True, last=True))
            return
        text = spoken(clause.text) if self._fences is not None else clause.text
        manner = self._by_script(text, clause.manner)
        text = expanded(plain(text), manner.language)
        begin, first = self._samples / self.rate, True
        if any(letter.isalnum() for letter in text):
            async with contextlib.aclosing(self._synthesizer.speak(text, manner)) as stream:  # type: ignore[type-var]
                async for part in stream:
                    words = tuple(word.moved(begin) for word in part.words)
                    self._give(Piece(part.samples, clause.text, words, first))
                    first = False
        self._making = False
        self._give(Piece(self._silence(self._pause(clause.text)), clause.text, (), first, last=True))

    def _by_script(self, text: str, manner: Manner) -> Manner:
        """Chinese in a text for no voice in particular is said by a voice that speaks it, if there is one."""
        if not manner.voice and manner.language.startswith("en") and HAN.search(text) and self._mandarin:
            return replace(manner, language="cmn")
        return manner

    def _pause(self, text: str) -> float:
        if self._finished and not self._waiting:
            return 0.0  # nothing follows
        return SENTENCE_PAUSE if text[-1:] in SENTENCE_END else CLAUSE_PAUSE

    def _give(self, piece: Piece) -> None:
        if not self._cancelled:
            self._samples += len(piece.samples)
            self._made.append(piece)
            self._sound.set()

    def _silence(self, seconds: float) -> Samples:
        return np.zeros((int(seconds * self.rate), 1), np.int16)


async def say_all(synthesizer: Synthesizer, text: str, manner: Manner | None = None) -> tuple[Samples, list[Word]]:
    """All of a text as one piece of sound, with its words: for what is short."""
    speaker = Speaker(synthesizer, manner, markdown=False)
    speaker.say(text)
    speaker.finish()
    samples: list[Samples] = [np.zeros((0, 1), np.int16)]
    words: list[Word] = []
    async with contextlib.aclosing(speaker.pieces()) as pieces:
        async for piece in pieces:
            samples.append(piece.samples)
            words += piece.words
    return np.concatenate(samples), words
