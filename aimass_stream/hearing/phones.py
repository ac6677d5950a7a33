"""The phones of a path through a sound, in the 39 of ARPAbet, and the time each takes.

Words that are forced on other sounds are too long or too short for their phones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

# frames of 10 ms that each takes on average, in commands and in free speech; `benchmarks.speech_commands --fit` finds
# them within a frame of these
FRAMES = {
    "AA": 12.6, "AE": 8.6, "AH": 7.3, "AO": 10.7, "AW": 14.7, "AY": 11.4, "B": 10.7, "CH": 10.8, "D": 9.6, "DH": 7.5,
    "EH": 7.2, "ER": 9.4, "EY": 11.7, "F": 11.7, "G": 10.4, "HH": 9.4, "IH": 5.5, "IY": 8.0, "JH": 10.1, "K": 10.9,
    "L": 8.2, "M": 9.2, "N": 7.4, "NG": 8.9, "OW": 15.0, "OY": 13.4, "P": 11.2, "R": 6.0, "S": 12.1, "SH": 16.1,
    "T": 9.8, "TH": 13.2, "UH": 5.7, "UW": 14.3, "V": 8.4, "W": 6.4, "Y": 5.9, "Z": 12.2, "ZH": 8.0}
LONGEST = 1.5  # of `stretched`: a word that is 3.4 times too long tells no more than that


class Timed(NamedTuple):
    phone: str
    middle: float  # frame


def phones(path: Sequence[Sequence[Any]]) -> list[Timed]:
    """Of a path's words: text, first and last frame, score, phones. Each phone gets as much of its word's time."""
    return [Timed(phone, first + (place + 0.5) * (last - first + 1) / len(said))
            for _, first, last, _, spelled in path
            for said in [spelled.split()] for place, phone in enumerate(said) if phone in FRAMES]


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
