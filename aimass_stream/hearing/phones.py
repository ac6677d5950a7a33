"""What two paths through the same sound have in common: their phones, in the 39 of ARPAbet, and the time each takes.

A recogniser that mishears a phrase writes other words which sound like it: "we were the picture" for "mirror the
picture". Words that are forced on other sounds share few phones with what was said, and are too long or too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

# frames of 10 ms that each takes on average, in commands and in free speech; `benchmarks.speech_commands --fit` finds
# them within a frame of these
FRAMES = {
    "AA": 12.6, "AE": 8.6, "AH": 7.3, "AO": 10.7, "AW": 14.7, "AY": 11.4, "B": 10.7, "CH": 10.8, "D": 9.6, "DH": 7.5,
    "EH": 7.2, "ER": 9.4, "EY": 11.7, "F": 11.7, "G": 10.4, "HH": 9.4, "IH": 5.5, "IY": 8.0, "JH": 10.1, "K": 10.9,
    "L": 8.2, "M": 9.2, "N": 7.4, "NG": 8.9, "OW": 15.0, "OY": 13.4, "P": 11.2, "R": 6.0, "S": 12.1, "SH": 16.1,
    "T": 9.8, "TH": 13.2, "UH": 5.7, "UW": 14.3, "V": 8.4, "W": 6.4, "Y": 5.9, "Z": 12.2, "ZH": 8.0}
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
ALIKE = [frozenset(kind.split()) for kind in (
    "P B", "T D", "K G", "F V TH DH", "S Z SH ZH TH DH", "CH JH SH ZH T", "M N NG", "L R ER W Y", "D DH N L", "V W B",
    "IY IH EY Y", "IH EH AH ER UH", "EH AE AH EY", "AE AA AH", "AA AO AH OW AW", "OW UH UW AO", "UH UW AH W",
    "AY AA AH IH EY", "OY AO OW", "AW AA AE")]
NEAR = 8  # frames beside a word where it may be found in another path
BESIDE = 6  # frames between the middles of two phones that are said at the same time
LONGEST = 1.5  # of `stretched`: a word that is 3.4 times too long tells no more than that


class Timed(NamedTuple):
    phone: str
    middle: float  # frame


def phones(path: Sequence[Sequence[Any]]) -> list[Timed]:
    """Of a path's words: text, first and last frame, score, phones. Each phone gets as much of its word's time."""
    return [Timed(phone, first + (place + 0.5) * (last - first + 1) / len(said))
            for _, first, last, _, spelled in path
            for said in [spelled.split()] for place, phone in enumerate(said) if phone in FRAMES]


@cache
def difference(one: str, other: str) -> float:
    """0 for the same phone, 0.4 for those that are mistaken for each other, more for a vowel and a consonant."""
    if one == other:
        return 0.0
    if any(one in kind and other in kind for kind in ALIKE):
        return 0.4
    return 0.8 if (one in VOWELS) == (other in VOWELS) else 1.2


def distance(word: Sequence[str], among: Sequence[str]) -> float:
    """What it costs to make `word` of some part of `among`: Levenshtein's distance, by `difference`."""
    before = [0.0] * (len(among) + 1)
    for phone in word:
        row = [before[0] + _lack(phone)]
        for place, other in enumerate(among):
            row.append(min(before[place] + difference(phone, other), before[place + 1] + _lack(phone),
                           row[place] + _lack(other)))
        before = row
    return min(before)


def unlike(path: Sequence[Sequence[Any]], other: list[Timed]) -> float:
    """How far the words of a path are from the phones that another has about there; the mean, for each phone."""
    costs = [distance(said, [phone for phone, middle in other if first - NEAR <= middle <= last + NEAR]) / len(said)
             for _, first, last, _, spelled in path for said in [spelled.split()] if said]
    return sum(costs) / max(1, len(costs))


def unsaid(path: list[Timed], other: list[Timed]) -> float:
    """How much of these phones another path has nothing like at the time; the mean, 0 to 1."""
    costs = [min((difference(phone, also) for also, when in other if abs(when - middle) < BESIDE), default=1.0)
             for phone, middle in path]
    return sum(min(1.0, cost) for cost in costs) / max(1, len(costs))


def stretched(path: Sequence[Sequence[Any]]) -> float:
    """How much longer or shorter than usual the words are: mean of their squared logarithms, by number of phones."""
    total = weight = 0.0
    for _, first, last, _, spelled in path:
        said = [phone for phone in spelled.split() if phone in FRAMES]
        if said:
            usual = sum(FRAMES[phone] for phone in said)
            total += len(said) * math.log((last - first + 1) / usual) ** 2
            weight += len(said)
    return min(LONGEST, total / max(1.0, weight))


def _lack(phone: str) -> float:
    return 0.4 if phone in ("AH", "IH", "HH") else 0.6
