"""Rules about what is in pictures: so many of these, there, for so long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from aimass_stream.seeing.rules import Judge, Rule, Sight, asked, sights

PERSON = Rule(frozenset({"person"}), "door", seconds=3, patience=1, cooldown=10)


def thing(number: int = 0, label: str = "person", zone: str = "door", **more: Any) -> dict[str, Any]:
    return {"label": label, "score": 0.9, "box": [1, 2, 3, 4]} | ({"id": number} if number else {}) | (
        {"zones": {zone: 1.0}} if zone else {}) | more


def told(rule: Rule, seconds: float, there: Callable[[float], Sequence[dict[str, Any]]]) -> list[tuple[str, float]]:
    """What the judge says at which second, ten pictures a second."""
    judge = Judge(rule)
    answers: list[tuple[str, float]] = []
    for number in range(round(seconds * 10) + 1):
        at = number / 10
        found = sights({"detect": {"detections": list(there(at))}}, rule)
        assert found is not None
        answer = judge.see(at, found)
        if answer:
            answers.append((answer, at))
    return answers


def test_somebody_stays_and_goes() -> None:
    answers = told(PERSON, 20, lambda at: [thing(7)] if 2 <= at <= 8 else [])
    assert answers == [("fired", 5.0), ("over", 9.1)]


def test_two_who_pass_one_after_the_other_are_not_one_who_stays() -> None:
    assert told(PERSON, 20, lambda at: [thing(1 + int(at / 2))]) == []


def test_what_flickers_is_still_there_and_what_is_gone_for_longer_begins_anew() -> None:
    assert told(PERSON, 6, lambda at: [thing(7)] if round(at * 10) % 8 < 2 else [])[0][0] == "fired"
    assert told(PERSON, 20, lambda at: [thing(7)] if at % 4 < 2.5 else []) == []


def test_elsewhere_and_other_things_do_not_count() -> None:
    assert told(PERSON, 6, lambda at: [thing(7, zone="gate"), thing(8, label="dog"), thing(9, zone="")]) == []
    anything = Rule(frozenset(), "", seconds=3)
    assert told(anything, 6, lambda at: [thing(8, label="dog", zone="")]) == [("fired", 3.0)]


def test_so_many_at_once_each_for_so_long() -> None:
    pair = Rule(frozenset({"person"}), count=2, seconds=3, patience=0.5)

    def there(at: float) -> list[dict[str, Any]]:
        return [thing(1), *([thing(2)] if at >= 4 else [])]

    assert told(pair, 10, there) == [("fired", 7.0)]
    nameless = Rule(frozenset({"motion"}), count=2, seconds=1, patience=0.3)
    assert told(nameless, 6, lambda at: [thing(label="motion")] * (2 if 2 <= at <= 4 else 1)) == [
        ("fired", 3.0), ("over", 4.4)]


def test_nobody_there_for_so_long() -> None:
    absent = Rule(frozenset({"person"}), "door", seconds=5, count=0, patience=1)
    assert told(absent, 16, lambda at: [thing(3)] if at <= 2 or 12 <= at <= 13 else []) == [
        ("fired", 7.0), ("over", 12.0)]
    assert told(absent, 6, lambda at: []) == [("fired", 5.0)]


def test_what_comes_again_is_told_again_only_after_the_cool_down() -> None:
    answers = told(PERSON, 40, lambda at: [thing(1 + int(at / 6))] if at % 6 < 4 else [])
    fired = [at for what, at in answers if what == "fired"]
    assert fired[0] == 3.0
    assert all(later - earlier >= PERSON.cooldown for earlier, later in pairwise(fired))
    assert len(fired) == 4
    still = told(PERSON, 40, lambda at: [thing(5)])  # one that stays is told once
    assert still == [("fired", 3.0)]


def test_a_thing_begins_when_it_is_seen_and_stays_where_it_is_supposed_to_be() -> None:
    def there(at: float) -> list[dict[str, Any]]:
        return [thing(7) if round(at * 10) % 20 == 0 and at else thing(7, predicted=True)]

    assert told(PERSON, 6, there) == [("fired", 5.0)]


@pytest.mark.parametrize("notes", [
    {}, {"level": 3}, {"detect": {"skipped": "deadline"}}, {"detect": {"detections": None}},
    {"detect": None}, {"hands": {"skipped": "busy"}},
])
def test_a_picture_that_nobody_has_looked_at(notes: dict[str, Any]) -> None:
    assert sights(notes, PERSON) is None


def test_notes_of_other_peoples_stages_do_no_harm() -> None:
    odd = [None, 3, {"label": None}, {"id": "1", "label": "person", "zones": {"door": 1}}, {"zones": ["door"]},
           {"label": ["person"], "zones": {"door": 0}}]
    assert sights({"x": {"detections": odd}}, PERSON) == [Sight(("x", -1), True)]


def test_gestures_names_and_classes() -> None:
    notes = {"hands": {"hands": [{"hand": 2, "side": "left", "gesture": "Fist", "digit": 0}]},
             "faces": {"detections": [{"label": "face", "name": "Ada Lovelace", "id": 5}]},
             "classify": {"classes": [{"label": "beach", "score": 0.8}]}}
    for word, key in (("fist", ("hands", 2)), ("0", ("hands", 2)), ("ada lovelace", ("faces", 5)),
                      ("face", ("faces", 5)), ("beach", ("classify", -1))):
        assert sights(notes, Rule(frozenset({word}))) == [Sight(key, True)]


def written(*texts: str) -> dict[str, Any]:
    return {"ocr": {"lines": [{"line": 5 + number, "text": text} for number, text in enumerate(texts)]}}


@pytest.mark.parametrize(("when", "text", "meant"), [
    ('"exit"', "EXIT 7", True), ('"no entry"', "NOENTRY", True), ('"no entry"', "No  Entry!", True),
    ('"exit"', "Brexit", False), ('"exit"', "exits", False), ("exit", "EXIT", False), ("“Exit”", "exit", True),
    ('"A,B", dog', "a,b", True), ('"7"', "17", False), ('"安全出口"', "前方安全出口请", True),
    ('"出口"', "入口", False), ('"(1+1"', "is (1+1) two", True), ("", "anything", True), ('""', "anything", True)])
def test_words_in_quotation_marks_are_looked_for_in_what_is_written(when: str, text: str, meant: bool) -> None:
    words, texts = asked(when)
    found = sights(written(text), Rule(words, texts=texts))
    assert found == ([Sight(("ocr", -1), True)] if meant else [])


def test_a_label_and_a_text_are_asked_for_together() -> None:
    assert asked('person, "Exit", "way  out" ,fire engine') == (
        frozenset({"person", "fire engine"}), frozenset({"exit", "way out"}))
    words, texts = asked('person, "exit"')
    notes = written("Exit", "Way in") | {"detect": {"detections": [thing(3), thing(4, "code", text="exit 9")]}}
    found = sights(notes, Rule(words, texts=texts))
    assert found == [Sight(("ocr", -1), True), Sight(("detect", 3), True), Sight(("detect", 4), True)]
