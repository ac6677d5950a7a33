"""When the speech of stage `tts` begins and what counts as an underrun, with a voice that speaks when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from aimass_stream import frames as moments
from aimass_stream.frames import AUDIO_RATE
from aimass_stream.speaking.speaker import Piece
from aimass_stream.speech.contract import Manner
from aimass_stream.stages import tts as module
from tests.support.waiting import until

from .test_tts import frames, stage, text

pytestmark = pytest.mark.anyio


class Scripted:
    """In place of a speaker: its pieces come when the test gives them."""

    rate = AUDIO_RATE
    over = False
    last: Scripted

    def __init__(self, *given: object) -> None:
        self.idle = False
        self.manner = Manner()
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue(16)
        Scripted.last = self

    def say(self, delta: str) -> None:
        self.idle = False

    def flush(self) -> None:
        """Every text is a clause."""

    def cancel(self) -> None:
        """Its stage cancels the one that reads."""

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        while True:
            yield await self._pieces.get()

    def give(self, seconds: float, *, first: bool = False, last: bool = False) -> None:
        self.idle = last
        samples = np.full((round(seconds * AUDIO_RATE), 1), 1000, np.int16)
        self._pieces.put_nowait(Piece(samples, "words", (), first, last))


class Player(module._Player):
    last: Player

    def __init__(self, tts: module.Tts, speaker: Any, media: float) -> None:
        super().__init__(tts, speaker, media)
        Player.last = self

    @property
    def hungry(self) -> bool:
        """All that came has left, and it has noticed."""
        return not self._stored and not self._news.is_set()


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Speaker", Scripted)
    monkeypatch.setattr(module, "_Player", Player)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """s that the stage's clock is ahead of the true one."""
    ahead = [0.0]
    monkeypatch.setattr(module, "now", lambda: moments.now() + ahead[0])
    return ahead


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_short_first_word_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 30.0)
    async with stage() as (tts, context):
        await tts.process(text("I can see it."))
        Scripted.last.give(0.07, first=True)
        await turns()
        assert not frames(context)
        Scripted.last.give(0.25)
        await until(lambda: frames(context))
        Scripted.last.give(0.0, last=True)
        await until(lambda: len(frames(context)) == 16)
        assert tts.underruns == 0


async def test_a_word_that_is_all_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 30.0)
    async with stage() as (tts, context):
        await tts.process(text("Yes."))
        Scripted.last.give(0.07, first=True)
        Scripted.last.give(0.0, last=True)
        await until(lambda: len(frames(context)) == 4)
        assert tts.underruns == 0


async def test_a_slow_voice_is_not_waited_for_long() -> None:
    async with stage() as (tts, context):
        await tts.process(text("I can see it."))
        Scripted.last.give(0.07, first=True)
        await until(lambda: len(frames(context)) == 3)


async def test_sound_that_breaks_off_within_a_text_is_an_underrun(clock: list[float]) -> None:
    async with stage() as (tts, context):
        await tts.process(text("I can see it."))
        Scripted.last.give(0.2, first=True)
        await until(lambda: Player.last.hungry and len(frames(context)) == 10)
        clock[0] += 1.0
        Scripted.last.give(0.2)
        await until(lambda: len(frames(context)) == 20)
        assert tts.underruns == 1


async def test_the_next_text_is_not_late_however_soon_it_comes(clock: list[float]) -> None:
    async with stage() as (tts, context):
        await tts.process(text("I can see it."))
        Scripted.last.give(0.2, first=True)
        Scripted.last.give(0.0, last=True)
        await until(lambda: len(frames(context)) == 8)
        await tts.process(text("So can I."))  # while the last frames leave
        await until(lambda: Player.last.hungry and len(frames(context)) == 10)
        clock[0] += 1.0
        Scripted.last.give(0.2, first=True)
        await until(lambda: len(frames(context)) == 20)
        assert tts.underruns == 0
