"""Many sessions on one device that is busy all the time: each hears everything, a little later, and none is starved."""

from __future__ import annotations

import asyncio
import time

import pytest

from aimass_stream.frames import now
from aimass_stream.hearing.whisper import WhisperRecognizer
from aimass_stream.inference import Engine
from aimass_stream.speech.contract import HearingAbilities
from aimass_stream.speech.words import HEARING_RATE, HearRequest, Hypothesis

from ..support.hearing import Script, sound, spoken
from ..support.models import Shelf

pytestmark = pytest.mark.anyio

SESSIONS = 6
SECONDS = 6.0
TALK = spoken(" ".join(f"word{number}" for number in range(16)))  # up to 5.9 s
EACH = 0.1  # s of the device for a pass, and as much again for a full window of 8 s: more than these sessions can have


class Slow(Script):
    def hear(self, request: HearRequest) -> Hypothesis:
        time.sleep(EACH * (1 + len(request.audio) / HEARING_RATE / 8))  # what the device would take
        return super().hear(request)


async def listen(engine: Engine, number: int) -> list[float]:
    """Speech at its pace into a recogniser, all that gathered while it was busy at once; the delay of every word."""
    abilities = HearingAbilities(("en",), True, True, False, True, False)
    hearing = WhisperRecognizer(engine, "script", model="script", abilities=abilities, session=f"s{number}")
    await asyncio.sleep(number * 0.07)
    begun, at = now(), 0.0
    delays: list[float] = []
    await hearing.begin(0.0)
    while at < SECONDS:
        until = min(max(now() - begun, at + 0.1), SECONDS)
        await asyncio.sleep(max(0.0, begun + until - now()))
        heard = await hearing.accept(sound(at, until))
        at = until
        delays += [now() - begun - word.end for word in heard.committed] if heard else []
    last = await hearing.finish()
    return [*delays, *(now() - begun - word.end for word in last.committed)]


async def test_a_busy_device_makes_everybody_a_little_later_and_nobody_deaf() -> None:
    engine = Engine(Shelf())
    await engine.add(Slow(TALK))
    delays = await asyncio.gather(*(listen(engine, number) for number in range(SESSIONS)))
    assert [len(each) for each in delays] == [len(TALK)] * SESSIONS
    for each in delays:
        ordered = sorted(each)
        assert ordered[len(ordered) // 2] < 2.0
        assert ordered[-1] < 3.5
    await engine.close()
