"""The speaker: clause by clause, one ahead, and silent at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput, ModelFailed, NotFound, TooLarge, Unavailable
from aimass_stream.inference import Engine, installed
from aimass_stream.speaking.speaker import MOST_TEXT, Piece, Speaker, say_all
from aimass_stream.speaking.voices import OPENAI_NAMES, describe, open_synthesizer, voice_id, voices
from aimass_stream.speech.contract import Manner, Spoken, Synthesizer, Voice
from aimass_stream.speech.words import Word
from tests.support.options import settings
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def voice() -> AsyncIterator[Synthesizer]:
    engine = Engine(installed())
    yield await open_synthesizer(engine, settings(), "espeak")
    await engine.close()


class Recorder:
    """A voice that says a second of nothing for each clause, when it is told to go on."""

    name, rate = "recorder", 1000

    def __init__(self) -> None:
        self.asked: list[tuple[str, Manner]] = []
        self.closed = 0
        self.go = asyncio.Semaphore(0)  # half clauses that may be made

    def open(self) -> None:
        for _ in range(100):
            self.go.release()

    def voices(self) -> list[Voice]:
        return [Voice("one", "One", self.name, ("en-US",)), Voice("two", "Two", self.name, ("en-GB",))]

    async def speak(self, text: str, manner: Manner) -> AsyncIterator[Spoken]:
        self.asked.append((text, manner))
        if text == "Fail.":
            raise ModelFailed("it died")
        try:
            for half in range(2):
                await self.go.acquire()
                yield Spoken(np.ones((500, 1), np.int16), (Word(f"{text}{half}", half * 0.5, half * 0.5 + 0.5),))
        finally:
            self.closed += 1

    async def close(self) -> None:
        """Nothing is held."""


async def all_of(speaker: Speaker) -> list[Piece]:
    return [piece async for piece in speaker.pieces()]


async def test_clauses_become_pieces_with_words_on_one_clock(voice: Synthesizer) -> None:
    speaker = Speaker(voice)
    for written in ["Well,", "it", "costs", "$5.", "That", "is", "**all**", "there", "is."]:
        speaker.say(f"{written} ")
    speaker.finish()
    pieces = await all_of(speaker)
    assert [piece.text for piece in pieces if piece.first] == ["Well,", "it costs $5.", "That is **all** there is."]
    assert [piece.text for piece in pieces if piece.last] == ["Well,", "it costs $5.", "That is **all** there is."]
    words = [word for piece in pieces for word in piece.words]
    assert " ".join(word.text for word in words) == "Well, it costs 5 dollars. That is all there is."
    assert len(words) == 10
    assert all(before.end <= after.start for before, after in pairwise(words))
    samples = np.concatenate([piece.samples for piece in pieces])
    for word in words:
        assert np.abs(samples[int(word.start * speaker.rate) : int(word.end * speaker.rate)]).max() > 1000, word
    assert words[1].start - words[0].end > 0.08  # the comma
    assert len(samples) / speaker.rate - words[-1].end < 0.1  # no pause where nothing follows


async def test_the_first_sound_comes_before_the_text_is_over(voice: Synthesizer) -> None:
    speaker = Speaker(voice)
    speaker.say("Of course, I can do that")
    async with contextlib.aclosing(speaker.pieces()) as pieces:
        piece = await anext(pieces)
        assert piece.text == "Of course,"
        assert piece.words[0].text == "Of"


async def test_one_clause_is_made_ahead_and_no_more() -> None:
    recorder = Recorder()
    speaker = Speaker(recorder)
    speaker.say("One. Two. Three. Four. ")
    recorder.open()
    pieces = speaker.pieces()
    await anext(pieces)  # the first clause is listened to
    await until(lambda: len(recorder.asked) == 2)
    for _ in range(3):  # its other half, and its pause; then the second clause begins
        await anext(pieces)
    await until(lambda: len(recorder.asked) == 3)
    await asyncio.sleep(0.05)
    assert [text for text, _ in recorder.asked] == ["One.", "Two.", "Three."]
    await pieces.aclose()
    assert recorder.closed == 3


async def test_while_nobody_listens_little_is_made() -> None:
    recorder = Recorder()
    recorder.open()
    speaker = Speaker(recorder)
    speaker.say("One. Two. Three. ")
    assert recorder.asked == []
    pieces = speaker.pieces()
    assert (await anext(pieces)).first
    await pieces.aclose()


async def test_cancelling_ends_it_at_once_and_closes_the_voice() -> None:
    recorder = Recorder()
    speaker = Speaker(recorder)
    speaker.say("One. Two. ")
    recorder.go.release()
    pieces = speaker.pieces()
    await anext(pieces)
    waiting = asyncio.create_task(anext(pieces, None))
    await asyncio.sleep(0)
    speaker.cancel()
    async with asyncio.timeout(30):
        assert await waiting is None
    assert recorder.closed == len(recorder.asked)
    assert speaker.over
    speaker.say("Three. ")
    speaker.finish()
    assert await all_of(speaker) == []


async def test_a_voice_that_fails_is_told_after_what_it_said() -> None:
    recorder = Recorder()
    recorder.open()
    speaker = Speaker(recorder)
    speaker.say("One. Fail. Two. ")
    speaker.finish()
    heard: list[str] = []

    async def listen() -> None:
        async for piece in speaker.pieces():
            heard.append(piece.text)

    with pytest.raises(ModelFailed):
        await listen()
    assert set(heard) == {"One."}
    assert speaker.over


async def test_text_that_nobody_says_has_a_limit() -> None:
    speaker = Speaker(Recorder())
    speaker.say("word. " * (MOST_TEXT // 8))
    await asyncio.sleep(0)  # each is a turn of the loop
    with pytest.raises(TooLarge):
        speaker.say("word. " * (MOST_TEXT // 8))


async def test_a_flush_ends_a_clause_and_finish_says_the_rest() -> None:
    recorder = Recorder()
    recorder.open()
    speaker = Speaker(recorder)
    speaker.say("no full stop")
    assert speaker.idle
    speaker.flush()
    speaker.say("and no other")
    speaker.finish()
    pieces = await all_of(speaker)
    assert [piece.text for piece in pieces if piece.first] == ["no full stop", "and no other"]
    assert speaker.idle


async def test_ssml_changes_manner_and_pauses() -> None:
    recorder = Recorder()
    recorder.open()
    speaker = Speaker(recorder, Manner(speed=2.0))
    speaker.read('<speak>One. <break time="2s"/><prosody rate="50%">Two.</prosody>'
                 '<voice name="two">Three</voice></speak>')
    speaker.finish()
    pieces = await all_of(speaker)
    assert [(text, manner.speed, manner.voice) for text, manner in recorder.asked] == [
        ("One.", 2.0, ""), ("Two.", 1.0, ""), ("Three", 2.0, "two")]
    silence = [len(piece.samples) for piece in pieces if piece.text == ""]
    assert silence == [2000]
    with pytest.raises(InvalidInput):
        speaker.read("<speak>broken")


async def test_markdown_is_cleaned_only_where_it_is_expected() -> None:
    for markdown, said in ((True, "see code and bold"), (False, "see `code` and **bold**")):
        recorder = Recorder()
        recorder.open()
        speaker = Speaker(recorder, markdown=markdown)
        speaker.say("see `code` and **bold**")
        speaker.finish()
        await all_of(speaker)
        assert recorder.asked[0][0] == said


async def test_chinese_is_said_by_a_voice_that_speaks_it(voice: Synthesizer) -> None:
    _, words = await say_all(voice, "你好，今天很好。")
    assert "".join(word.text for word in words) == "你好，今天很好。"
    recorder = Recorder()  # which has none
    recorder.open()
    await say_all(recorder, "你好。")
    assert recorder.asked[0][1].language == "en"


async def test_engines_are_found_by_name_and_auto_takes_one_that_is_there(voice: Synthesizer) -> None:
    engine = Engine(installed())
    try:
        with pytest.raises(NotFound, match="espeak"):
            await open_synthesizer(engine, settings(), "gramophone")
        with pytest.raises(Unavailable):
            await open_synthesizer(engine, settings(model_dirs=[]), "tacotron2")
        first, second = await asyncio.gather(*(open_synthesizer(engine, settings()) for _ in range(2)))
        assert first is second
        told = {entry["engine"]: entry for entry in await asyncio.to_thread(describe, settings())}
        assert told["espeak"]["available"]
        assert told["tacotron2"]["reason"]
        assert {each.engine for each in await voices(engine, settings())} == {"espeak"}
    finally:
        await engine.close()
    assert len({voice_id(voice, name) for name in OPENAI_NAMES}) == len(OPENAI_NAMES)
    assert voice_id(voice, "en-gb") == "en-gb"
    assert voice_id(voice, "Alloy") == OPENAI_NAMES["alloy"]
    assert {voice_id(Recorder(), name) for name in OPENAI_NAMES} == {"one", "two"}


async def test_an_engine_that_fails_to_open_leaves_auto_the_next(tmp_path: Path) -> None:
    engine = Engine(installed())
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    (folder / "tacotron2.pth").write_bytes(b"no weights")
    try:
        assert (await open_synthesizer(engine, settings(data_dir=tmp_path))).name == "espeak"
    finally:
        await engine.close()
