from __future__ import annotations

import pytest

from aimass_stream.conversation.turns import Interjection, same_words, surest, verdict
from aimass_stream.speech.words import Word


def heard(text: str, voiced: float = 0.6, elapsed: float = 0.7, *, speaking: bool = False, final: bool = False,
          guessed: bool = False, confidence: float = 1.0, silence: float = 0.0) -> str:
    return verdict(Interjection(text, voiced, elapsed, speaking, final, guessed, confidence, silence))


@pytest.mark.parametrize("text", ["stop", "what about tomorrow", "no", "wait a second", "uh no", "yeah but why"])
def test_real_words_interrupt_as_soon_as_they_are_there(text: str) -> None:
    assert heard(text, 0.4, 0.3, speaking=True) == "interrupt"


@pytest.mark.parametrize("text", ["", "mhm", "uh huh", "Mm, hmm.", "yeah", "okay right", "oh", "Uhh.", "Ahh,",
                                  "Mmhmmm", "Ohhh yeah"])
def test_who_only_listens_does_not_interrupt(text: str) -> None:
    assert heard(text, 0.5, 0.5, speaking=True) == "wait"
    assert heard(text, 0.5, 1.0, final=True) == "resume"
    assert heard(text, 0.5, 2.0) == "resume"


def test_a_cough_is_no_word_whatever_was_made_of_it() -> None:
    assert heard("if this", 0.12, 0.4) == "wait"
    assert heard("if this", 0.12, 0.9, final=True) == "resume"


def test_a_short_sound_is_a_word_only_if_the_recogniser_is_sure() -> None:
    """What a recogniser made of an "mhm" while it lasted, and when it was over."""
    for text, confidence in (("Men", 0.4), ("Ahh a", 0.34), ("But oh.", 0.48), ("If.", 0.41)):
        assert heard(text, 0.3, 0.4, speaking=True, confidence=confidence) == "wait"
        assert heard(text, 0.3, 0.9, final=True, confidence=confidence) == "resume"
        assert heard(text, 0.75, 0.9, speaking=True, confidence=confidence) == "interrupt"
    assert heard("Set a", 0.3, 0.4, speaking=True, confidence=0.94) == "interrupt"
    assert heard("Wait", 0.2, 0.4, speaking=True, confidence=0.68) == "interrupt"
    assert heard("Napoleon", 0.5, 1.0, final=True, confidence=0.5) == "interrupt"


def test_nothing_more_is_waited_for_when_it_stays_silent() -> None:
    assert heard("Ah.", 0.3, 0.9, silence=0.5, confidence=0.5) == "wait"
    assert heard("Ah.", 0.3, 1.0, silence=0.6, confidence=0.5) == "resume"
    assert heard("If.", 0.3, 1.0, silence=0.6, confidence=0.4) == "wait"  # for the end of the turn


def test_the_surest_word_that_says_something() -> None:
    assert surest([Word("Ah", 0, 1, 0.9), Word("men", 1, 2, 0.4), Word("in", 2, 3, 0.5)]) == 0.5
    assert surest([Word("stop", 0, 1)]) == 1.0


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
