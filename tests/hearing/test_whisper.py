"""The recogniser on a model that hears perfectly but for words that the end of the sound cuts."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput, ModelFailed
from aimass_stream.hearing.whisper import WhisperRecognizer
from aimass_stream.inference import Engine
from aimass_stream.speech.contract import HearingAbilities
from aimass_stream.speech.words import HEARING_RATE, Hypothesis, Word

from ..support.hearing import Script, sound, spoken
from ..support.models import Shelf

pytestmark = pytest.mark.anyio

TALK = spoken(" ".join(f"word{number}" + ("." if number % 9 == 8 else "") for number in range(100)))
STEP = 0.1  # s handed over at a time


@asynccontextmanager
async def recognizer(script: Script, **options: Any) -> AsyncIterator[WhisperRecognizer]:
    engine = Engine(Shelf())
    await engine.add(script)
    abilities = HearingAbilities(script.languages, True, True, False, True, len(script.languages) > 1)
    try:
        yield WhisperRecognizer(engine, "script", model="script", abilities=abilities, session="s", **options)
    finally:
        await engine.close()


async def listen(hearing: WhisperRecognizer, seconds: float, *, start: float = 0.0, step: float = STEP,
                 silences: tuple[tuple[float, float], ...] = ()) -> list[tuple[float, Word]]:
    """Play the sound; the committed words, each with how much of the sound was there by then."""
    committed: list[tuple[float, Word]] = []
    await hearing.begin(start)
    at = start
    while at < start + seconds - 1e-6:
        until = min(at + step, start + seconds)
        heard = await hearing.accept(sound(at, until, silences))
        at = until
        committed += [(at, word) for word in heard.committed] if heard else []
    last = await hearing.finish()
    assert last.partial == ()
    return [*committed, *((at, word) for word in last.committed)]


def texts(committed: list[tuple[float, Word]]) -> list[str]:
    return [word.text for _, word in committed]


@pytest.mark.parametrize("policy", ["alignment", "local_agreement"])
async def test_every_word_is_committed_once_in_order_and_soon(policy: str) -> None:
    async with recognizer(script := Script(TALK), policy=policy) as hearing:
        committed = await listen(hearing, 36.0)
    assert texts(committed) == [word.text for word in TALK]
    assert [word.start for _, word in committed] == pytest.approx([word.start for word in TALK], abs=0.01)
    delays = sorted(at - word.end for at, word in committed[:-1])
    assert delays[len(delays) // 2] < 1.0
    assert delays[-1] < 1.6
    assert max(len(request.audio) for request in script.requests) <= 9 * HEARING_RATE  # the window stays small


async def test_a_pass_is_made_for_a_quarter_of_a_second_of_new_sound_and_not_for_less() -> None:
    async with recognizer(script := Script(TALK)) as hearing:
        await listen(hearing, 10.0, step=0.02)
    assert 20 <= len(script.requests) <= 41


async def test_sound_that_gathered_while_the_device_was_busy_is_heard_in_one_pass() -> None:
    async with recognizer(script := Script(TALK)) as hearing:
        committed = await listen(hearing, 30.06, step=6.012)
    assert texts(committed) == [word.text for word in TALK if word.end < 30.05]
    assert len(script.requests) <= 6


async def test_more_sound_than_a_window_holds_is_heard_in_several() -> None:
    async with recognizer(script := Script(TALK)) as hearing:
        committed = await listen(hearing, 36.0, step=36.0)
    assert texts(committed) == [word.text for word in TALK]
    assert all(len(request.audio) <= 20 * HEARING_RATE for request in script.requests)


async def test_words_before_the_window_go_along_as_context() -> None:
    async with recognizer(script := Script(TALK), prompt="A list of words.") as hearing:
        await listen(hearing, 36.0)
    assert script.requests[0].prompt == "A list of words."
    last = script.requests[-1]
    assert last.prompt.split()[-1].strip(".").startswith("word")
    assert len(last.prompt) <= 200
    assert last.prefix.startswith("word")


async def test_a_pause_commits_what_was_said_without_another_pass() -> None:
    words = spoken("one two three", start=0.5)
    async with recognizer(script := Script(words)) as hearing:
        await hearing.begin(0.0)
        quiet = ((1.55, 9.0),)
        heard = await hearing.accept(sound(0.0, 2.0, quiet))
        assert heard is not None
        passes = len(script.requests)
        more = await hearing.accept(sound(2.0, 2.6, quiet))
        last = await hearing.finish()
    assert len(script.requests) == passes == 1
    told = [*heard.committed, *(more.committed if more else ()), *last.committed]
    assert [word.text for word in told] == ["one", "two", "three"]


async def test_the_end_is_heard_once_more_if_words_came_since_the_last_pass() -> None:
    words = spoken("one two three four five", start=0.2)
    async with recognizer(script := Script(words)) as hearing:
        committed = await listen(hearing, 2.2, step=0.45)
    assert texts(committed) == ["one", "two", "three", "four", "five"]
    assert len(script.requests) >= 3


async def test_an_utterance_begins_anew_and_keeps_its_place_in_time() -> None:
    words = (*spoken("one two", start=0.3), *spoken("three four", start=20.3))
    async with recognizer(Script(words)) as hearing:
        first = await listen(hearing, 2.0)
        second = await listen(hearing, 2.0, start=20.0)
    assert texts(first) == ["one", "two"]
    assert texts(second) == ["three", "four"]
    assert second[0][1].start == pytest.approx(20.3, abs=0.01)


async def test_loops_and_inventions_are_not_committed() -> None:
    def loop(said: Hypothesis, start: float, end: float) -> Hypothesis:
        if not said.words:
            return said
        after = said.words[-1].end
        again = tuple(Word("thanks", after + 0.01 * n, after + 0.01 * n + 0.01) for n in range(30))
        return dataclasses.replace(said, words=(*said.words, *again))

    def ghost(said: Hypothesis, start: float, end: float) -> Hypothesis:
        words = (Word("Thank", 0.1, 0.3), Word("you.", 0.3, 0.6))
        return dataclasses.replace(said, words=words, no_speech=0.9, mean_log_probability=-1.5)

    words = spoken("one two three", start=0.3)
    async with recognizer(Script(words, invent=loop)) as hearing:
        assert texts(await listen(hearing, 3.0)) == ["one", "two", "three"]
    async with recognizer(Script(words, invent=ghost)) as hearing:
        assert texts(await listen(hearing, 5.0)) == []


async def test_words_invented_in_digital_silence_are_dropped() -> None:
    def ghost(said: Hypothesis, start: float, end: float) -> Hypothesis:
        return dataclasses.replace(said, words=(Word("Hello", 0.1, 0.5),), no_speech=0.1, mean_log_probability=-0.2)

    async with recognizer(Script((), invent=ghost)) as hearing:
        await hearing.begin(0.0)
        for _ in range(120):
            assert await hearing.accept(np.zeros(HEARING_RATE, np.float32)) is None
        assert (await hearing.finish()).committed == ()


async def test_sound_without_words_is_let_go() -> None:
    async with recognizer(script := Script(())) as hearing:
        committed = await listen(hearing, 120.0, step=0.6)
    assert committed == []
    assert max(len(request.audio) for request in script.requests) <= 14 * HEARING_RATE


async def test_words_on_which_no_hypotheses_agree_are_committed_before_their_sound_goes() -> None:
    def fickle(said: Hypothesis, start: float, end: float) -> Hypothesis:
        words = tuple(Word(f"{word.text}{round(end * 10)}", word.start, word.end) for word in said.words)
        return dataclasses.replace(said, words=words)

    script = Script(TALK, invent=fickle)
    script.hear = unchecked(script)  # type: ignore[method-assign]
    async with recognizer(script, policy="local_agreement") as hearing:
        committed = await listen(hearing, 36.0)
    numbers = [text.removeprefix("mis") for text in texts(committed)]
    assert len(numbers) == pytest.approx(100, abs=5)


def unchecked(script: Script) -> Any:
    """Its hearing without minding what the prefix says: as many words as that has are left out."""
    hear = script.hear

    def heard(request: Any) -> Hypothesis:
        said = hear(dataclasses.replace(request, prefix=""))
        return dataclasses.replace(said, words=said.words[len(request.prefix.split()) :])

    return heard


async def test_the_language_is_kept_once_it_is_sure_and_looked_for_again_after_a_cut() -> None:
    script = Script(TALK, languages=("en", "de"), language=lambda start: ("en", 0.9) if start < 12 else ("de", 0.9))
    async with recognizer(script) as hearing:
        await hearing.begin(0.0)
        languages = []
        for step in range(60):
            heard = await hearing.accept(sound(step * 0.6, step * 0.6 + 0.6))
            languages += [heard.language] if heard else []
    assert {"en", "de"} <= set(languages)
    assert any(request.language == "en" for request in script.requests)  # not detected in every pass


async def test_a_change_of_policy_and_language_loses_no_word() -> None:
    async with recognizer(Script(TALK, languages=("en", "de")), policy="local_agreement") as hearing:
        await hearing.begin(0.0)
        committed: list[Word] = []
        for step in range(60):
            if step == 20:
                hearing.tune(language="en", policy="alignment", prompt="", hotwords=("word",))
            if step == 40:
                hearing.tune(language=None, policy="local_agreement", prompt="", hotwords=())
            heard = await hearing.accept(sound(step * 0.6, step * 0.6 + 0.6))
            committed += heard.committed if heard else ()
        committed += (await hearing.finish()).committed
        with pytest.raises(InvalidInput):
            hearing.tune(language="xx", policy="alignment", prompt="", hotwords=())
        with pytest.raises(InvalidInput):
            hearing.tune(language=None, policy="coin", prompt="", hotwords=())
    assert [word.text for word in committed] == [word.text for word in TALK]


async def test_a_model_that_fails_costs_no_word_that_was_heard() -> None:
    def broken(said: Hypothesis, start: float, end: float) -> Hypothesis:
        if end > 3.2:
            raise RuntimeError("no memory")
        return said

    async with recognizer(Script(TALK, invent=broken)) as hearing:
        await hearing.begin(0.0)
        committed: list[Word] = []
        for step in range(6):
            heard = await hearing.accept(sound(step * 0.5, step * 0.5 + 0.5))
            committed += heard.committed if heard else ()
        with pytest.raises(ModelFailed):
            await hearing.accept(sound(3.0, 3.5))
        committed += (await hearing.finish()).committed
    assert [word.text for word in committed][:7] == [word.text for word in TALK[:7]]
