"""A grammar as a network: the same sentences, fewer arcs, probabilities that add up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aimass_stream.engines.pocketsphinx.network import network
from aimass_stream.speech.grammar import Phrase
from aimass_stream.speech.jsgf import jsgf

HEAD = "#JSGF V1.0;\ngrammar g;\n"


def sentences(grammar: str) -> dict[str, float]:
    """Each with how likely it is."""
    first, last, transitions = network(grammar)

    def from_here(state: int, said: tuple[str, ...], share: float) -> Iterator[tuple[str, float]]:
        if state == last:
            yield " ".join(said), share
        for begin, end, probability, *word in transitions:
            if begin == state:
                yield from from_here(end, (*said, *map(str, word)), share * probability)

    found = list(from_here(first, (), 1.0))
    assert len(found) == len(dict(found)), "there is one path for a sentence"
    return dict(found)


@pytest.mark.parametrize(("rules", "expected"), [
    ("public <a> = /3/ up | /1/ down;", {"up": 0.75, "down": 0.25}),
    ("public <a> = turn [it] (on | off);",
     {"turn it on": 0.25, "turn it off": 0.25, "turn on": 0.25, "turn off": 0.25}),
    ("public <a> = (/3/ <NULL> | /1/ please) <b>;\n<b> = stop;", {"stop": 0.75, "please stop": 0.25}),
    # a word that begins two ways is as likely as both
    ("public <a> = set a timer | set an alarm | stop | wait;",
     {"set a timer": 0.25, "set an alarm": 0.25, "stop": 0.25, "wait": 0.25}),
    ("public <a> = a | a | b;", {"a": 2 / 3, "b": 1 / 3}),
    ("public <a> = a | b <VOID> | c;", {"a": 0.5, "c": 0.5}),
])
def test_it_has_the_same_sentences(rules: str, expected: dict[str, float]) -> None:
    assert sentences(HEAD + rules) == pytest.approx(expected)


@pytest.mark.parametrize(("grammar", "problem"), [
    ("", "begin as a grammar"), ("what is this", "begin as a grammar"), (HEAD + "<a> = b;", "no public rule"),
    (HEAD + "public <a> = <b>;", "there is no <b>"), (HEAD + "public <a> = b <a>;", "refers to itself"),
    (HEAD + "public <a> = (b;", "not closed"), (HEAD + "public <a> = b);", "not opened"),
    (HEAD + "public <a> = b | ;", "empty"), (HEAD + "public <a> = b /2/ c;", "stands where"),
    (HEAD + "public <a> = <VOID>;", "no sentence"), (HEAD + "public <a> = b; nonsense", "can't be read")])
def test_what_can_not_be_read_is_refused(grammar: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        network(grammar)


def test_what_begins_or_ends_alike_is_there_once() -> None:
    rules = [f"public <a> = {' | '.join(f'{verb} a timer for <n> minutes' for verb in ('set', 'start', 'make'))};",
             "<n> = one | two | three | four;"]
    _, _, transitions = network(HEAD + "\n".join(rules))
    assert len([1 for transition in transitions if len(transition) == 4]) == 3 + 3 + 4 + 1


def test_numbers_are_shared_and_units_of_one_measure() -> None:
    phrases = (Phrase("convert", ("[what is|convert] <number> <from:unit> (in|to) <to:unit>",)),
               Phrase("sum", ("[what is|calculate] <a:number> (plus|minus) <b:number>",)))
    grammar, _ = jsgf(phrases, lambda word: True)
    first, last, transitions = network(grammar)
    total: dict[int, float] = {}
    for begin, _, probability, *_ in transitions:
        total[begin] = total.get(begin, 0.0) + probability
    assert all(share == pytest.approx(1) for share in total.values())
    assert len(transitions) < 6000
    step = {(begin, str(word[0])): end for begin, end, _, *word in transitions if word}

    def heard(text: str) -> bool:
        state = first
        for word in text.split():
            if (state, word) not in step:
                return False
            state = step[state, word]
        return any(begin == state and end == last for begin, end, *_ in transitions)

    assert heard("what is ten miles in kilometers")
    assert heard("convert two hundred and five pounds to grams please")
    assert heard("calculate minus three plus four")
    assert not heard("what is ten miles in kilograms")
    assert not heard("calculate ten miles in kilometers")
