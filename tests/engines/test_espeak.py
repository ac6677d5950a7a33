"""The bundled voice: its processes, their turns, their ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from aimass_stream import children
from aimass_stream.engines.espeak import Espeak
from aimass_stream.errors import InvalidInput, ModelFailed, Unavailable
from aimass_stream.frames import Samples
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.mouths import Desk
from aimass_stream.speech.words import Word
from tests.support.options import settings
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

USUAL = Manner()
TEXT = "Nine boats left the harbour at dawn, and the bell rang twice."
# found by chance: the dictionaries of the bundled espeak-ng 1.52 overflow on it
DEADLY = ("]٣7½ا.\u200dﬀ你.\u200d!Vر]7好}6%1好€!\n'ح.\"-世\".好😀00:.٣$9é—م0 A5مم世< ر你Bé I.a.€b(-ب—ü %].c!٢ب.界;%b>"
          "²bX!.界?é]٢世c4%-b.\t!caA٢\u200dراV>4 )5&رﬀAﬀ你.٣<AAé b.'Bﬀ[ ﬀ1!2 ﬀر.9XIم&🎉世你😀.²4XAبﬁ")


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Espeak]:
    voice = await Espeak.open(None, settings())
    try:
        yield voice
    finally:
        await voice.close()


async def said(voice: Espeak, text: str, manner: Manner = USUAL) -> tuple[Samples, list[Word]]:
    samples: list[Samples] = [np.zeros((0, 1), np.int16)]
    words: list[Word] = []
    async with contextlib.aclosing(voice.speak(text, manner)) as pieces:
        async for piece in pieces:
            samples.append(piece.samples)
            words += piece.words
    return np.concatenate(samples), words


def pitch(samples: Samples, rate: int) -> float:
    """Hz: the median over voiced pieces of 50 ms, by autocorrelation."""
    found, size = [], rate // 20
    for start in range(0, len(samples) - size, size):
        piece = samples[start : start + size, 0].astype(np.float64)
        if np.abs(piece).max() > 3000:
            likeness = np.correlate(piece, piece, "full")[size - 1 :]
            least, most = rate // 400, rate // 55
            found.append(rate / (least + int(np.argmax(likeness[least:most]))))
    return float(np.median(found))


async def test_words_come_with_the_times_of_their_sound() -> None:
    async with opened() as voice:
        samples, words = await said(voice, TEXT)
    assert " ".join(word.text for word in words) == TEXT
    assert 3 < len(samples) / voice.rate < 4.5
    for word in words:
        assert word.start < word.end <= len(samples) / voice.rate
        assert np.abs(samples[int(word.start * voice.rate) : int(word.end * voice.rate)]).max() > 1000, word
    for before, after in itertools.pairwise(words):
        assert before.end <= after.start + 1e-6
    comma = next(place for place, word in enumerate(words) if word.text == "dawn,")
    assert words[comma + 1].start - words[comma].end > 0.08  # the pause belongs to no word


async def test_what_is_written_with_signs_and_numbers_is_one_word_each() -> None:
    async with opened() as voice:
        _, words = await said(voice, '"It costs $3.50," said Dr. Who - 100% on 2024-05-06.')
        assert [word.text for word in words] == [
            '"It', "costs", '$3.50,"', "said", "Dr.", "Who", "-", "100%", "on", "2024-05-06."]
        _, mandarin = await said(voice, "你好，今天很好。", Manner(language="zh-CN"))
        assert "".join(word.text for word in mandarin) == "你好，今天很好。"
        assert len(mandarin) >= 4


async def test_speed_pitch_volume_and_voices_change_the_sound() -> None:
    async with opened() as voice:
        usual, _ = await said(voice, TEXT)
        slow, _ = await said(voice, TEXT, Manner(speed=0.6))
        fast, _ = await said(voice, TEXT, Manner(speed=2.5))
        assert len(slow) > 1.4 * len(usual) > 2.8 * len(fast)
        high, _ = await said(voice, TEXT, Manner(pitch=1.5))
        low, _ = await said(voice, TEXT, Manner(pitch=0.75))
        hertz = await asyncio.to_thread(pitch, usual, voice.rate)
        assert await asyncio.to_thread(pitch, high, voice.rate) / hertz == pytest.approx(1.5, rel=0.15)
        assert await asyncio.to_thread(pitch, low, voice.rate) / hertz == pytest.approx(0.75, rel=0.15)
        quiet, _ = await said(voice, TEXT, Manner(volume=0.25))
        assert np.abs(quiet).max() == pytest.approx(np.abs(usual).max() / 4, rel=0.2)
        woman, _ = await said(voice, TEXT, Manner(voice="en-us+f3"))
        assert await asyncio.to_thread(pitch, woman, voice.rate) > 1.4 * hertz


async def test_languages_and_voices_are_espeaks_own_answer() -> None:
    async with opened() as voice:
        listed = {each.id: each for each in voice.voices()}
        assert len(listed) == len(voice.voices()) > 130
        assert [each.id for each in voice.voices() if "+" not in each.id][:3] == ["en-us", "en-gb", "cmn"]
        assert listed["en-us+f3"].gender == "female"
        for manner in (Manner(voice="en-gb"), Manner(voice="EN"), Manner(voice="cmn+m3"), Manner(language="fr-CA"),
                       Manner(language="de_AT"), Manner(language="zh-TW")):
            assert len((await said(voice, "Hallo 你好", manner))[0]) > 1000
        for manner, field in ((Manner(voice="nobody"), "voice"), (Manner(voice="en-us+nobody"), "voice"),
                              (Manner(voice="../../etc/passwd"), "voice"), (Manner(language="tlh"), "language"),
                              (Manner(language=""), "language")):
            with pytest.raises(InvalidInput) as refused:
                await said(voice, "Hello", manner)
            assert refused.value.field == field
    spoken = Espeak.languages(settings())
    assert spoken[0].startswith("en")
    assert {"cmn", "de", "fr-fr"} <= set(spoken)


@pytest.mark.parametrize("text", ["", "   ", "...", "\0\x01\x1b", "\u202e\u200b", "\ud800", "<speak>", "[[h@loU]]"])
async def test_texts_without_words_and_broken_ones_end_well(text: str) -> None:
    async with opened() as voice:
        samples, words = await said(voice, text)
        assert len(samples) < voice.rate * 2
        assert all(word.text for word in words)


async def test_a_megabyte_is_said_piece_by_piece_and_delays_nobody() -> None:
    async with opened() as voice:
        book = voice.speak("All work and no play makes Jack a dull boy. " * 25_000, Manner())
        for _ in range(20):
            await anext(book)
        begun = time.perf_counter()
        _, words = await said(voice, "Hello there.")
        assert [word.text for word in words] == ["Hello", "there."]
        assert time.perf_counter() - begun < 10
        await book.aclose()


async def test_sixteen_starts_at_once_take_turns_within_a_clause() -> None:
    """What is measured by benchmarks/speech_voices.py; here only that none waits for the others' ends."""
    async with opened() as voice:
        text = "I can see nine boats in the harbour this morning and all of them are painted blue."
        order: list[tuple[int, str]] = []

        async def one(number: int) -> None:
            async with contextlib.aclosing(voice.speak(text, Manner())) as pieces:
                async for _ in pieces:
                    order.append((number, "piece"))
            order.append((number, "end"))

        await asyncio.gather(*(one(number) for number in range(16)))
    begins = [order.index((number, "piece")) for number in range(16)]
    ends = sorted(order.index((number, "end")) for number in range(16))
    assert max(begins) < ends[4]
    assert len(order) >= 16 * 5


async def test_cancelling_frees_the_voice_at_once() -> None:
    async with opened() as voice:
        held = [voice.speak("A sentence that nobody wants to hear to its end, however long. " * 50, Manner())
                for _ in range(40)]
        for speaking in held:
            await anext(speaking)
        begun = time.perf_counter()
        for speaking in held:
            await speaking.aclose()
        assert len((await said(voice, "Hello."))[0]) > 1000
        assert time.perf_counter() - begun < 10


async def test_a_process_that_dies_costs_the_utterance_it_was_at() -> None:
    async with opened() as voice:
        long = "This is one of many sentences. " * 30
        speaking = [asyncio.create_task(said(voice, long)) for _ in range(12)]
        await asyncio.sleep(0.02)
        pids = voice._desk.processes
        os.kill(pids[0], signal.SIGKILL)
        results = await asyncio.gather(*speaking, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        assert len(failed) <= 1
        assert all(isinstance(error, ModelFailed) for error in failed)
        lengths = [len(result[0]) for result in results if not isinstance(result, BaseException)]
        words = [" ".join(word.text for word in result[1]) for result in results
                 if not isinstance(result, BaseException)]
        assert set(words) == {long.strip()}  # those that went on elsewhere have lost and repeated nothing
        assert max(lengths) < 1.2 * min(lengths)
        for _ in range(8):
            await said(voice, TEXT)
        assert len(set(voice._desk.processes) - set(pids)) == 1


async def test_a_text_that_ends_espeak_fails_and_the_next_is_said() -> None:
    async with opened() as voice:
        with contextlib.suppress(ModelFailed):
            await said(voice, DEADLY, Manner(language="hi"))
        _, words = await said(voice, TEXT)
        assert len(words) == 12


async def test_a_library_that_is_none_is_told_and_leaves_no_process() -> None:
    desk = Desk("nothing", ["false"], processes=2, depth=1)
    with pytest.raises(Unavailable, match="nothing does not start"):
        await desk.open()


async def test_where_one_process_does_not_start_none_is_left_that_starts(
        monkeypatch: pytest.MonkeyPatch) -> None:
    starting: list[asyncio.Task[Any] | None] = []
    begin = children.start

    async def start(*given: Any, **options: Any) -> children.Child:
        starting.append(asyncio.current_task())
        if starting[1:]:
            await until(lambda: starting[0] is not None and starting[0].done())
        return await begin(*given, **options)

    monkeypatch.setattr(children, "start", start)
    with pytest.raises(Unavailable):
        await Desk("nothing", ["false"], processes=2, depth=1).open()
    assert len(starting) == 2
    assert all(task is not None and task.done() for task in starting)


async def test_after_its_end_it_says_so() -> None:
    async with opened() as voice:
        pids = voice._desk.processes
    with pytest.raises(Unavailable):
        await said(voice, TEXT)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
