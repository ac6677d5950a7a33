"""Phrases against text, and as a grammar."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from aimass_stream.errors import InvalidInput
from aimass_stream.speech.grammar import LONGEST, Phrase, match, tokens
from aimass_stream.speech.jsgf import jsgf, words_of
from aimass_stream.speech.quantities import RULES, Clock

PHRASES = (
    Phrase("timer", ("set a timer for <duration>", "start a <duration> timer")),
    Phrase("alarm", ("set an alarm for <time>", "wake me [up] at <time>")),
    Phrase("sum", ("what is <a:number> <op> <b:number>",), {"op": ("plus", "minus", "times", "divided by")}),
    Phrase("convert", ("convert <number> <from:unit> to <to:unit>", "what is <number> <from:unit> in <to:unit>")),
    Phrase("style", ("make it [look like] [a] <style>",), {"style": {"cartoon": "cartoon", "black and white": "gray"}}),
    Phrase("note", ("remember [that] <text>",)),
    Phrase("louder", ("louder", "turn (it|the volume) up")),
)


@pytest.mark.parametrize(("text", "name", "slots"), [
    ("Set a timer for five minutes.", "timer", {"duration": 300}),
    ("could you set a timer for an hour and a half, please?", "timer", {"duration": 5400}),
    ("START A 10 MINUTE TIMER", "timer", {"duration": 600}),
    ("set a timer for 2 hours and 30 minutes", "timer", {"duration": 9000}),
    ("set a timer for for minutes", "timer", {"duration": 240}),
    ("set a timer for half an hour", "timer", {"duration": 1800}),
    ("wake me up at half past seven in the morning", "alarm", {"time": Clock(7, 30, "am")}),
    ("set an alarm for 7:30 p.m.", "alarm", {"time": Clock(19, 30, "pm")}),
    ("set an alarm for a quarter to one", "alarm", {"time": Clock(12, 45)}),
    ("wake me at seven oh five", "alarm", {"time": Clock(7, 5)}),
    ("wake me at noon", "alarm", {"time": Clock(12, 0, "pm")}),
    ("What's 5+7?", "sum", {"a": 5, "op": "plus", "b": 7}),
    ("what is 1,200 divided by minus three", "sum", {"a": 1200, "op": "divided by", "b": -3}),
    ("what is one hundred and five times twelve point five", "sum", {"a": 105, "op": "times", "b": 12.5}),
    ("what is two thousand and six minus a hundred", "sum", {"a": 2006, "op": "minus", "b": 100}),
    ("Convert twenty-five kilometres to miles", "convert", {"number": 25, "from": "kilometer", "to": "mile"}),
    ("what is two and a half kg in pounds", "convert", {"number": 2.5, "from": "kilogram", "to": "pound"}),
    ("make it look like a cartoon", "style", {"style": "cartoon"}),
    ("make it black and white now, please", "style", {"style": "gray"}),
    ("Remember that the key is under the mat.", "note", {"text": "the key is under the mat"}),
    ("okay, turn the volume up", "louder", {}),
])
def test_what_is_said_is_understood(text: str, name: str, slots: dict[str, Any]) -> None:
    command = match(text, PHRASES)
    assert command is not None
    assert (command.name, dict(command.slots)) == (name, slots)


@pytest.mark.parametrize("text", [
    "", "hello", "set a timer", "set a timer for blue minutes", "turn up", "louder than life", "what is five plus",
    "convert five apples to pears", "wake me up at ninety nine", "he said make it a cartoon", "? ! ...", "\u3042" * 50])
def test_what_is_no_command_is_none(text: str) -> None:
    assert match(text, PHRASES) is None


def test_a_long_text_costs_nothing() -> None:
    phrase = Phrase("many", ("<a:text> and <b:text> and <c:text> to",))
    assert match("one and " * (LONGEST + 1), (phrase,)) is None


def test_a_pattern_may_begin_with_what_is_not_said() -> None:
    phrases = (Phrase("stop", ("[do|would] [just] stop [it]",)), Phrase("number", ("[number] <number>",)),
               Phrase("polite", ("[now] [please]",)))
    for text, name in (("stop", "stop"), ("do just stop it", "stop"), ("okay please would stop now", "stop"),
                       ("number seven", "number"), ("could you please seven thanks", "number"), ("now", "polite"),
                       ("hey", "polite"), ("please stop please", "stop")):
        command = match(text, phrases)
        assert command is not None, text
        assert command.name == name
    assert match("just do stop", phrases) is None
    assert match("could you", phrases[:2]) is None


def test_patterns_that_begin_otherwise_are_not_looked_at() -> None:
    """By the calls it takes: a hundred more patterns cost a few each."""
    phrases = tuple(Phrase(f"{word}", (f"({word}|{word}s) [the] picture [a lot|a bit] [more|less]",))
                    for word in (f"{chr(97 + one)}{chr(97 + other)}x" for one in range(10) for other in range(10)))
    assert match("please jjx the picture a bit", phrases) is not None
    calls = 0

    def count(frame: object, kind: str, what: object) -> None:
        nonlocal calls
        calls += kind in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        command = match("hey could you please jjx the picture a bit", phrases)
    finally:
        sys.setprofile(before)
    assert command is not None
    assert calls < 1500


def test_tokens() -> None:
    assert tokens("It’s 3.5 metres, i.e. GREY!") == ["it", "is", "3.5", "meters", "i.e", "gray"]
    assert tokens("50% of 2*3 at 7:05") == ["50", "percent", "of", "2", "times", "3", "at", "7:05"]


@pytest.mark.parametrize(("pattern", "problem"), [
    ("turn (it up", "does not close"), ("turn it] up", "closes"), ("a || b", "empty"), ("<colour> it", "no kind"),
    ("", "empty"), ("a <b", "can't be read")])
def test_a_pattern_that_can_not_be_read_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Phrase("x", (pattern,))


def test_a_grammar_has_what_its_dictionary_knows() -> None:
    missing = {"cartoon", "louder"}
    grammar, left_out = jsgf(PHRASES, lambda word: word not in missing)
    assert left_out == ("remember [that] <text>", "louder")
    assert "black and white" in grammar
    assert "cartoon" not in grammar
    assert "(what is | what's) <number> (plus" in grammar
    assert "start a <long> timer" in grammar
    for name in ("number", "duration", "long", "time", "unit", "below_hundred"):
        assert f"\n<{name}> = {RULES[name]};" in grammar
    assert {"timer", "what's", "plus", "white"} <= set(words_of(PHRASES))


def test_a_grammar_has_one_mile_and_two_miles_but_not_two_mile() -> None:
    phrase = Phrase("convert", ("convert <number> <from:unit> to <to:unit>",))
    grammar, _ = jsgf([phrase], lambda word: True)
    assert "(/20/ <number> <unit_length> | /1/ <one_unit_length>) to <unit_length>" in grammar
    assert RULES["one_unit_length"].startswith("(a | an | one) (")
    assert "mile)" in RULES["one_unit_length"].split()
    assert "mile" not in RULES["unit_length"].split()
    assert "celsius" in RULES["unit_heat"].split()
    for text, count in (("convert a mile to feet", 1), ("convert two miles to feet", 2)):
        command = match(text, [phrase])
        assert command is not None
        assert tuple(command.slots.values()) == (count, "mile", "foot")


def test_a_grammar_of_nothing_hears_nothing() -> None:
    assert "<VOID>" in jsgf([], lambda word: True)[0]
