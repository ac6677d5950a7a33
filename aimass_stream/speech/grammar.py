"""Spoken commands: the phrases that skills and stages declare, matched against text and turned into a grammar.

A pattern is a line of words with

- ``(gray|black and white)``  one of these,
- ``[the]``  this or nothing,
- ``<number>``  a slot: `number` (int or float), `duration` (seconds), `time` (`quantities.Clock`), `unit` (a name of
  `quantities.UNITS`), or a kind out of the phrase's own `lists`; ``<from:unit> to <to:unit>`` names two of a kind,
- ``<text>``, ``<word>``  whatever was said: several words, or one. Only text can have these; a grammar can't.

"please", "could you" and the like around a command need not be declared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from ..errors import InvalidInput
from . import quantities
from .quantities import Readings

Lists: TypeAlias = Mapping[str, Sequence[str] | Mapping[str, Any]]

KINDS: dict[str, Callable[[Sequence[str], int], Readings]] = {
    "number": quantities.number, "duration": quantities.duration, "time": quantities.time_of_day,
    "unit": quantities.unit}
OPEN = ("text", "word")  # kinds without a grammar
BEFORE = "[hey|ok|okay|now] [please] [could you|can you|would you|will you] [please]"
AFTER = "[now] [please|thanks|thank you]"

LONGEST = 400  # tokens of a text that are looked at; nobody says a longer command


@dataclass(frozen=True, slots=True)
class Phrase:
    """The ways to say one command. Raises `InvalidInput` for a pattern that can't be read."""

    name: str  # of the command; several phrases may share one
    patterns: tuple[str, ...]
    # kinds of its own: {"style": ("cartoon", "pencil sketch")}, or what was said to what it means {"grey": "gray"}
    lists: Lists = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            for slot in slots_of(parse(pattern)):
                if slot.kind not in KINDS and slot.kind not in OPEN and slot.kind not in self.lists:
                    raise InvalidInput(f"{self.name}: <{slot.kind}> in {pattern!r} is no kind of slot",
                                       field="patterns")


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    slots: Mapping[str, Any]
    text: str  # the words, as they were said
    confidence: float = 1.0  # 0 to 1


# patterns -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    word: str


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    ways: tuple[Node, ...]
    needed: bool = True


Node: TypeAlias = Said | Slot | Row | Choice

_PARTS = re.compile(r"\s*(?:([()\[\]|])|<(?:([a-z_]+):)?([a-z_]+)>|([^\s()\[\]|<>]+))")
_CLOSES = {"(": ")", "[": "]"}


@lru_cache(maxsize=4096)
def parse(pattern: str) -> Node:
    """Raises `InvalidInput` with the pattern and what is wrong in it."""
    parts: list[tuple[str, str, str, str]] = []
    at, text = 0, pattern.rstrip()
    while at < len(text):
        part = _PARTS.match(text, at)
        if part is None:
            raise InvalidInput(f"{pattern!r} can't be read at {text[at:at + 12]!r}", field="patterns")
        at = part.end()
        parts.append((part[1] or "", part[2] or "", part[3] or "", part[4] or ""))
    node, rest = _choice(parts, 0, pattern)
    if rest < len(parts):
        raise InvalidInput(f"{pattern!r} closes what was not opened", field="patterns")
    return node


def _choice(parts: list[tuple[str, str, str, str]], at: int, pattern: str) -> tuple[Node, int]:
    ways: list[Node] = []
    while True:
        row, at = _row(parts, at, pattern)
        ways.append(row)
        if at >= len(parts) or parts[at][0] != "|":
            return (ways[0] if len(ways) == 1 else Choice(tuple(ways))), at
        at += 1


def _row(parts: list[tuple[str, str, str, str]], at: int, pattern: str) -> tuple[Node, int]:
    row: list[Node] = []
    while at < len(parts) and parts[at][0] not in ("|", ")", "]"):
        mark, name, kind, word = parts[at]
        at += 1
        if kind:
            row.append(Slot(name or kind, kind))
        elif word:
            row += [Said(token) for token in tokens(word)]
        else:
            inner, at = _choice(parts, at, pattern)
            if at >= len(parts) or parts[at][0] != _CLOSES[mark]:
                raise InvalidInput(f"{pattern!r} does not close its {mark!r}", field="patterns")
            at += 1
            row.append(inner if mark == "(" else Choice((inner,), needed=False))
    if not row:
        raise InvalidInput(f"{pattern!r} has an empty place", field="patterns")
    return Row(tuple(row)), at


def slots_of(node: Node) -> Iterator[Slot]:
    match node:
        case Slot():
            yield node
        case Row(parts):
            for part in parts:
                yield from slots_of(part)
        case Choice(ways):
            for way in ways:
                yield from slots_of(way)


# text -----------------------------------------------------------------------------------------------

_TOKENS = re.compile(r"\d{1,2}:\d\d|\d+(?:\.\d+)?|[^\W\d_]+(?:['.][^\W\d_]+)*|[+*/×÷%°=]|(?<=[\d\s])-(?=\s?\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
SIGNS = {"+": "plus", "-": "minus", "*": "times", "×": "times", "/": "divided by", "÷": "divided by", "%": "percent",
         "°": "degrees", "=": "equals"}
SAME = {  # written in more than one way; the right-hand side is what the grammar's dictionary has
    "grey": "gray", "greyscale": "grayscale", "colour": "color", "colours": "colors", "centre": "center",
    "metre": "meter", "metres": "meters", "kilometre": "kilometer", "kilometres": "kilometers", "litre": "liter",
    "litres": "liters", "centimetre": "centimeter", "centimetres": "centimeters", "millimetre": "millimeter",
    "millimetres": "millimeters", "millilitre": "milliliter", "millilitres": "milliliters", "tonne": "ton",
    "tonnes": "tons", "okay": "ok", "cancelled": "canceled", "favourite": "favorite", "what's": "what is",
    "it's": "it is", "that's": "that is", "i'm": "i am", "don't": "do not", "doesn't": "does not", "can't": "can not",
    "cannot": "can not", "who's": "who is", "where's": "where is", "how's": "how is", "there's": "there is",
    "i'll": "i will", "i'd": "i would", "a.m": "am", "p.m": "pm", "u.s": "us"}


def tokens(text: str) -> list[str]:
    """Lower case, without punctuation; signs and contractions as words, variants of spelling as one."""
    text = _THOUSANDS.sub("", text.lower().replace("’", "'"))
    found: list[str] = []
    for token in _TOKENS.findall(text):
        found += SAME.get(token, SIGNS.get(token, token)).split()
    return found


def match(text: str, phrases: Sequence[Phrase]) -> Command | None:
    """The command that this text is as a whole, or None. Earlier phrases come first, closed ones before open ones."""
    said = tokens(text)
    if not said or len(said) > LONGEST:
        return None
    starts = list(dict.fromkeys(end for end, _ in _match(parse(BEFORE), said, 0, {})))
    for open_ones in (False, True):
        for phrase in phrases:
            for pattern in phrase.patterns:
                if _open(pattern) == open_ones:
                    slots = _whole(pattern, said, starts, phrase.lists)
                    if slots is not None:
                        return Command(phrase.name, slots, text.strip())
    return None


def _whole(pattern: str, said: list[str], starts: list[int], lists: Lists) -> dict[str, Any] | None:
    """`starts`: the places where the pattern may begin, behind what comes before any."""
    node, first = parse(pattern), _first(pattern)
    for start in starts:
        if first and (start == len(said) or said[start] not in first):
            continue
        for end, slots in _match(node, said, start, lists):
            if any(last == len(said) for last, _ in _match(parse(AFTER), said, end, lists)):
                return slots
    return None


@lru_cache(maxsize=4096)
def _open(pattern: str) -> bool:
    return any(slot.kind in OPEN for slot in slots_of(parse(pattern)))


@lru_cache(maxsize=4096)
def _first(pattern: str) -> frozenset[str]:
    """The words that a text by this pattern may begin with; none where it may begin with others, or be empty."""
    words = _firsts(parse(pattern))
    return frozenset() if None in words or "" in words else frozenset(word for word in words if word)


def _firsts(node: Node) -> set[str | None]:
    """None for anything, an empty word for what may be nothing."""
    match node:
        case Said(word):
            return {word}
        case Slot():
            return {None}
        case Choice(ways, needed):
            return {word for way in ways for word in _firsts(way)} | (set() if needed else {""})
        case Row(parts):
            found: set[str | None] = {""}
            for part in parts:
                if "" not in found:
                    break
                found = (found - {""}) | _firsts(part)
            return found


def _match(node: Node, said: list[str], at: int, lists: Lists) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every way in which the node can begin here: (place after it, slots)."""
    match node:
        case Said(word):
            if at < len(said) and said[at] == word:
                yield at + 1, {}
        case Slot(name, kind):
            for end, value in _read(kind, said, at, lists):
                yield end, {name: value}
        case Choice(ways, needed):
            for way in ways:
                yield from _match(way, said, at, lists)
            if not needed:
                yield at, {}
        case Row(parts):
            yield from _match_row(parts, said, at, lists)


def _match_row(parts: tuple[Node, ...], said: list[str], at: int, lists: Lists) -> Iterator[tuple[int, dict[str, Any]]]:
    if not parts:
        yield at, {}
        return
    for middle, slots in _match(parts[0], said, at, lists):
        for end, more in _match_row(parts[1:], said, middle, lists):
            yield end, slots | more


def _read(kind: str, said: list[str], at: int, lists: Lists) -> Readings:
    if kind in lists:
        own = lists[kind]
        meanings = own if isinstance(own, Mapping) else {way: way for way in own}
        return quantities.longest_first([(end, meaning) for way, meaning in meanings.items()
                                         if (end := quantities.words_at(said, at, " ".join(tokens(way)))) > 0])
    if kind == "word":
        return [(at + 1, said[at])] if at < len(said) else []
    if kind == "text":
        return [(end, " ".join(said[at:end])) for end in range(len(said), at, -1)]
    return KINDS[kind](said, at)
