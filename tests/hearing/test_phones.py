"""Two readings of the same sound, by their phones."""

from __future__ import annotations

import math

import pytest

from aimass_stream.hearing.phones import (
    FRAMES,
    LONGEST,
    Timed,
    difference,
    distance,
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
    assert distance(["M", "IH", "R", "ER"], among) == 0
    assert distance(["M", "IH", "R"], ["M", "R"]) == pytest.approx(0.4)
    assert distance(["N", "IH", "R", "ER"], among) == pytest.approx(0.4)
    assert distance(["K", "AE", "T"], []) == pytest.approx(1.8)


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
