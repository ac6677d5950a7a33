"""How delays, errors and corrections are counted from what a client was shown."""

from __future__ import annotations

import pytest

from aimass_stream.speech.words import Word
from benchmarks.speech.delays import Update, score
from benchmarks.speech.hearing import whole

SAID = [Word("The", 0.0, 0.2), Word("old", 0.2, 0.5), Word("man", 0.5, 1.0), Word("walked.", 1.0, 1.5)]


def test_a_word_counts_from_its_end_to_the_first_time_it_stood_committed() -> None:
    shown = [Update(0.6, "", "the"), Update(1.2, "The old", "man"), Update(2.0, "The old man walked.", "")]
    scores = score(SAID, shown, utterance_ends=[1.5])
    assert scores.delays == pytest.approx([1.0, 0.7, 1.0, 0.5])
    assert scores.finals == pytest.approx([0.5])
    assert (scores.wer, scores.corrections) == (0, 0)


def test_words_taken_back_count_anew_and_as_corrections() -> None:
    scores = score(SAID, [Update(1.0, "The cold", ""), Update(1.6, "The old man", "talked"),
                          Update(2.0, "The old man walked", "")])
    assert scores.delays == pytest.approx([0.8, 1.1, 0.6, 0.5])
    assert scores.changed == 2  # "cold" and "talked"


def test_errors_of_each_kind_count_and_lost_words_have_no_delay() -> None:
    scores = score(SAID, [Update(2.0, "the old men", "")])
    assert scores.wer == pytest.approx(0.5)  # one replaced, one lost
    assert len(scores.delays) == 3
    assert score(SAID, []).wer == 1


def test_a_latency_that_is_none_spoils_no_run() -> None:
    assert whole("1234.6") == 1235
    assert whole("nan") is None
