from __future__ import annotations

import pytest

from aimass_stream.conversation.turns import Interjection, same_words, verdict


def heard(text: str, voiced: float = 0.6, elapsed: float = 0.7, *, speaking: bool = False, final: bool = False,
          guessed: bool = False) -> str:
    return verdict(Interjection(text, voiced, elapsed, speaking, final, guessed))


@pytest.mark.parametrize("text", ["stop", "what about tomorrow", "no", "wait a second", "uh no", "yeah but why"])
def test_real_words_interrupt_as_soon_as_they_are_there(text: str) -> None:
    assert heard(text, 0.4, 0.3, speaking=True) == "interrupt"


@pytest.mark.parametrize("text", ["", "mhm", "uh huh", "Mm, hmm.", "yeah", "okay right", "oh"])
def test_who_only_listens_does_not_interrupt(text: str) -> None:
    assert heard(text, 0.5, 0.5, speaking=True) == "wait"
    assert heard(text, 0.5, 1.0, final=True) == "resume"
    assert heard(text, 0.5, 2.0) == "resume"


def test_a_cough_is_no_word_whatever_was_made_of_it() -> None:
    assert heard("if this", 0.2, 0.4) == "wait"
    assert heard("if this", 0.2, 0.9, final=True) == "resume"


def test_somebody_who_speaks_on_is_not_kept_waiting_by_a_slow_recogniser() -> None:
    assert heard("", 1.0, 1.0, speaking=True) == "wait"
    assert heard("", 1.3, 1.3, speaking=True) == "interrupt"
    assert heard("mhm yeah", 1.3, 1.3, speaking=True) == "wait"
    assert heard("", 1.3, 1.9) == "wait"
    assert heard("", 1.9, 2.1) == "resume"


def test_words_of_a_recogniser_that_guesses_count_by_their_length_only() -> None:
    assert heard("finley chair lift", 0.5, 0.6, speaking=True, guessed=True) == "wait"
    assert heard("finley chair lift", 0.5, 0.9, final=True, guessed=True) == "resume"
    assert heard("", 0.8, 0.8, speaking=True, guessed=True) == "interrupt"
    assert heard("", 0.8, 1.2, final=True, guessed=True) == "interrupt"


def test_the_same_question() -> None:
    assert same_words("What's the time?", "what is the time")
    assert not same_words("what is the time", "what is the time there")
