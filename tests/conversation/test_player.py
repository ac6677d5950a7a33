from __future__ import annotations

import asyncio

import numpy as np
import pytest

from aimass_stream.conversation.player import AHEAD, BEHIND, FADE, Clause, Player, Utterance
from aimass_stream.frames import AUDIO_RATE, AudioFrame, Samples, now
from aimass_stream.speech.words import Word
from tests.support.context import audio, silence
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

LEVEL = 8000


def level(seconds: float, rate: int = AUDIO_RATE) -> Samples:
    return np.full((round(seconds * rate), 1), LEVEL, np.int16)


def words(*texts: str, begin: float = 0.0, each: float = 0.25) -> tuple[Word, ...]:
    return tuple(Word(text, begin + n * each, begin + (n + 1) * each) for n, text in enumerate(texts))


class Played:
    """A player, its frames and what it told."""

    def __init__(self) -> None:
        self.emitted: list[AudioFrame] = []
        self.clauses: list[tuple[str, float]] = []
        self.over: list[Utterance] = []
        self.player = Player(self.emitted.append, on_clause=self._clause, on_over=self.over.append)
        self.at = 0

    def _clause(self, utterance: Utterance, clause: Clause, begins: float) -> None:
        self.clauses.append((clause.text, round(begins, 3)))

    def frames(self, count: int) -> list[AudioFrame]:
        answers = []
        for _ in range(count):
            answer = self.player.answer(audio(silence(), self.at))
            self.at += 960
            assert answer is not None
            answers.append(answer)
        return answers


def story() -> Utterance:
    utterance = Utterance("t", AUDIO_RATE)
    utterance.add(level(1), "One two three four.", words("One", "two", "three", "four."), first=True)
    utterance.add(level(1), "Five six seven eight.", words("Five", "six", "seven", "eight.", begin=1), first=True)
    utterance.finish()
    return utterance


def test_each_frame_of_the_microphone_is_answered_by_one_of_its_time_and_length() -> None:
    played = Played()
    before = played.frames(2)
    played.player.play(story())
    during = played.frames(100)
    after = played.frames(3)
    assert [frame.pts for frame in before + during + after] == [n * 960 for n in range(105)]
    assert all(frame.samples.shape == (960, 1) for frame in before + during + after)
    assert not any(frame.samples.any() for frame in before + after)
    sounded = sum(int(frame.samples.astype(int).sum()) for frame in during)
    assert sounded == pytest.approx(2 * AUDIO_RATE * LEVEL, rel=2e-3)
    assert played.clauses == [("One two three four.", 0.04), ("Five six seven eight.", 1.04)]
    assert len(played.over) == 1


def test_frames_of_other_lengths_and_rates() -> None:
    played = Played()
    played.player.play(story())
    answer = played.player.answer(audio(np.zeros((800, 1), np.int16), 0, rate=8000))
    assert answer is not None
    assert (answer.samples.shape, answer.rate, answer.duration) == ((4800, 1), AUDIO_RATE, 0.1)
    assert answer.samples[FADE:].min() == LEVEL


def test_it_fades_in_and_out_and_goes_on_at_the_word_that_was_cut() -> None:
    played = Played()
    utterance = story()
    played.player.play(utterance)
    assert np.all(np.diff(played.frames(1)[0].samples[:FADE, 0].astype(int)) >= 0)
    played.frames(34)  # 0.7 s: in "three"
    played.player.pause()
    played.player.pause()
    tail, *rest = played.frames(50)
    assert np.all(np.diff(tail.samples[:FADE, 0].astype(int)) <= 0)
    assert not tail.samples[FADE:].any()
    assert not any(frame.samples.any() for frame in rest)
    assert utterance.heard() == "One two three"  # up to 60 ms before it stopped
    played.player.resume()
    assert utterance.played == AUDIO_RATE // 2
    played.frames(80)
    assert played.over == [utterance]
    assert utterance.heard() == "One two three four. Five six seven eight."


def test_what_was_heard_when_it_was_stopped() -> None:
    played = Played()
    utterance = story()
    played.player.play(utterance)
    assert utterance.heard() == ""
    played.frames(70)  # 1.4 s
    assert played.player.stop() is utterance
    assert utterance.heard() == "One two three four. Five"
    assert played.player.stop() is None
    assert not any(frame.samples.any() for frame in played.frames(3)[1:])
    assert played.over == []


def test_written_words_that_are_said_as_several() -> None:
    """"42" has two spoken words; without any word times the share of the sound counts."""
    utterance = Utterance("t", AUDIO_RATE)
    utterance.add(level(1), "It is 42 today.", words("it", "is", "forty", "two", "today", each=0.2), first=True)
    utterance.add(level(1), "a b c d", first=True)
    for seconds, heard in ((0.06, ""), (0.56, "It is"), (0.85, "It is 42"), (1.57, "It is 42 today. a b")):
        utterance.played = round(seconds * AUDIO_RATE)
        assert utterance.heard() == heard


def test_sound_that_comes_late_is_waited_for() -> None:
    played = Played()
    utterance = Utterance("t", AUDIO_RATE)
    played.player.play(utterance)
    played.frames(10)
    assert played.player.underruns == 0  # it has not begun
    utterance.add(level(0.03), "One.", words("One."), first=True)
    first, second = played.frames(3)[:2]
    assert (first.samples[-1, 0], second.samples[479, 0], second.samples[480, 0]) == (LEVEL, LEVEL, 0)
    assert played.player.underruns == 2
    utterance.add(level(0.02))
    assert played.frames(1)[0].samples.any()
    utterance.finish()
    played.frames(1)
    assert played.over == [utterance]
    utterance.add(level(1))
    assert utterance.length == round(0.05 * AUDIO_RATE)


def test_another_rate_and_bounded_memory() -> None:
    played = Played()
    utterance = Utterance("t", 22_050)
    played.player.play(utterance)
    for _ in range(40):
        utterance.add(level(0.5, 22_050), "x", first=True)
        played.frames(25)
    utterance.finish()
    played.frames(3)
    assert utterance.length == pytest.approx(20 * AUDIO_RATE, abs=200)
    held = sum(len(samples) for _, samples in utterance._pieces)
    assert held <= (BEHIND + 1) * AUDIO_RATE


async def test_a_voice_that_is_ahead_waits_for_room() -> None:
    played = Played()
    utterance = Utterance("t", AUDIO_RATE)
    utterance.add(level(AHEAD + 0.5), "x", first=True)
    waiting = asyncio.create_task(utterance.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    played.player.play(utterance)
    played.frames(30)
    await asyncio.wait_for(waiting, 30)
    endless = Utterance("t", AUDIO_RATE)
    endless.add(level(AHEAD + 1), "x", first=True)
    waiting = asyncio.create_task(endless.room())
    await asyncio.sleep(0)
    endless.finish()  # somebody gave up on it
    await asyncio.wait_for(waiting, 30)


async def test_a_muted_client_is_served_by_the_clock() -> None:
    played = Played()
    task = asyncio.create_task(played.player.run())
    played.frames(5)
    played.player.play(story())
    begun = now()
    await until(lambda: len(played.emitted) >= 15)
    assert 0.3 < now() - begun < 10
    assert [frame.pts for frame in played.emitted] == [(5 + n) * 960 for n in range(len(played.emitted))]
    # it is unmuted: what was given out already is not given again, then it goes on without a gap
    late = played.player.answer(audio(silence(), 6 * 960))
    assert late is None
    count = len(played.emitted)
    again = played.player.answer(audio(silence(), (5 + count) * 960))
    assert again is not None
    assert again.samples.any()
    begun = now()
    await asyncio.sleep(0.05)
    slept = max(0.0, now() - begun - 0.06)  # a busy machine wakes us when it is thought muted again
    assert len(played.emitted) <= count + 1 + slept / 0.02
    task.cancel()


async def test_what_the_timer_played_is_known_when_the_microphone_comes_late() -> None:
    """A network that holds sound back and then hands over all of it: the reply went on meanwhile, and has its echo."""
    played = Played()
    played.player.play(story())
    played.frames(3)
    running = asyncio.create_task(played.player.run())
    await until(lambda: len(played.emitted) >= 4)
    running.cancel()
    count, at = len(played.emitted), played.at
    late = [audio(silence(), at + n * 960) for n in range(count)]
    assert [played.player.answer(frame) for frame in late] == [None] * count
    for frame, emitted in zip(late, played.emitted, strict=True):
        assert np.array_equal(played.player.beside(frame, None).samples, emitted.samples)
    across = played.player.beside(audio(silence(), at + 480), None)
    assert np.array_equal(across.samples[:480], played.emitted[0].samples[480:])
    assert np.array_equal(across.samples[480:], played.emitted[1].samples[:480])
    assert not played.player.beside(audio(silence(), at + count * 960), None).samples.any()
    after = audio(silence(), at + count * 960).replace(gap=1920)  # what came between was dropped
    answer = played.player.answer(after)
    assert answer is not None
    assert np.array_equal(played.player.beside(after, answer).samples, np.concatenate(
        [*(each.samples for each in played.emitted[-2:]), answer.samples]))
