"""Whether somebody called the assistant by its name, or spoke of it."""

from __future__ import annotations

import pytest

from aimass_stream.conversation.addressing import Name

CALLED = {
    "Computer, what time is it?": "what time is it?", "computer what can you do": "what can you do",
    "hey Computer": "", "Okay, so computer: stop.": "stop.", "com puter what is it": "what is it",
    "combuter, stop": "stop", "What day is it today, computer?": "What day is it today",
    "thank you computer": "thank you", "Computer!": ""}
MENTIONED = ("I asked the computer yesterday", "I bought a new computer", "Computers are slow", "is it on computer",
             "the computer is broken", "what is on my computer", "we should say computer more often", "", "so",
             "compose something")


@pytest.mark.parametrize(("said", "asked"), CALLED.items())
def test_called(said: str, asked: str) -> None:
    assert Name("Computer").question(said) == asked


@pytest.mark.parametrize("said", MENTIONED)
def test_mentioned(said: str) -> None:
    assert Name("Computer").question(said) is None


def test_names_of_several_words_and_short_ones() -> None:
    assert Name("AI Mass").question("aimass, what is it") == "what is it"
    assert Name("AI Mass").question("a i mass stop") == "stop"
    assert Name("Max").question("Mix the colours") is None
    with pytest.raises(ValueError, match="letters"):
        Name("?!")
