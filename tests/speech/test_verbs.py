from __future__ import annotations

import pytest

from aimass_stream.speech.verbs import FORMS, has_verb

AFTER = frozenset({"the", "a", "in", "old"})


@pytest.mark.parametrize("text", [
    "she stopped", "he's outside", "they carry it", "it carries on", "we watched", "mirror the picture", "you'll see",
    "nobody glimpsed it", "they look", "lights that would"])
def test_there_is_a_verb(text: str) -> None:
    assert has_verb(text.split(), AFTER)


@pytest.mark.parametrize("text", [
    "", "the look", "the old promise", "in need", "a hundred sacred beds", "the man's walk", "my sister", "at once"])
def test_there_is_none_yet(text: str) -> None:
    assert not has_verb(text.split(), AFTER)


def test_forms_are_spelt_as_they_are_written() -> None:
    assert {"tries", "tried", "trying", "stopped", "watches", "loved", "loving", "stays", "stayed"} <= FORMS
    assert FORMS.isdisjoint({"trys", "stayied", "watchs", "loveed", "loveing"})
