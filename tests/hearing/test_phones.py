"""Phones of a path, and their lengths."""

from __future__ import annotations

import math

import pytest

from aimass_stream.hearing.phones import FRAMES, LONGEST, Timed, phones, stretched


def test_phones_have_a_part_of_their_words_time_each() -> None:
    path = [["<sil>", 0, 9, -1.0, "SIL"], ["me", 10, 29, -1.0, "M IY"], ["unheard of", 30, 39, -1.0, ""]]
    assert phones(path) == [Timed("M", 15.0), Timed("IY", 25.0)]


def test_how_much_too_long_or_short_words_are() -> None:
    usual = round(FRAMES["M"] + FRAMES["IY"])
    assert stretched([["me", 10, 10 + usual - 1, -1.0, "M IY"]]) < 0.01
    half = stretched([["me", 10, 10 + usual // 2 - 1, -1.0, "M IY"]])
    double = stretched([["me", 10, 10 + 2 * usual - 1, -1.0, "M IY"]])
    assert half == pytest.approx(math.log(usual / (usual // 2)) ** 2, abs=0.05)
    assert double == pytest.approx(math.log(2) ** 2, abs=0.05)
    assert stretched([["me", 0, 999, -1.0, "M IY"]]) == LONGEST
    assert stretched([]) == 0
