from __future__ import annotations

import pytest

from aimass_stream.speech.turn import LEAST, MOST, USUAL, Ending, ending, finished, looks_finished, needed_silence
from benchmarks.speech_turns import STYLES, compared, generated, paused


@pytest.mark.parametrize("text", [
    "I would like to", "I would like to.", "we need bread and", "the", "well um", "Um...", "so I was thinking,",
    "put it in the", "my name is", "he said that", "what is twelve times", "could you", "because",
    "I like the colour of", "call me when you", "it's about -", "what is three plus", "turn the", "what is",
    "how could", "the house which was", "I am sure that"])
def test_nobody_ends_like_this(text: str) -> None:
    assert ending(text) is Ending.OPEN
    assert needed_silence(text) == MOST
    assert not finished(text, 1.0)


@pytest.mark.parametrize("text", [
    "Yes.", "no", "thank you", "What time is it?", "what time is it", "Where are you from?", "turn it off", "stop it",
    "mirror the picture", "tell me about it", "How are you today?", "I will see you tomorrow", "Stop!", "okay",
    "what is your name", "turn the lights off", "你好", "That was it. What are you looking for?"])
def test_surely_over(text: str) -> None:
    assert looks_finished(text)
    assert needed_silence(text) == LEAST
    assert finished(text, 0.31)


@pytest.mark.parametrize("text", [
    "set a timer for ten", "my number is five five two", "she sees the old", "if it rains", "I want", "they never",
    "We walked along the beach", "he is not", "it has been", "they don't", "she was suddenly", "my own brother",
    "in the early evening", "a glass of water", "they began", "everybody knew at once how"])
def test_rather_not_over(text: str) -> None:
    assert USUAL < needed_silence(text) < MOST


@pytest.mark.parametrize("text", [
    "", "...", "?", "we walked along the beach", "ich komme aus Berlin", "我想喝茶", "\x00", "maria", "fifty five",
    "show me where it is", "yes I am", "of course not", "the door was closed"])
def test_the_words_say_nothing(text: str) -> None:
    assert needed_silence(text) == USUAL
    assert not looks_finished(text)


@pytest.mark.parametrize(("text", "ends"), [
    ('He said "Go!".', Ending.FINISHED), ("Really?! ?", Ending.FINISHED), ("yes. .", Ending.FINISHED),
    ('We left. "And".', Ending.OPEN), (". . .", Ending.UNKNOWN)])
def test_marks_may_stand_apart(text: str, ends: Ending) -> None:
    assert ending(text) is ends


def test_the_waits_are_the_callers() -> None:
    assert needed_silence("yes", usual=0.2) == 0.2
    assert needed_silence("and", usual=2.0) == 2.0
    assert needed_silence("and", most=3.0) == 3.0
    assert not finished("", 100)


def test_a_megabyte_of_text() -> None:
    assert needed_silence("word and " * 110_000) == MOST


@pytest.mark.parametrize("style", STYLES)
def test_half_of_the_false_cut_offs_of_plain_silence_at_equal_delay(style: str) -> None:
    found = compared(paused(generated(400, seed=7), seed=8), STYLES[style])
    assert found.pauses > 500
    assert found.plain > 300
    assert found.hook <= found.plain / 2
    assert found.delay <= USUAL
