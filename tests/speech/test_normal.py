from __future__ import annotations

import pytest

from aimass_stream.speech.normal import normalise


@pytest.mark.parametrize(("one", "other"), [
    ("Mr. Smith's  cats!", "mister smiths cats"),
    ("It’s well-known, isn't it?", "its well known isnt it"),
    ("21 boats", "twenty one boats"),
    ("He paid $5.50.", "he paid five dollars and fifty cents"),
    ("[music] Naïve café (laughs)", "naive cafe"),
    ("OKAY", "ok"),
])
def test_spellings_of_the_same_words_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_words_stay_apart() -> None:
    assert normalise("to\ttwo -- too") == "to two too"
    assert normalise("... !") == ""
    assert normalise("你好") == "你好"
