"""What two paths through the same sound have in common: their phones, in the 39 of ARPAbet, and the time each takes.

A recogniser that mishears a phrase writes other words which sound like it: "we were the picture" for "mirror the
picture". Words that are forced on other sounds share few phones with what was said, and are too long or too short.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def difference(one: str, other: str) -> float:
    """0 for the same phone, 0.4 for those that are mistaken for each other, more for a vowel and a consonant."""
    if one == other:
        return 0.0
    if any(one in kind and other in kind for kind in ALIKE):
        return 0.4
    return 0.8 if (one in VOWELS) == (other in VOWELS) else 1.2


def lack(phone: str) -> float:
    """What it costs that a phone is not there."""
    return 0.4 if phone in ("AH", "IH", "HH") else 0.6


UNHEARD = len(FRAMES)  # the number of a phone that is none of these: in a word of a path only, never in `phones`
_NUMBERS = {phone: number for number, phone in enumerate(FRAMES)}
_DIFFERENCES = np.array([[difference(one, other) for other in FRAMES] for one in [*FRAMES, ""]])
_LACKS = np.array([lack(phone) for phone in [*FRAMES, ""]])


def distances(words: Sequence[Sequence[str]], among: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """What it costs to make each word, of one phone at least, of some part of the phones that stand in its place.

    Levenshtein's distance, by `difference`; all words at once, row by row: a step along a row is the least of what the
    rows so far have, corrected by what lacks between.
    """
    said, others = _numbered(words), _numbered(among)
    lengths = np.array([len(word) for word in words])
    beyond = np.arange(others.shape[1] + 1) > np.array([[len(row)] for row in among])
    lacking = np.pad(np.cumsum(_LACKS[others], axis=1), ((0, 0), (1, 0)))
    before = np.zeros(lacking.shape)
    costs = np.zeros(len(words))
    for place in range(said.shape[1]):
        lacks = _LACKS[said[:, place]][:, None]
        row = before + lacks
        np.minimum(row[:, 1:], before[:, :-1] + _DIFFERENCES[said[:, place][:, None], others], out=row[:, 1:])
        before = np.minimum.accumulate(row - lacking, axis=1) + lacking
        ended = lengths == place + 1
        costs[ended] = np.where(beyond[ended], np.inf, before[ended]).min(axis=1)
    return costs


def unlike(path: Sequence[Sequence[Any]], other: list[Timed]) -> float:
    """How far the words of a path are from the phones that another has about there; the mean, for each phone."""
    words = [(first, last, said) for _, first, last, _, spelled in path for said in [spelled.split()] if said]
    if not words:
        return 0.0
    middles = [middle for _, middle in other]  # in the order of time
    among = [[phone for phone, _ in other[bisect_left(middles, first - NEAR) : bisect_right(middles, last + NEAR)]]
             for first, last, _ in words]
    costs = distances([said for _, _, said in words], among) / [len(said) for _, _, said in words]
    return float(costs.mean())


def unsaid(path: list[Timed], other: list[Timed]) -> float:
    """How much of these phones another path has nothing like at the time; the mean, 0 to 1."""
    if not path or not other:
        return float(bool(path))
    (one,), (two,) = (_numbered([[phone for phone, _ in phones]]) for phones in (path, other))
    middles, whens = (np.array([middle for _, middle in phones]) for phones in (path, other))
    first = np.searchsorted(whens, middles - BESIDE - 1)  # a frame more than counts, so that rounding decides nothing
    most = int((np.searchsorted(whens, middles + BESIDE + 1) - first).max())
    places = np.minimum(first[:, None] + np.arange(most), len(two) - 1)
    beside = np.abs(whens[places] - middles[:, None]) < BESIDE
    costs = np.where(beside, _DIFFERENCES[one[:, None], two[places]], 1.0)
    return float(costs.min(axis=1, initial=1.0).mean())


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



def _numbered(rows: Sequence[Sequence[str]]) -> NDArray[np.intp]:
    """Phones as numbers, a row each; what is behind a shorter row's end is none."""
    numbers = np.zeros((len(rows), max(map(len, rows), default=0)), np.intp)
    for row, phones in zip(numbers, rows, strict=True):
        row[: len(phones)] = [_NUMBERS.get(phone, UNHEARD) for phone in phones]
    return numbers
