"""The first words of each utterance, from when it began to be spoken, not from when that was noticed."""

from __future__ import annotations

import pytest

from aimass_stream.hearing.events import Committed, Partial, SpeechBegan
from aimass_stream.hearing.first_words import MOST, FirstWords
from aimass_stream.speech.words import Word

WORDS = (Word("hello", 0.0, 0.4),)


def test_once_for_each_utterance_and_not_before_there_are_words() -> None:
    first = FirstWords()
    assert first.of(SpeechBegan(2.0, 2.25, "a")) is None
    assert first.of(SpeechBegan(5.0, 5.0, "b")) is None
    assert first.of(Partial("a", (), "en")) is None
    seconds = first.of(Partial("a", WORDS, "en"))
    assert seconds is not None
    assert 0.25 <= seconds < 5
    assert first.of(Committed("a", WORDS, "en", True)) is None
    assert first.of(Committed("b", WORDS, "en", True)) == pytest.approx(0, abs=2)
    assert first.of(Partial("never begun", WORDS, "en")) is None


def test_what_is_cleared_and_never_ends_is_forgotten() -> None:
    first = FirstWords()
    for number in range(MOST + 1):
        first.of(SpeechBegan(0, 0, str(number)))
    assert first.of(Partial("0", WORDS, "en")) is None
    assert first.of(Partial("1", WORDS, "en")) is not None
