"""Texts of what is heard."""

from __future__ import annotations

from aimass_stream.hearing.events import Committed, Partial
from aimass_stream.hearing.utterance import Utterance
from aimass_stream.speech.words import Word


def test_languages_without_blanks_get_none() -> None:
    for language, text in (("en", "你 好"), ("zh", "你好"), ("", "你 好")):
        words = (Word("你", 0.0, 0.2), Word("好", 0.2, 0.4))
        assert Committed("u", words, language, True).text == Partial("u", words, language).text == text
        utterance = Utterance(0.0, 0.0, words=list(words), language=language)
        assert utterance.text == utterance.ending(0.0).text == text
