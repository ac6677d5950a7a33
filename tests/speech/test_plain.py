"""Text as it can be said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.speech.plain import TOKEN, Fences, parts, plain, spoken


@pytest.mark.parametrize(("text", "said"), [
    ("a\0b\x07c", "a b c"), ("\x1b[31mred", "[31mred"), ("a\u202eb\u200bc\ufeff", "abc"), ("  a \n\t b ", "a b"),
    ("\ud800x\ue000", "x"), ("naïve 你好", "naïve 你好"), ("می\u200cخواهم", "می\u200cخواهم"), ("", ""),
])
def test_what_nobody_can_say_is_left_out(text: str, said: str) -> None:
    assert plain(text) == said


@pytest.mark.parametrize(("markdown", "said"), [
    ("# Title", "Title."), ("## What?", "What?"), ("**Bold** and *thin* and __both__", "Bold and thin and both"),
    ("Use `pip` here", "Use pip here"), ("[a link](https://example.org/x)", "a link"),
    ("![a cat](cat.png)", "a cat"), ("- one", "one"), ("* [x] done", "done"), ("> quoted", "quoted"),
    ("Great 😀👍🏽!", "Great !"), ("2 * 3 * 4", "2 * 3 * 4"), ("snake_case_name", "snake_case_name"),
    ("half **open", "half open"), ("---", ""), ("~~gone~~", "gone"), ("a | b", "a, b"), ("5 > 3", "5 > 3"),
])
def test_marks_for_eyes_are_not_read(markdown: str, said: str) -> None:
    assert plain(spoken(markdown)).replace(" !", "!").strip() == said.replace(" !", "!")


def test_code_blocks_are_left_out_however_they_come() -> None:
    text = "See:\n```python\nprint('hello')\n```\nThat `was` it. ```open"
    for step in (1, 2, 3, 7, len(text)):
        fences = Fences()
        said = "".join(fences.feed(text[place : place + step]) for place in range(0, len(text), step)) + fences.flush()
        assert plain(said) == "See: That `was` it."


def test_parts_keep_every_word_and_their_lengths() -> None:
    text = "One two, three four. " * 50 + "x" * 300
    found = list(parts(text, 20, 60))
    assert len(found[0][0]) <= 20
    assert all(len(part) <= 60 for part, _ in found)
    assert "".join(part for part, _ in found).replace(" ", "") == text.replace(" ", "")
    assert [more for _, more in found] == [True] * (len(found) - 1) + [False]
    assert max(len(word) for part, _ in found for word in part.split()) <= TOKEN
    assert list(parts(" \n", 20, 60)) == []


@given(st.text(max_size=300), st.integers(1, 50))
def test_any_text_is_cut(text: str, most: int) -> None:
    found = [part for part, _ in parts(text, most, most)]
    assert "".join(found).replace(" ", "") == plain(text).replace(" ", "")
    assert all(0 < len(part) <= most for part in found)
    spoken(text)
