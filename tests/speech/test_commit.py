from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.speech.commit import (
    Alignment,
    LocalAgreement,
    audible,
    believable,
    key,
    place_to_cut,
    unlooped,
    unrepeated,
)
from aimass_stream.speech.words import HEARING_RATE, Hypothesis, Word

from ..support.hearing import spoken


def texts(words: object) -> list[str]:
    assert isinstance(words, list | tuple)
    return [word.text for word in words]


def test_local_agreement_settles_what_two_hypotheses_begin_with() -> None:
    policy = LocalAgreement()
    assert policy.settled(spoken("The bell"), 1.0) == 0
    assert policy.settled(spoken("the bell, rang"), 1.5) == 2  # case and punctuation don't matter
    assert policy.settled(spoken("wrong twice"), 2.0) == 0  # seen from behind what is settled
    assert policy.settled(spoken("rang twice at"), 2.5) == 0
    assert policy.settled(spoken("rang twice at dawn"), 3.0) == 3


def test_a_hypothesis_that_ends_early_agrees_only_as_far_as_it_goes() -> None:
    policy = LocalAgreement()
    assert policy.settled(spoken("one two three"), 1.0) == 0
    assert policy.settled(spoken("one"), 1.5) == 1
    assert policy.settled((), 2.0) == 0
    assert policy.settled(spoken("two three"), 2.5) == 0


def test_three_hypotheses_can_be_asked_for_and_one_can_not() -> None:
    policy = LocalAgreement(3)
    assert [policy.settled(spoken("one two"), end) for end in (1.0, 1.5, 2.0)] == [0, 0, 2]
    with pytest.raises(ValueError):
        LocalAgreement(1)


def test_forgetting_begins_anew() -> None:
    policy = LocalAgreement()
    policy.settled(spoken("one two"), 1.0)
    policy.forget()
    assert policy.settled(spoken("one two"), 1.5) == 0


def test_alignment_settles_what_lies_clear_of_the_end() -> None:
    words = spoken("one two three", start=0.0, each=0.4, pause=0.1)  # ending at 0.4, 0.9, 1.4
    assert Alignment(0.4).settled(words, 1.35) == 2
    assert Alignment(0.4).settled(words, 1.25) == 1
    assert Alignment(0.4).settled(words, 1.5) == 2
    assert Alignment(0.4).settled(words, 1.5, pause=True) == 3  # the sound ends in silence: no word is cut
    assert Alignment(0.4).settled((), 9.0) == 0


def test_alignment_settles_sooner_what_a_second_pass_has_too() -> None:
    policy = Alignment(1.0, agreed=0.1)
    words = spoken("one two three", start=0.0, each=0.4, pause=0.1)  # ending at 0.4, 0.9, 1.4
    assert policy.settled(words[:2], 1.0) == 0
    assert policy.settled(words, 1.25) == 2
    assert policy.settled(words[2:], 1.45) == 0  # it has agreed, but its end may still be cut
    assert policy.settled(spoken("tree", start=1.0, each=0.4), 1.6) == 0
    assert policy.settled(spoken("tree", start=1.0, each=0.4), 1.85) == 1
    policy.forget()
    assert policy.settled(words[:1], 0.6) == 0


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(st.lists(WORDS, max_size=8), st.integers(2, 3))
def test_whatever_the_hypotheses_only_agreed_words_are_settled(hypotheses: list[list[str]], n: int) -> None:
    policy, settled = LocalAgreement(n), list[str]()
    shown: list[list[str]] = []
    for hypothesis in hypotheses:
        rest = hypothesis[len(settled) :] if hypothesis[: len(settled)] == settled else hypothesis
        count = policy.settled(spoken(" ".join(rest)), 0.0)
        shown.append([*settled, *rest])
        settled += rest[:count]
        for agreeing in shown[-n:] if count else []:
            assert agreeing[: len(settled)] == settled


def test_keys() -> None:
    assert key("Don't,") == key("dont") == "dont"
    assert key("ﬁne") == "fine"
    assert key("—") == "—"  # a word of its own, not equal to nothing


# inventions -------------------------------------------------------------------------------------------------


def test_loops_are_cut_after_one_round_and_people_may_repeat_themselves() -> None:
    loop = spoken("so I " + "think I " * 20, each=0.2, pause=0.02)
    assert texts(unlooped(loop)) == ["so", "I", "think"]
    hasty = spoken("so I think " + "thank you " * 4, each=0.02, pause=0.0)
    assert texts(unlooped(hasty)) == ["so", "I", "think"]
    row = spoken("row row row your boat gently down the stream", each=0.25)
    assert unlooped(row) == row
    assert unlooped(()) == ()


def test_nobody_speaks() -> None:
    words = spoken("Thank you")
    loud = np.full(2 * HEARING_RATE, 0.1, np.float32)
    assert believable(Hypothesis(words, "", no_speech=0.9, mean_log_probability=-1.2), loud) == ()
    assert believable(Hypothesis(words, "", no_speech=0.9, mean_log_probability=-0.2), loud) == words
    assert believable(Hypothesis(words, "", no_speech=0.1, mean_log_probability=-1.2), loud) == words


def test_words_in_digital_silence_were_not_spoken() -> None:
    sound = np.zeros(4 * HEARING_RATE, np.float32)
    sound[: HEARING_RATE] = 0.05
    words = (Word("one", 0.2, 0.6), Word("two", 2.0, 2.4), Word("three", 3.9, 4.6))
    assert texts(audible(words, sound)) == ["one"]


def test_what_the_cut_left_of_a_word_is_not_said_again() -> None:
    said = spoken("we go home", start=0.0)
    again = (Word("home", 1.0, 1.15), Word("now", 1.2, 1.5))
    assert texts(unrepeated(again, said, 1.0)) == ["now"]
    later = (Word("home", 1.6, 1.9), Word("now", 2.0, 2.3))  # said again, really
    assert texts(unrepeated(later, said, 1.0)) == ["home", "now"]
    assert texts(unrepeated(again, (), 1.0)) == ["home", "now"]


# where to cut -------------------------------------------------------------------------------------------------


def test_sound_is_cut_in_the_longest_pause_or_after_a_sentence() -> None:
    words = (Word("one", 0.0, 0.4), Word("two", 1.4, 1.8), Word("three", 1.9, 2.3), Word("four", 2.4, 2.8))
    assert place(words, 0.0, 5.0) == (4, 3.1)  # the pause at the end is the longest
    assert place(words, 0.0, 2.5) == (1, 0.7)
    assert place(words, 1.5, 2.5) == (3, 2.35)
    assert place_to_cut(words, 3.5, 4.0) is None
    assert place_to_cut((), 0.0, 5.0) is None
    told = (Word("Yes.", 0.0, 0.4), Word("I", 0.45, 0.6), Word("am", 0.8, 1.0), Word("so", 1.01, 1.3))
    assert place(told, 0.0, 1.3) == (1, 0.425)


def place(words: tuple[Word, ...], earliest: float, latest: float) -> tuple[int, float]:
    found = place_to_cut(words, earliest, latest)
    assert found is not None
    return found[0], round(found[1], 6)
