"""Where a voice may begin to speak while the text is still coming."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.speech.clauses import FIRST_MOST, MOST, Clauses


def cut(text: str, step: int = 1) -> list[str]:
    """Fed `step` letters at a time; 0: all at once."""
    clauses, found = Clauses(), []
    for place in range(0, len(text), step or max(1, len(text))):
        found += clauses.feed(text[place : place + (step or len(text))])
    return found + clauses.flush()


@pytest.mark.parametrize(("text", "clauses"), [
    ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
    ("Well, I think so. It is late, and cold.", ["Well,", "I think so.", "It is late, and cold."]),
    ("Dr. Smith met Mr. Jones at 5 p.m. on Main St. today.", ["Dr. Smith met Mr. Jones at 5 p.m. on Main St. today."]),
    ("It was 5 p.m. Everybody left.", ["It was 5 p.m.", "Everybody left."]),
    ("Pi is 3.14159 or so. Next.", ["Pi is 3.14159 or so.", "Next."]),
    ("See https://example.org/a.b?c=1,2 now. Done.", ["See https://example.org/a.b?c=1,2 now.", "Done."]),
    ("Wait... what is it... Never mind.", ["Wait... what is it...", "Never mind."]),
    ("J. R. R. Tolkien wrote it. I. did not.", ["J. R. R. Tolkien wrote it.", "I.", "did not."]),
    ("Meet at 10:30 or 1,000 times. Yes.", ["Meet at 10:30 or 1,000 times.", "Yes."]),
    ('"Really?" he asked. "Yes." Good.', ['"Really?" he asked.', '"Yes."', "Good."]),
    ("1. First\n2. Second\n\n3. Third", ["1. First", "2. Second", "3. Third"]),
    ("你好，今天很好。我们去公园吧！好", ["你好，", "今天很好。", "我们去公园吧！", "好"]),
    ("The U.S. is big. The U.S. Everyone knows.", ["The U.S. is big.", "The U.S.", "Everyone knows."]),
    ("e.g. this, i.e. that.", ["e.g. this,", "i.e. that."]),
    ("What?! No!!! (Yes.) Oh.", ["What?!", "No!!!", "(Yes.)", "Oh."]),
    ("... --- !!!", []),
    ("", []),
    ("no end", ["no end"]),
])
def test_clauses_end_where_sentences_do(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses
    assert cut(text, 3) == clauses
    assert cut(text, 0) == clauses


def test_a_clause_is_given_as_soon_as_it_stands() -> None:
    clauses = Clauses()
    assert clauses.feed("Hello") == []
    assert clauses.feed(".") == []  # it might be hello.txt
    assert clauses.feed(" ") == ["Hello."]
    assert clauses.feed("你好。") == ["你好。"]  # nothing can follow that would change it
    assert clauses.feed("It was 5 p.m. ") == []
    assert clauses.feed("E") == ["It was 5 p.m."]


def test_the_first_clause_is_short_and_none_is_endless() -> None:
    text = "word " * 400
    found = cut(text)
    assert len(found[0]) <= FIRST_MOST
    assert all(len(clause) <= MOST for clause in found)
    assert " ".join(found).split() == text.split()
    assert all(len(clause) <= MOST for clause in cut("a" * 5000))


def test_after_a_flush_another_first_clause_is_short() -> None:
    clauses = Clauses()
    assert clauses.feed("Yes, of course I do. ") == ["Yes,", "of course I do."]
    assert clauses.flush() == []
    assert clauses.feed("No, not today. ") == ["No,", "not today."]
    clauses.feed("Something that is")
    clauses.clear()
    assert clauses.flush() == []


def test_a_megabyte_takes_time_in_proportion() -> None:
    begun = time.thread_time()
    small = cut("Some words, and more. " * 2_000, 0)
    once = time.thread_time() - begun
    begun = time.thread_time()
    large = cut("Some words, and more. " * 40_000, 0)
    assert len(large) == pytest.approx(20 * len(small), rel=0.01)
    assert time.thread_time() - begun < 150 * max(once, 0.005)


@given(st.text(alphabet="ab .,!?…\n\"'。，5", max_size=400), st.integers(1, 9))
def test_no_letter_is_lost_however_it_comes(text: str, step: int) -> None:
    def letters(of: str) -> str:
        return "".join(letter for letter in of if letter.isalnum())

    assert letters("".join(cut(text, step))) == letters(text)
