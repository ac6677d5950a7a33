from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
import pytest

from aimass_stream.frames import AudioFrame, Samples
from aimass_stream.hearing import ears as module
from aimass_stream.hearing.ears import (
    Committed,
    EarEvent,
    Ears,
    EarSettings,
    HearingTrouble,
    Partial,
    SpeechBegan,
    SpeechEnded,
    TurnEnded,
    TurnLikely,
    TurnResumed,
)
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.speech.contract import Recognizer
from aimass_stream.speech.endpoint import EndpointSettings

from ..support.known_words import RATE, KnownWords, LateWords, frames, said, silence

pytestmark = pytest.mark.anyio

E = TypeVar("E")
QUESTION = "What time is it?"
HALF, REST = "I would like to have some tea and", "a piece of chocolate cake"


class Heard:
    """Ears at work, and all that they told."""

    def __init__(self) -> None:
        self.events: list[EarEvent] = []
        self._news = asyncio.Event()
        self.ears: Ears

    def tell(self, event: EarEvent) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def order(self) -> list[str]:
        """What was told, partial texts left out."""
        return [type(event).__name__ for event in self.events if not isinstance(event, Partial)]

    async def until(self, kind: type[E], count: int = 1) -> E:
        async with asyncio.timeout(30):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]

    def play(self, samples: Samples, begin: float = 0.0, **given: Any) -> None:
        for frame in frames(samples, begin=begin, **given):
            self.ears.hear(frame)


@asynccontextmanager
async def listening(recognizer: Recognizer | None, settings: EarSettings | None = None, *,
                    engine: Engine | None = None) -> AsyncIterator[Heard]:
    """Fed faster than anybody speaks."""
    engine = engine or Engine(installed())
    heard = Heard()
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(work, name=name))
        return tasks[-1]

    heard.ears = Ears(engine, recognizer, settings or EarSettings(), session="s", output=heard.tell, spawn=spawn)
    await heard.ears.start()
    yield heard
    await heard.ears.close()
    assert all(task.done() for task in tasks)
    assert not [task for task in tasks if not task.cancelled() and task.exception()]
    await engine.close()


async def test_one_turn() -> None:
    sound, words = said(1.0, QUESTION, 1.0)
    recognizer = KnownWords([word.moved(99) for word in words])
    end = words[-1].end
    async with listening(recognizer) as heard:
        heard.play(sound, begin=99.0)
        turn = await heard.until(TurnEnded)
        assert heard.order() == ["SpeechBegan", "TurnLikely", "SpeechEnded", "Committed", "TurnEnded"]
        began, ended = heard.of(SpeechBegan)[0], heard.of(SpeechEnded)[0]
        assert not heard.ears.speaking
        assert heard.ears.position == pytest.approx(99 + len(sound) / RATE, abs=0.001)
    assert began.at == pytest.approx(100, abs=0.1)
    assert began.noticed - began.at == pytest.approx(0.096)
    assert ended.at == pytest.approx(99 + end, abs=0.15)
    assert ended.noticed - ended.at == pytest.approx(0.3, abs=0.04)  # the words are surely finished
    assert turn.text == QUESTION
    assert (turn.began, turn.ended) == (began.at, ended.at)
    assert 0 <= turn.recognized - turn.endpointed < 0.5
    assert began.utterance == ended.utterance == turn.utterance
    assert {event.utterance for event in heard.of(Partial)} == {turn.utterance}
    assert began.probability > 0.5
    assert 0.5 < ended.voiced <= ended.duration + 1e-6
    assert recognizer.heard[0][0] == pytest.approx(began.at - 0.3, abs=0.033)  # the pre-roll
    assert turn.audio is not None
    assert len(turn.audio) / 16_000 == pytest.approx(ended.noticed - recognizer.heard[0][0], abs=0.001)
    assert recognizer.closed


async def test_words_are_told_as_they_are_heard() -> None:
    sound, words = said(0.5, HALF, 0.4, REST, 2.0)
    async with listening(KnownWords(words)) as heard:
        for frame in frames(sound):
            heard.ears.hear(frame)
            await asyncio.sleep(0)
        turn = await heard.until(TurnEnded)
    assert turn.text == f"{HALF} {REST}"
    counts = [len(event.words) for event in heard.of(Partial)]
    assert counts == sorted(counts)
    committed = heard.of(Committed)
    assert [event.final for event in committed] == [True]
    assert committed[0].text == turn.text
    assert turn.language == "en"


@pytest.mark.parametrize("recognizer", [KnownWords, LateWords])
async def test_a_pause_after_and_is_not_an_end(recognizer: type[KnownWords]) -> None:
    sound, words = said(0.5, HALF, 1.0, REST, 2.0)
    async with listening(recognizer(words)) as heard:
        heard.play(sound)
        turn = await heard.until(TurnEnded)
        assert turn.text == f"{HALF} {REST}"
        assert len(heard.of(SpeechBegan)) == len(heard.of(SpeechEnded)) == 1
    async with listening(recognizer(words), EarSettings(semantic=False)) as heard:
        heard.play(sound)
        await heard.until(TurnEnded, 2)
        assert [turn.text for turn in heard.of(TurnEnded)] == [HALF, REST]
        assert len({turn.utterance for turn in heard.of(TurnEnded)}) == 2


async def test_a_reply_may_begin_early_and_is_called_off() -> None:
    sound, words = said(0.5, QUESTION, 0.26, "in Paris", 2.0)
    async with listening(LateWords(words)) as heard:
        heard.play(sound)
        turn = await heard.until(TurnEnded)
    assert heard.order()[:3] == ["SpeechBegan", "TurnLikely", "TurnResumed"]
    likely, resumed = heard.of(TurnLikely)[0], heard.of(TurnResumed)[0]
    assert likely.text == QUESTION
    assert likely.utterance == resumed.utterance == turn.utterance
    assert turn.text == f"{QUESTION} in Paris"


async def test_a_recogniser_that_hangs_delays_no_speech_event() -> None:
    sound, words = said(0.5, QUESTION, 2.5, QUESTION, 2.5)
    recognizer = KnownWords(words)
    recognizer.gate.clear()
    async with listening(recognizer) as heard:
        heard.play(sound)
        await heard.until(SpeechEnded, 2)
        assert heard.of(TurnEnded) == []
        recognizer.gate.set()
        await heard.until(TurnEnded, 2)
        assert [turn.text for turn in heard.of(TurnEnded)] == [QUESTION, QUESTION]
    assert len(recognizer.accepted) <= 4  # what had gathered went in one piece


async def test_a_recogniser_that_fails_costs_its_piece_only() -> None:
    sound, words = said(0.5, QUESTION, 2.0, QUESTION, 2.0)
    async with listening(KnownWords(words, failures=1)) as heard:
        heard.play(sound)
        await heard.until(TurnEnded, 2)
        assert heard.of(HearingTrouble) == [HearingTrouble("recognizer", "RuntimeError: the model is ill")]
        assert heard.of(TurnEnded)[1].text == QUESTION
    async with listening(KnownWords(words, failures=1000)) as heard:
        heard.play(sound)
        await heard.until(TurnEnded, 2)
        assert [turn.text for turn in heard.of(TurnEnded)] == ["", ""]
        assert len(heard.of(HearingTrouble)) == 2


async def test_without_a_detector_loudness_decides() -> None:
    sound, words = said(1.0, QUESTION, 2.0)
    async with listening(KnownWords(words), engine=Engine(FolderStore([]))) as heard:
        heard.play(sound)
        turn = await heard.until(TurnEnded)
        assert heard.of(HearingTrouble)[0].part == "vad"
    assert turn.text == QUESTION
    assert turn.began == pytest.approx(1.0, abs=0.15)


async def test_without_a_recogniser_there_are_speech_events_only() -> None:
    sound, _ = said(0.5, QUESTION, 1.0)
    async with listening(None) as heard:
        heard.play(sound)
        await heard.until(SpeechEnded)
        assert heard.order() == ["SpeechBegan", "SpeechEnded"]
        assert await heard.ears.commit() is None


async def test_push_to_talk() -> None:
    sound, words = said(0.3, QUESTION, 3.0, QUESTION)
    async with listening(KnownWords(words), EarSettings(manual=True)) as heard:
        assert await heard.ears.commit() is None
        heard.play(sound, begin=5.0)
        turn = await heard.ears.commit()
        assert turn is not None
        assert turn is heard.of(TurnEnded)[0]
        assert turn.began == pytest.approx(5.0, abs=0.001)
        assert turn.ended - turn.began == pytest.approx(len(sound) / RATE, abs=0.001)
        assert turn.audio is not None
        assert len(turn.audio) == pytest.approx(len(sound) / 3, abs=4)
        assert await heard.ears.commit() is None
        assert heard.of(SpeechBegan) == []
        heard.play(silence(1.0), begin=60.0)
        turn = await heard.ears.commit()
        assert turn is not None
        assert turn.began == pytest.approx(60.0, abs=0.03)


async def test_a_commit_ends_a_turn_in_the_midst_of_speech() -> None:
    sound, words = said(0.5, HALF)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound)
        turn = await heard.ears.commit()
        assert turn is not None
        assert turn.text == HALF
        assert heard.of(SpeechEnded)[0].cut
        assert await heard.ears.commit() is None
        heard.play(silence(1.0), begin=len(sound) / RATE)
        assert await heard.ears.commit() is None  # nobody spoke


async def test_clear_forgets() -> None:
    sound, words = said(0.5, HALF, 0.1)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound)
        await heard.until(SpeechBegan)
        heard.ears.clear()
        told = len(heard.events)
        assert await heard.ears.commit() is None
        assert not heard.ears.speaking
        assert len(heard.events) == told
        sound, _ = said(0.5, QUESTION, 1.0)
        heard.play(sound, begin=20.0)
        turn = await heard.until(TurnEnded)
        assert turn.began == pytest.approx(20.5, abs=0.1)


async def test_a_commit_that_waits_ends_with_the_ears() -> None:
    sound, words = said(0.2, QUESTION)
    recognizer = KnownWords(words)
    recognizer.gate.clear()
    async with listening(recognizer, EarSettings(manual=True)) as heard:
        heard.play(sound)
        commit = asyncio.create_task(heard.ears.commit())
        await asyncio.sleep(0)
        await heard.ears.close()
        assert await commit is None
        assert await heard.ears.commit() is None


async def test_sound_that_stops_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL", 0.2)
    sound, words = said(0.5, HALF)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound)
        turn = await heard.until(TurnEnded)
    assert turn.text == HALF


async def test_a_backlog_is_bounded_and_what_it_lost_is_counted() -> None:
    sound, words = said(60.0, QUESTION, 1.0)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound[::3], rate=16_000, length=0.5)  # at once: nothing is heard meanwhile
        lost = len(sound) / RATE - module.BACKLOG
        assert heard.ears.dropped == pytest.approx(lost, abs=0.6)
        turn = await heard.until(TurnEnded)
    assert turn.began == pytest.approx(60, abs=0.1)  # times stay right


async def test_media_time_that_leaps() -> None:
    sound, words = said(0.5, QUESTION, 1.0)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound)
        await heard.until(TurnEnded)
        heard.play(sound, begin=1000.0)
        assert (await heard.until(TurnEnded, 2)).began == pytest.approx(1000.5, abs=0.1)
        heard.play(sound[: RATE * 12 // 10], begin=2000.0)  # cut off within the question
        heard.play(silence(0.5), begin=3000.0)
        turn = await heard.until(TurnEnded, 3)
        assert turn.ended < 2002
        assert heard.of(SpeechEnded)[2].cut


async def test_a_gap_within_speech_does_not_move_later_words() -> None:
    sound, words = said(0.5, HALF, 2.0)
    async with listening(LateWords(words)) as heard:
        pieces = frames(sound)
        lost = pieces[40:60]
        for piece in pieces[:40]:
            heard.ears.hear(piece)
        gap = sum(len(piece.samples) for piece in lost)
        after: AudioFrame = pieces[60].replace(gap=gap)
        for piece in (after, *pieces[61:]):
            heard.ears.hear(piece)
        turn = await heard.until(TurnEnded)
        assert turn.ended == pytest.approx(words[-1].end, abs=0.15)


async def test_settings_change_live() -> None:
    sound, words = said(0.5, REST, 1.0)
    async with listening(KnownWords(words)) as heard:
        heard.ears.update(EarSettings(EndpointSettings(silence_ms=100), semantic=False))
        heard.play(sound)
        await heard.until(TurnEnded)
        ended = heard.of(SpeechEnded)[0]
        assert ended.noticed - ended.at == pytest.approx(0.128, abs=0.01)
        heard.ears.update(EarSettings(manual=True))
        heard.play(sound, begin=10.0)
        assert await heard.ears.commit() is not None


SECONDS = np.arange(20 * 16_000) / 16_000
CHANCE = np.random.default_rng(4)
TUNE = sum(0.1 / h * np.sin(2 * np.pi * np.repeat([220, 277, 330, 440], 80_000) * h * SECONDS) for h in range(1, 6))


@pytest.mark.parametrize("wave", [np.zeros(16_000 * 60), np.clip(CHANCE.standard_normal(16_000 * 20) * 5, -1, 1),
                                  np.sin(2 * np.pi * 440 * SECONDS)], ids=["a minute", "clipping", "tone"])
async def test_nobody_speaks(wave: Any) -> None:
    samples: Samples = np.rint(wave * 32767).astype(np.int16)[:, None]
    recognizer = KnownWords()
    async with listening(recognizer) as heard:
        step = 16_000 * 10
        for begin in range(0, len(samples), step):
            for frame in frames(samples[begin : begin + step], begin=begin / 16_000, rate=16_000, length=0.1):
                heard.ears.hear(frame)
            assert await heard.ears.commit() is None  # after all of it
        assert heard.events == []
        assert heard.ears.dropped == 0
    assert recognizer.heard == []


async def test_of_held_chords_not_a_tenth_is_taken_for_speech() -> None:
    samples: Samples = np.rint(TUNE * 32767).astype(np.int16)[:, None]
    async with listening(None) as heard:
        for frame in frames(samples, rate=16_000, length=0.1):
            heard.ears.hear(frame)
        await heard.ears.commit()
        assert sum(event.duration for event in heard.of(SpeechEnded)) < 2


async def test_8_khz_declared_as_48_harms_nobody() -> None:
    sound, words = said(0.5, QUESTION, 1.0)
    async with listening(KnownWords(words)) as heard:
        heard.play(sound[::6])
        await heard.ears.commit()
        heard.play(sound, begin=10.0)
        assert (await heard.until(TurnEnded)).ended > 0


async def test_what_is_too_long_is_cut_and_nothing_is_lost() -> None:
    sound, _ = said(0.5, HALF, REST, HALF, 1.5)
    recognizer = KnownWords()
    async with listening(recognizer, EarSettings(EndpointSettings(max_utterance_s=2.0), semantic=False)) as heard:
        heard.play(sound)
        ended = asyncio.create_task(heard.ears.commit())
        await ended
        assert len(heard.of(TurnEnded)) >= 3
    for (_, end), (begin, _) in zip(recognizer.heard, recognizer.heard[1:], strict=False):
        assert begin == pytest.approx(end, abs=0.001)


def test_hearing_a_frame_is_cheap_and_needs_no_loop() -> None:
    engine = Engine(installed())
    output: Callable[[EarEvent], None] = print
    ears = Ears(engine, None, EarSettings(), session="s", output=output,
                spawn=lambda work, name: asyncio.ensure_future(work))
    for frame in frames(silence(1.0)):
        ears.hear(frame)
    assert ears.position == pytest.approx(1.0)
    assert ears.dropped == 0
