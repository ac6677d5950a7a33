"""Numbers, money, dates and units as an English voice says them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.speech.numbers import ONES, TENS, cardinal, clock, expanded, ordinal, worded, year


@pytest.mark.parametrize(("written", "said"), [
    ("It costs $3.50.", "It costs 3 dollars and 50 cents."), ("$1 or $1.01", "1 dollar or 1 dollar and 1 cent"),
    ("£2.5 million", "2.5 million pounds"), ("€0.99", "99 cents"), ("¥1,000", "1,000 yen"),
    ("5 km and 1 km", "5 kilometres and 1 kilometre"), ("20°C", "20 degrees Celsius"),
    ("90 km/h", "90 kilometres an hour"),
    ("on 2024-05-06", "on May 6th, 2024"), ("2024-13-45", "2024-13-45"), ("at 10:05", "at 10 oh 5"),
    ("9:00", "9 o'clock"), ("~30", "about 30"), ("10–20", "10 to 20"), ("e.g. this", "for example this"),
    ("no numbers here", "no numbers here"), ("B2B and 4x4", "B2B and 4x4"), ("1:2:3", "1:2:3"),
    ("kmh 5kmx", "kmh 5kmx"),
])
def test_what_voices_misread_is_written_out(written: str, said: str) -> None:
    assert expanded(written) == said
    assert expanded(written, "de") == written


@pytest.mark.parametrize(("written", "said"), [
    ("12", "twelve"), ("1,234.05", "one thousand two hundred thirty-four point zero five"), ("-5", "minus five"),
    ("100%", "one hundred percent"), ("the 22nd", "the twenty-second"), ("007", "zero zero seven"),
    ("$2", "two dollars"), ("3.14", "three point one four"), ("1000000", "one million"),
])
def test_nothing_but_letters_is_left_for_voices_that_know_no_digits(written: str, said: str) -> None:
    assert worded(written) == said


@given(st.integers(0, 10**18))
def test_cardinals_can_be_read_back(value: int) -> None:
    ones = {word: number for number, word in enumerate(ONES)}
    tens = {word: 10 * number for number, word in enumerate(TENS)}
    scales = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15}
    total = group = 0
    for word in cardinal(value).replace("-", " ").split():
        if word in scales:
            total, group = total + group * scales[word], 0
        elif word == "hundred":
            group *= 100
        else:
            group += (ones | tens)[word]
    assert value >= 10**18 or total + group == value


def test_ordinals_years_and_clocks() -> None:
    assert [ordinal(value) for value in (1, 2, 3, 5, 8, 9, 12, 20, 21, 40, 100, 103)] == [
        "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "twenty-first", "fortieth",
        "one hundredth", "one hundred third"]
    assert [year(value) for value in (1999, 1905, 1900, 2000, 2004, 2024)] == [
        "nineteen ninety-nine", "nineteen oh five", "nineteen hundred", "two thousand", "two thousand four",
        "twenty twenty-four"]
    assert [clock(0, 0), clock(12, 0), clock(7, 30)] == ["midnight", "12 o'clock", "7 30"]


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    expanded(text)
    assert not any(letter in "0123456789" for letter in worded(text))
