from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from aimass_stream.events import SpokenWord, TranscriptCommitted
from aimass_stream.speech.timing import tightened
from aimass_stream.speech.transcript import LINE, Transcript, cut, line
from aimass_stream.speech.words import HEARING_RATE, Word

from ..support.hearing import sound, spoken

TIME = r"(\d\d):(\d\d):(\d\d)[.,](\d\d\d)"


def committed(utterance: str, words: tuple[Word, ...], speaker: str = "audio-0", **given: Any) -> TranscriptCommitted:
    told = [SpokenWord(text=word.text, start=word.start, end=word.end) for word in words]
    return TranscriptCommitted(**({"utterance": utterance, "text": line(words), "words": told, "engine": "whisper",
                                   "model": "m", "language": "en", "speaker": speaker, "final": False} | given))


def filled(*said: TranscriptCommitted) -> Transcript:
    transcript = Transcript()
    for each in said:
        transcript.add(each)
    return transcript


def seconds(match: re.Match[str]) -> float:
    hours, minutes, rest, thousandths = map(int, match.groups())
    return hours * 3600 + minutes * 60 + rest + thousandths / 1000


LONG = spoken("It was a bright cold day in April, and the clocks were striking thirteen. Winston Smith, his chin "
              "nuzzled into his breast in an effort to escape the vile wind, slipped quickly through the glass doors.")


def test_srt() -> None:
    text = filled(committed("a", LONG), committed("a", spoken("The end.", start=4000.0), final=True)).srt()
    blocks = text.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]
    last = 0.0
    for block in blocks:
        _, times, *lines = block.split("\n")
        start, end = (seconds(match) for match in re.finditer(TIME, times))
        assert re.fullmatch(TIME + " --> " + TIME, times)
        assert "," in times
        assert last <= start < end
        assert 1 <= len(lines) <= 2
        assert all(len(each) <= LINE for each in lines)
        last = end
    assert " ".join(" ".join(block.split("\n")[2:]) for block in blocks) == line(LONG) + " The end."
    assert "01:06:40,000" in text


def test_vtt_escapes_and_names_speakers_where_there_are_several() -> None:
    hostile = (Word("<b>&", 0.0, 0.5), Word("-->", 0.6, 1.0))
    alone = filled(committed("a", hostile)).vtt()
    assert alone.startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert "&lt;b&gt;&amp; --&gt;" in alone
    both = filled(committed("a", hostile, "Ann\n<x>"), committed("b", spoken("yes", start=0.4), "Bob"))
    assert "<v Ann &lt;x&gt;>&lt;b&gt;" in both.vtt()
    assert both.text() == "Ann <x>: <b>& -->\nBob: yes\n"
    assert "Bob: yes" in both.srt()


def test_utterances_of_two_speakers_stand_in_the_order_of_their_begin() -> None:
    transcript = filled(committed("a", spoken("one", start=5.0), "x"), committed("b", spoken("two", start=1.0), "y"),
                        committed("a", spoken("three", start=6.0), "x"), committed("c", (), "x", final=True))
    assert [each.text for each in transcript.utterances()] == ["two", "one three"]
    assert len(transcript) == 3
    told = transcript.json()
    assert told["utterances"][0]["words"] == [{"text": "two", "start": 1.0, "end": 1.3, "confidence": None}]
    assert told["text"].splitlines() == ["y: two", "x: one three"]


def test_the_record_is_bounded_and_counts_what_it_dropped() -> None:
    transcript = Transcript(most=10)
    for number in range(10):
        transcript.add(committed(str(number), spoken("one two three", start=float(number))))
    assert len(transcript) <= 10
    assert transcript.dropped == 30 - len(transcript)
    copied = transcript.copy()
    transcript.add(committed("9", spoken("more", start=20.0)))
    assert (len(copied), copied.dropped) == (9, 21)
    assert "more" not in copied.text()


def test_subtitles_end_with_sentences_and_in_pauses_and_do_not_overlap() -> None:
    words = (*spoken("Yes. No, wait", start=0.0, each=0.2), *spoken("a moment", start=9.0))
    cues = cut(words)
    assert [cue.text for cue in cues] == ["Yes.", "No, wait", "a moment"]
    assert all(before.end <= after.start for before, after in pairwise(cues))
    assert cues[1].end >= cues[1].start + 0.8


def test_languages_without_blanks() -> None:
    said = "今天天气很好我们去公园散步吧"
    words = tuple(Word(sign, 0.2 * index, 0.2 * index + 0.2) for index, sign in enumerate(said))
    assert line(words, "zh") == said
    assert [cue.text for cue in cut(words, language="zh")] == [said]


def test_nothing_said() -> None:
    assert (Transcript().srt(), Transcript().text(), Transcript().json()["utterances"]) == ("", "", [])
    assert Transcript().vtt() == "WEBVTT\n"


def test_words_are_tightened_to_their_sound() -> None:
    audio = sound(0.0, 3.0, silences=((0.0, 1.0), (1.5, 3.0)))
    (word, gone) = tightened((Word("late", 0.0, 2.5, 0.9), Word("nothing", 2.5, 3.0)), audio)
    assert (word.start, word.end, word.confidence) == (1.0, 1.5, 0.9)
    assert (gone.start, gone.end) == (2.5, 3.0)  # no sound to hold on to
    assert tightened((), audio) == ()
    assert tightened((Word("x", 0, 1),), audio[: HEARING_RATE // 1000]) == (Word("x", 0, 1),)
