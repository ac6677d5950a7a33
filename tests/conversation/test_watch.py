from __future__ import annotations

import asyncio
from typing import Any, cast

import numpy as np
import pytest

from aimass_stream.conversation import watch
from aimass_stream.conversation.watch import CommandWatch
from aimass_stream.frames import AudioFrame
from aimass_stream.hearing.commands import CommandEar
from aimass_stream.speech.grammar import Command
from aimass_stream.speech.words import HEARING_RATE, Waveform
from tests.support.context import audio

pytestmark = pytest.mark.anyio


class Heard:
    """Notes how long what it is asked about is; the ear's `gate` holds it back."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.seconds = 0.0
        self.closed = False

    def hear(self, sound: Waveform) -> None:
        self.seconds += len(sound) / HEARING_RATE

    async def decide(self) -> Command | None:
        self.ear.asked.append(round(self.seconds, 2))
        await self.ear.gate.wait()
        return Command("stop", {}, "stop")

    def close(self) -> None:
        self.closed = True


class Ear:
    def __init__(self) -> None:
        self.asked: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.listened: list[Heard] = []

    def listen(self, spawn: Any) -> Heard:
        self.listened.append(Heard(self))
        return self.listened[-1]

    async def decide(self, sound: Waveform) -> Command | None:
        heard = Heard(self)
        heard.hear(sound)
        return await heard.decide()


def watched(ear: Ear) -> CommandWatch:
    return CommandWatch(cast(CommandEar, ear), lambda work, name: asyncio.create_task(work, name=name))


def frames(begin: float, end: float) -> list[AudioFrame]:
    return [audio(np.zeros((320, 1), np.int16), round(n * 960), rate=HEARING_RATE)
            for n in range(round(begin * 50), round(end * 50))]


def play(command: CommandWatch, begin: float, end: float, silent_from: float) -> None:
    for frame in frames(begin, end):
        command.hear(frame, max(0.0, frame.seconds + 0.02 - silent_from))


WHOLE: Any = np.zeros(HEARING_RATE, np.float32)


async def test_it_is_asked_in_the_silence_and_answered_at_its_end() -> None:
    ear = Ear()
    command = watched(ear)
    for frame in frames(0, 1):
        command.hear(frame, None)
    command.begin(1.0)
    play(command, 1.0, 2.5, silent_from=2.0)
    answer = await command.decided(WHOLE)
    assert answer is not None
    assert answer.text == "stop"
    assert ear.asked == [1.5]  # 0.3 s before the speech up to 0.2 s after it; not asked again at the end


async def test_a_pause_in_a_sentence_is_asked_anew() -> None:
    ear = Ear()
    command = watched(ear)
    command.begin(0.3)
    play(command, 0.3, 1.3, silent_from=1.0)
    await asyncio.sleep(0)
    play(command, 1.3, 2.0, silent_from=2.0)
    play(command, 2.0, 2.5, silent_from=2.0)
    assert await command.decided(WHOLE) is not None
    assert ear.asked == [0.92, 1.9]


async def test_it_is_heard_while_it_is_spoken() -> None:
    ear = Ear()
    command = watched(ear)
    command.begin(0.0)
    play(command, 0.0, 1.0, silent_from=5.0)
    assert ear.listened[0].seconds == pytest.approx(1.0)
    play(command, 1.0, 1.5, silent_from=1.0)
    assert ear.listened[0].seconds == pytest.approx(1.22)  # nothing that would begin it anew
    assert await command.decided(WHOLE) is not None
    assert ear.listened[0].closed


async def test_an_end_in_the_middle_frees_the_decoder() -> None:
    ear = Ear()
    command = watched(ear)
    command.begin(0.0)
    play(command, 0.0, 1.0, silent_from=5.0)
    command.begin(1.0)
    assert [heard.closed for heard in ear.listened] == [True, False]
    command.close()
    assert ear.listened[1].closed


async def test_a_turn_without_a_silence_is_asked_as_a_whole() -> None:
    ear = Ear()
    command = watched(ear)
    command.begin(0.0)
    play(command, 0.0, 1.0, silent_from=5.0)
    assert await command.decided(WHOLE) is not None
    assert await command.decided(WHOLE) is not None  # one whose beginning was not noticed
    assert ear.asked == [1.0, 1.0]


async def test_a_slow_decision_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    ear = Ear()
    ear.gate.clear()
    assert await watched(ear).decided(WHOLE) is None
    ear.gate.set()  # it was not cut off
    await asyncio.sleep(0)
