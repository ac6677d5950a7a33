"""Two readings of the same sound, by their phones."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from aimass_stream.hearing.phones import (
    BESIDE,
    FRAMES,
    LONGEST,
    NEAR,
    Timed,
    difference,
    distances,
    lack,
    phones,
    stretched,
    unlike,
    unsaid,
)


def test_phones_have_a_part_of_their_words_time_each() -> None:
    path = [["<sil>", 0, 9, -1.0, "SIL"], ["me", 10, 29, -1.0, "M IY"], ["unheard of", 30, 39, -1.0, ""]]
    assert phones(path) == [Timed("M", 15.0), Timed("IY", 25.0)]


def test_phones_that_are_mistaken_for_each_other_differ_less() -> None:
    assert difference("P", "P") == 0
    assert 0 < difference("P", "B") == difference("B", "P") < difference("P", "S") < difference("P", "AA")


def test_a_word_is_looked_for_among_other_phones() -> None:
    among = ["S", "OW", "M", "IH", "R", "ER", "DH", "AH"]
    found = distances([["M", "IH", "R", "ER"], ["M", "IH", "R"], ["N", "IH", "R", "ER"], ["K", "AE", "T"], ["?"]],
                      [among, ["M", "R"], among, [], ["AA"]])
    assert found == pytest.approx([0, 0.4, 0.4, 1.8, 0.6])
    assert distances([["K", "AE", "T"]], [[]]) == pytest.approx([1.8])


def levenshtein(word: list[str], among: list[str]) -> float:
    """Of the word and that part of `among` which is nearest, cell by cell."""
    costs = [[0.0] * (len(among) + 1)]
    for phone in word:
        costs.append([costs[-1][0] + lack(phone)])
        for place, other in enumerate(among):
            costs[-1].append(min(costs[-2][place] + difference(phone, other), costs[-2][place + 1] + lack(phone),
                                 costs[-1][place] + lack(other)))
    return min(costs[-1])


def spelled(random: Random, frames: int) -> list[Any]:
    """A path of words that take 1 to 40 frames, some of them after a pause, and none or up to 9 phones."""
    path: list[Any] = []
    at = 0
    while at < frames:
        last = at + random.randrange(40)
        path.append(["word", at, last, -1.0, " ".join(random.choices(list(FRAMES), k=random.randrange(10)))])
        at = last + random.choice((1, 1, 1, 30))
    return path


def test_all_at_once_is_the_same_as_each_for_itself() -> None:
    random = Random(1)
    for frames in (50, 300, 1000):
        path, beside = spelled(random, frames), phones(spelled(random, frames))
        said = phones(path)
        nearest = [min([1.0, *(difference(phone, other) for other, when in beside if abs(when - middle) < BESIDE)])
                   for phone, middle in said]
        assert unsaid(said, beside) == pytest.approx(sum(nearest) / len(said), abs=1e-9)
        costs = [levenshtein(word.split(), [phone for phone, middle in beside if first - NEAR <= middle <= last + NEAR])
                 / len(word.split()) for _, first, last, _, word in path if word]
        assert unlike(path, beside) == pytest.approx(sum(costs) / len(costs), abs=1e-9)


def test_what_is_said_elsewhere_is_not_the_same() -> None:
    path = [["me", 0, 19, -1.0, "M IY"]]
    assert unlike(path, phones([["me", 5, 24, -1.0, "M IY"]])) == 0
    assert unlike(path, phones([["me", 50, 69, -1.0, "M IY"]])) == pytest.approx(0.6)
    assert unlike([], []) == 0
    said = phones(path)
    assert unsaid(said, said) == 0
    assert unsaid(phones([["me", 50, 69, -1.0, "M IY"]]), said) == 1
    assert unsaid([], said) == 0


def test_how_much_too_long_or_short_words_are() -> None:
    usual = round(FRAMES["M"] + FRAMES["IY"])
    assert stretched([["me", 10, 10 + usual - 1, -1.0, "M IY"]]) < 0.01
    half = stretched([["me", 10, 10 + usual // 2 - 1, -1.0, "M IY"]])
    double = stretched([["me", 10, 10 + 2 * usual - 1, -1.0, "M IY"]])
    assert half == pytest.approx(math.log(usual / (usual // 2)) ** 2, abs=0.05)
    assert double == pytest.approx(math.log(2) ** 2, abs=0.05)
    assert stretched([["me", 0, 999, -1.0, "M IY"]]) == LONGEST
    assert stretched([]) == 0
