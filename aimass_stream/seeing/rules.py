"""Rules about what is in pictures: so many of these, there, for so long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

Key: TypeAlias = tuple[str, int]  # whose result, and the thing's id there; below 0 for what has none

# where stages' results list what they found, and what of each a rule may ask for
FINDINGS: Mapping[str, tuple[str, ...]] = {
    "detections": ("label", "name", "text"), "hands": ("gesture", "digit"), "classes": ("label",), "lines": ()}
IDS = ("id", "hand")
WRITTEN = "text"  # what is written there, in which a rule's quoted words are looked for
QUOTED = re.compile(r'["“”„«»]([^"“”„«»]*)["“”„«»]?|([^,"“”„«»]+)')
LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # of writing that has spaces between its words


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether at least `count` such things are there, each for `seconds`; with a count of 0, whether none is."""

    words: frozenset[str] = frozenset()  # labels, names, gestures, digits; lower case; no words, no texts: anything
    zone: str = ""  # empty: anywhere
    seconds: float = 3.0
    count: int = 1
    patience: float = 1.0  # s that nobody sees a thing before it is gone
    cooldown: float = 10.0  # s after it was told until it may be told again
    texts: frozenset[str] = frozenset()  # or these are part of what is written there; lower case


def asked(when: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words and the texts of ``person, "EXIT"``: what is in quotation marks is looked for in what is written."""
    words, texts = set(), set()
    for quoted, plain in QUOTED.findall(when):
        words.add(" ".join(plain.lower().split()))
        texts.add(" ".join(quoted.lower().split()))
    return frozenset(words - {""}), frozenset(texts - {""})


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing in one picture that the rule is about."""

    key: Key
    seen: bool  # False: it is only supposed to be there


def sights(notes: Mapping[str, Any], rule: Rule) -> list[Sight] | None:
    """What of a picture's results the rule is about; None where nobody has looked at that picture."""
    found: list[Sight] = []
    looked = False
    for name, note in notes.items():
        for part, words in FINDINGS.items():
            listed = note.get(part) if isinstance(note, dict) else None
            if not isinstance(listed, list):
                continue
            looked, nameless = True, 0
            for thing in listed:
                if isinstance(thing, dict) and _is_meant(thing, words, rule):
                    number = next((thing[key] for key in IDS if isinstance(thing.get(key), int)), 0)
                    nameless += not number
                    found.append(Sight((name, number or -nameless), not thing.get("predicted")))
    return found if looked else None


def _is_meant(thing: Mapping[str, Any], words: Iterable[str], rule: Rule) -> bool:
    zones = thing.get("zones")
    if rule.zone and not (isinstance(zones, dict) and rule.zone in zones):
        return False
    if not rule.words and not rule.texts:
        return True
    return any(str(thing.get(word, "")).lower() in rule.words for word in words) or any(
        _pattern(text).search(str(thing.get(WRITTEN, ""))) for text in rule.texts)


@lru_cache(256)
def _pattern(text: str) -> re.Pattern[str]:
    """Finds whole words, with any case and any space between them: who reads takes a narrow space for none."""
    first, last = (f"(?<!{LETTER})" if re.match(LETTER, text[0]) else "",
                   f"(?!{LETTER})" if re.match(LETTER, text[-1]) else "")
    return re.compile(first + r"\s*".join(re.escape(word) for word in text.split()) + last, re.IGNORECASE)


class Judge:
    """Call `see` for each picture that was looked at, in order.

    A thing that nobody sees for less than the rule's patience has been there all the time. Things without an id are
    told apart by how many they are: the second has been there for as long as there were two.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.holding: list[Key] = []  # things there for long enough, in the last picture
        self.lasted = 0.0  # s that what holds has held, or what is over has
        self._there: dict[Key, tuple[float, float]] = {}  # s of media time: since when, and seen last
        self._empty: float | None = None  # s of media time since which nothing is there; or when something last was
        self._since: float | None = None  # s of media time since which the rule holds, and that was told
        self._until = 0.0  # s of media time until which it was seen to hold
        self._rests = float("-inf")  # s of media time until which nothing is told

    def see(self, at: float, found: Sequence[Sight]) -> Literal["fired", "over", ""]:
        """What is to be told of the picture of this media time."""
        self._remember(at, found)
        holds = self._holds(at)
        if self._since is None and holds and at >= self._rests:
            self._since, self._rests = self._until - self.lasted, at + self.rule.cooldown
            return "fired"
        if self._since is not None and not holds:
            self.lasted, self._since = self._until - self._since, None
            return "over"
        return ""

    def _remember(self, at: float, found: Sequence[Sight]) -> None:
        there = self._there
        for sight in found:
            if sight.key in there:
                there[sight.key] = there[sight.key][0], at
            elif sight.seen:
                there[sight.key] = at, at
        for key in [key for key, (_, last) in there.items() if at - last > self.rule.patience]:
            del there[key]

    def _holds(self, at: float) -> bool:
        rule, there = self.rule, self._there
        if rule.count:
            held = {key: place for key, place in there.items() if place[1] - place[0] >= rule.seconds}
            self.holding = sorted(held)
            if len(held) < rule.count:
                return False
            self._until = max(last for _, last in held.values())
            self.lasted = self._until - sorted(since for since, _ in held.values())[rule.count - 1]
            return True
        if there or self._empty is None:
            self._empty = max((last for _, last in there.values()), default=at)
        if there or at - self._empty < rule.seconds:
            return False
        self._until, self.lasted = at, at - self._empty
        return True
