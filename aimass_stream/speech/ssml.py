"""A useful part of SSML (W3C Speech Synthesis Markup Language 1.1) as pieces of text and pauses.

``speak``, ``p``, ``s``, ``break`` (3.2.3), ``prosody`` with rate, pitch and volume (3.2.4), ``say-as`` (3.1.9),
``sub`` (3.1.11), ``voice`` and ``lang`` (3.2.1, 3.1.4). Other elements are read through.
No entity but the five of XML exists, no document type is read, nothing is fetched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias
from xml.parsers import expat

from ..errors import InvalidInput, TooLarge
from .contract import Manner
from .numbers import cardinal, clock, day, digits, ordinal

MOST_DEPTH = 32  # elements inside each other
MOST_PARTS = 4096
MOST_PAUSE = 10.0  # s
STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.35, "x-fast": 1.75}
PITCHES = {"x-low": 0.75, "low": 0.87, "medium": 1.0, "default": 1.0, "high": 1.15, "x-high": 1.35}
VOLUMES = {"silent": 0.0, "x-soft": 0.3, "soft": 0.6, "medium": 1.0, "default": 1.0, "loud": 1.4, "x-loud": 1.8}
PARAGRAPH_PAUSE, SENTENCE_PAUSE = 0.6, 0.3  # s
SEMITONE = 2 ** (1 / 12)
PERCENTAGE = re.compile(r"([+-]?\d{1,3}(?:\.\d{1,3})?)%")
SEMITONES = re.compile(r"([+-]\d{1,2}(?:\.\d{1,3})?)st")
DECIBELS = re.compile(r"([+-]\d{1,2}(?:\.\d{1,3})?)dB")
SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s)")


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    manner: Manner


@dataclass(frozen=True, slots=True)
class Break:
    seconds: float


Part: TypeAlias = Text | Break


def parse(ssml: str, manner: Manner | None = None) -> list[Part]:
    """What is to be said, in order. Raises `InvalidInput` with line and column of what is wrong, `TooLarge`."""
    return _Reader(manner or Manner()).read(ssml)


class _Reader:
    def __init__(self, manner: Manner) -> None:
        self._parts: list[Part] = []
        self._manners = [manner]
        self._names: list[str] = []
        self._text: list[str] = []
        self._say: Callable[[str], str] | None = None  # what a say-as or sub makes of its text
        self._say_depth = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._doctype

    def read(self, ssml: str) -> list[Part]:
        try:
            self._parser.Parse(ssml.encode("utf-8", "surrogatepass"), True)
        except expat.ExpatError as error:
            raise InvalidInput(f"the SSML is broken at line {error.lineno}, column {error.offset + 1}: "
                               f"{expat.ErrorString(error.code)}", field="input", line=error.lineno,
                               column=error.offset + 1) from None
        return self._parts

    def _wrong(self, detail: str) -> InvalidInput:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return InvalidInput(f"SSML, line {line}, column {column}: {detail}", field="input", line=line, column=column)

    def _doctype(self, *_: object) -> None:
        raise self._wrong("document types and entities are not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._names and name != "speak":
            raise self._wrong(f"the outermost element is <speak>, not <{name[:40]}>")
        if len(self._names) >= MOST_DEPTH:
            raise self._wrong(f"more than {MOST_DEPTH} elements inside each other")
        self._names.append(name)
        manner = self._manners[-1]
        if self._say is None:
            self._flush()
            if name == "break":
                self._pause(self._break(attributes))
            elif name == "say-as":
                self._say, self._say_depth = self._say_as(attributes), len(self._names)
            elif name == "sub":
                alias = self._needed(attributes, "alias", name)
                self._say, self._say_depth = (lambda _: alias), len(self._names)
            elif name == "prosody":
                manner = self._prosody(attributes, manner)
        self._manners.append(_in_voice(name, attributes, manner))

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if self._say is not None and len(self._names) == self._say_depth:
            said, self._say = self._say("".join(self._text).strip()), None
            self._text = [said]
        if self._say is None:
            self._flush()
            if name in ("p", "s"):
                self._pause(PARAGRAPH_PAUSE if name == "p" else SENTENCE_PAUSE)
        self._names.pop()
        self._manners.pop()

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _flush(self) -> None:
        text = " ".join("".join(self._text).split())
        self._text = []
        if text:
            self._add(Text(text, self._manners[-1]))

    def _pause(self, seconds: float) -> None:
        if seconds <= 0 or not self._names:
            return
        if self._parts and isinstance(self._parts[-1], Break):  # of two the longer one: </s></p> is one pause
            self._parts[-1] = Break(max(self._parts[-1].seconds, seconds))
        else:
            self._add(Break(seconds))

    def _add(self, part: Part) -> None:
        if len(self._parts) >= MOST_PARTS:
            raise TooLarge(f"SSML with more than {MOST_PARTS} parts", field="input")
        self._parts.append(part)

    def _needed(self, attributes: dict[str, str], key: str, name: str) -> str:
        if key not in attributes:
            raise self._wrong(f"<{name}> needs the attribute {key}")
        return attributes[key]

    def _break(self, attributes: dict[str, str]) -> float:
        time = attributes.get("time")
        if time is None:
            strength = attributes.get("strength", "medium")
            if strength not in STRENGTHS:
                raise self._wrong(f"a break's strength is one of {', '.join(STRENGTHS)}, not {strength[:40]!r}")
            return STRENGTHS[strength]
        match = SECONDS.fullmatch(time.strip())
        seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1) if match is not None else -1.0
        if not 0 <= seconds <= MOST_PAUSE:
            raise self._wrong(f"a break's time is written as 300ms or 1.5s, up to {MOST_PAUSE:g} s, not {time[:40]!r}")
        return seconds

    def _prosody(self, attributes: dict[str, str], manner: Manner) -> Manner:
        """Each is relative to what surrounds it, as SSML wants percentages to be."""
        speed, pitch, volume = manner.speed, manner.pitch, manner.volume
        if "rate" in attributes:
            speed *= self._ratio("rate", attributes["rate"], RATES)
        if "pitch" in attributes:
            pitch *= self._ratio("pitch", attributes["pitch"], PITCHES)
        if "volume" in attributes:
            volume *= self._ratio("volume", attributes["volume"], VOLUMES)
        return replace(manner, speed=_within(speed, 0.25, 4), pitch=_within(pitch, 0.5, 2),
                       volume=_within(volume, 0, 2))

    def _ratio(self, what: str, written: str, names: dict[str, float]) -> float:
        written = written.strip()
        if written in names:
            return names[written]
        if match := PERCENTAGE.fullmatch(written):
            share = float(match[1]) / 100
            # "+10%" is relative; "110%" of a rate is what it says
            return max(0.0, 1 + share if written[0] in "+-" else share)
        if what == "pitch" and (match := SEMITONES.fullmatch(written)):
            return math.pow(SEMITONE, float(match[1]))
        if what == "volume" and (match := DECIBELS.fullmatch(written)):
            return math.pow(10, float(match[1]) / 20)
        raise self._wrong(f"{what} {written[:40]!r} is none of {', '.join(names)} and no percentage")

    def _say_as(self, attributes: dict[str, str]) -> Callable[[str], str]:
        kind = self._needed(attributes, "interpret-as", "say-as")
        known = {"characters": _characters, "spell-out": _characters, "verbatim": _characters, "cardinal": _cardinal,
                 "number": _cardinal, "ordinal": _ordinal, "digits": digits, "telephone": _telephone, "time": _time}
        if kind == "date":
            order = attributes.get("format", "ymd")
            return lambda text: self._date(text, order)
        if kind not in known:
            raise self._wrong(f"say-as knows {', '.join(known)} and date, not {kind[:40]!r}")
        return known[kind]

    def _date(self, text: str, order: str) -> str:
        """Its parts in the order of `order`, as "dmy"; two of them leave the year or the day unsaid."""
        found = re.findall(r"\d{1,4}", text)
        if len(found) == len(order) == 3 and sorted(order) == ["d", "m", "y"]:
            given = dict(zip(order, map(int, found), strict=True))
            try:
                return day(date(given["y"], given["m"], given["d"]))
            except ValueError:
                raise self._wrong(f"{text[:40]!r} is no date in the order {order}") from None
        return text


def _in_voice(name: str, attributes: dict[str, str], manner: Manner) -> Manner:
    """By the attributes of any element: `xml:lang`, and of <voice> its name."""
    language = next((value for key, value in attributes.items() if key.rpartition(":")[2] in ("lang", "language")), "")
    if language and language != manner.language:
        manner = replace(manner, language=language[:35], voice="")  # by that language's own voice
    if name == "voice" and attributes.get("name"):
        manner = replace(manner, voice=attributes["name"][:64])
    return manner


def _within(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def _characters(text: str) -> str:
    return ", ".join(letter for letter in text if not letter.isspace())


def _integer(text: str) -> int | None:
    cut = text.replace(",", "").replace(" ", "")
    return int(cut) if re.fullmatch(r"-?[0-9]{1,18}", cut) else None


def _cardinal(text: str) -> str:
    value = _integer(text)
    return text if value is None else cardinal(value)


def _ordinal(text: str) -> str:
    value = _integer(re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", text))
    return text if value is None or value < 0 else ordinal(value)


def _telephone(text: str) -> str:
    """Digit by digit, with a pause where it is written apart."""
    groups = [("plus " if group.startswith("+") else "") + digits(group) for group in re.split(r"[\s().-]+", text)]
    return ", ".join(group for group in groups if group.strip())


def _time(text: str) -> str:
    match = re.fullmatch(r"\s*(\d{1,2}):(\d\d)(?::\d\d)?\s*([ap]\.?m\.?)?\s*", text, re.IGNORECASE)
    if match is None or int(match[1]) > 24 or int(match[2]) > 59:
        return text
    half = f" {match[3][0].upper()} M" if match[3] else ""
    return (f"{int(match[1])}{half}" if half and match[2] == "00" else clock(int(match[1]), int(match[2])) + half)
