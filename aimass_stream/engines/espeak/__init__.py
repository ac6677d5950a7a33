"""espeak-ng as a voice engine: what speaks on any machine, without weights.

It lives in processes of its own (`child.py`), a few for all sessions, because it is one global state of C and because
some texts end it. What is to be said is cut into parts of at most some 150 characters, and the parts of all callers
are served in turns (`speech/mouths.py`), so a book that is read aloud delays nobody's first word by more than one part.

Rate, pitch and volume are espeak's own; speed goes from 0.46 on (80 words a minute), pitch from 0.7 to 1.6 times.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, Unavailable
from ...frames import Samples
from ...inference.device import cores
from ...settings import Settings
from ...speech import mouth_wire
from ...speech.contract import Gender, Manner, Spoken, Voice
from ...speech.mouths import Desk, Job, Piece
from ...speech.plain import parts
from ...speech.words import Word

USUAL_RATE, SLOWEST, FASTEST = 175, 80, 900  # words a minute
USUAL_PITCH, LOWEST, HIGHEST = 50, 0, 99  # of espeak's scale, which reaches from 0.71 to 1.6 times the usual
LOWEST_RATIO, HIGHEST_RATIO = 0.71, 1.6
USUAL_VOLUME = 100  # %

MOUTHS = 8  # parts that a process says in turns: as many as it has copies of the library
FIRST_PART, PART = 80, 160  # characters
QUIET = 150  # of 32768: below this a word has ended
GENDERS: tuple[Gender, ...] = ("neutral", "male", "female")
LISTED = ("en-us", "en-gb", "cmn")  # whose variants are listed one by one; every voice takes every variant
LANGUAGE = re.compile(r"^language\s+(\S+)", re.MULTILINE)  # in a voice's file


class Espeak:
    """A `Synthesizer`. Made by `open`."""

    name = "espeak"

    def __init__(self, desk: Desk, told: dict[str, Any]) -> None:
        self.rate = int(told["rate"])  # Hz
        self._desk = desk
        self._identifiers: dict[str, str] = {}  # by id: what espeak calls it
        self._languages: dict[str, str] = {}  # by language as anybody may write it: the id
        self._variants = {identifier.removeprefix("!v/"): GENDERS[gender]
                          for _, _, identifier, gender in told["variants"]}
        self._voices = self._list(told["voices"])

    @classmethod
    async def open(cls, engine: Any, settings: Settings) -> Espeak:
        """Raises `Unavailable` when espeak does not start."""
        reason = cls.unavailable(settings)
        if reason:
            raise Unavailable(reason)
        import espeakng_loader

        argv = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("child.py")),
                str(Path(mouth_wire.__file__).parent), espeakng_loader.get_library_path(),
                espeakng_loader.get_data_path(), str(MOUTHS)]
        desk = Desk(cls.name, argv, processes=min(4, cores()), depth=MOUTHS)
        return cls(desk, await desk.open())

    @staticmethod
    def unavailable(settings: Settings) -> str:
        """Why it can't be used here; empty if it can."""
        return "" if importlib.util.find_spec("espeakng_loader") else "the package espeakng-loader is not installed"

    @staticmethod
    def languages(settings: Settings) -> list[str]:
        """BCP 47, English and Mandarin first. Asked of espeak's own data: each language has a file there."""
        import espeakng_loader

        found = {language for path in Path(espeakng_loader.get_data_path(), "lang").rglob("*") if path.is_file()
                 for language in LANGUAGE.findall(path.read_text("utf-8", "replace"))}
        return sorted(found, key=lambda language: (not language.startswith("en"),
                                                   not language.startswith(("cmn", "zh")), language))

    def voices(self) -> list[Voice]:
        return self._voices

    @property
    def variants(self) -> list[str]:
        """What may be put behind any voice's id: "en-gb+f3"."""
        return sorted(self._variants)

    async def speak(self, text: str, manner: Manner) -> AsyncGenerator[Spoken, None]:
        voice = self._identifier(manner)
        numbers = (_rate(manner.speed), _pitch(manner.pitch), round(USUAL_VOLUME * min(max(manner.volume, 0.0), 2.0)))
        said = 0  # samples
        for part, more in parts(text, FIRST_PART, PART):
            job = Job(voice, part, *numbers, pause=more, first=said == 0)
            async with contextlib.aclosing(self._desk.speak(job)) as pieces:
                begin = said
                async for piece in pieces:
                    yield self._spoken(part, piece, begin)
                    said += len(piece.samples)

    async def close(self) -> None:
        await self._desk.close()

    def _spoken(self, text: str, piece: Piece, begin: int) -> Spoken:
        words = []
        for first, last, start, end in piece.words:
            end = _end(piece.samples, start - piece.begin, end - piece.begin) + piece.begin
            written = text[first:last].strip()
            if written:
                words.append(Word(written, (begin + start) / self.rate, (begin + end) / self.rate))
        return Spoken(piece.samples, tuple(words))

    def _list(self, told: list[Any]) -> list[Voice]:
        """Every voice by its main language; where two speak the same one, by the name of the file."""
        voices: list[Voice] = []
        for languages, name, identifier, gender in told:
            known = languages[0] in self._identifiers
            id = identifier.rpartition("/")[2].lower() if known or not languages else languages[0]
            if id in self._identifiers:
                continue
            self._identifiers[id] = identifier
            for language in languages:
                self._languages.setdefault(language, id)
            voices.append(Voice(id, name, self.name, tuple(languages), GENDERS[gender]))
        self._languages |= {"en": "en-us", "zh": "cmn", "zh-cn": "cmn"} if "en-us" in self._identifiers else {}
        voices.sort(key=lambda voice: (voice.id not in LISTED, LISTED.index(voice.id) if voice.id in LISTED else 0,
                                       voice.id))
        return [listed for voice in voices for listed in (voice, *self._varied(voice))]

    def _varied(self, voice: Voice) -> list[Voice]:
        if voice.id not in LISTED:
            return []
        return [Voice(f"{voice.id}+{variant}", f"{voice.name}, {variant}", self.name, voice.languages, gender)
                for variant, gender in sorted(self._variants.items())]

    def _identifier(self, manner: Manner) -> str:
        """What espeak calls the voice. Raises `InvalidInput`."""
        wanted, _, variant = manner.voice.partition("+")
        id = wanted or self._by_language(manner.language)
        identifier = self._identifiers.get(id) or self._identifiers.get(self._languages.get(id.lower(), ""))
        if identifier is None:
            raise InvalidInput(f"espeak has no voice {manner.voice[:64]!r}: GET /v1/audio/voices lists them",
                               field="voice")
        if variant and variant not in self._variants:
            raise InvalidInput(f"there is no variant {variant[:64]!r} of espeak's voices", field="voice")
        return f"{identifier}+{variant}" if variant else identifier

    def _by_language(self, language: str) -> str:
        """The best voice for a BCP 47 tag: of all it says, else of its beginning. Raises `InvalidInput`."""
        tag = language.lower().replace("_", "-")
        while tag:
            if tag in self._languages:
                return self._languages[tag]
            tag = tag.rpartition("-")[0]
        raise InvalidInput(f"espeak does not speak {language[:35]!r}", field="language")


def _rate(speed: float) -> int:
    return round(min(max(USUAL_RATE * speed, SLOWEST), FASTEST))


def _pitch(ratio: float) -> int:
    """On espeak's scale, which is even in octaves on either side of the usual."""
    if ratio <= 0:
        return LOWEST
    if ratio < 1:
        value = USUAL_PITCH - (USUAL_PITCH - LOWEST) * math.log(ratio) / math.log(LOWEST_RATIO)
    else:
        value = USUAL_PITCH + (HIGHEST - USUAL_PITCH) * math.log(ratio) / math.log(HIGHEST_RATIO)
    return round(min(max(value, LOWEST), HIGHEST))


def _end(samples: Samples, start: int, end: int) -> int:
    """Where a word's sound ends: without the pause that follows it."""
    loud = np.flatnonzero(np.abs(samples[max(0, start) : end, 0].astype(np.int32)) > QUIET)
    return start + int(loud[-1]) + 1 if len(loud) else end
