"""A call's microphone, in which the reply that the server plays comes back."""

from __future__ import annotations

import asyncio
from functools import cache

import numpy as np
import pytest

from aimass_stream.frames import AUDIO_RATE, AudioFrame, Samples
from aimass_stream.inference import Engine, installed
from aimass_stream.speech.endpoint import EndpointSettings
from aimass_stream.speech.words import HEARING_RATE, Waveform
from aimass_stream.transports.realtime.echo import Echo
from aimass_stream.transports.realtime.input_audio import SURE
from tests.conversation.test_echo import USER, begins, microphone, reply
from tests.support.context import audio
from tests.support.known_words import voice

pytestmark = pytest.mark.anyio

STEP = 960  # samples of 20 ms
SERVER, CALLER = 5000.0, 77.0  # s: what the clocks say at the begin


@cache
def played() -> Samples:
    return reply()


def heard(mic: Samples, *, clear: float | None = None, stalls: tuple[tuple[float, float], ...] = ()) -> Waveform:
    """The microphone, cleaned frame by frame as a call is, 80 ms late with 40 ms of jitter; the reply may be cleared
    at a moment (s). While the network stalls (from, to, s) no frame comes; those that wait come at once."""
    echo, late, pieces = Echo(), np.random.default_rng(5).uniform(0, 0.04, len(mic) // STEP), []
    sent = 0
    for n in range(len(mic) // STEP):
        moment = (n + 1) * 0.02 + 0.08 + late[n]  # s on the server's clock when this frame comes
        moment = max([moment, *(end for begin, end in stalls if begin <= moment < end)])
        while sent * 0.02 < min(moment, clear or moment):
            samples = played()[sent * STEP : (sent + 1) * STEP]
            if samples.any():
                echo.played(samples, SERVER + sent * 0.02)
            sent += 1
        if clear is not None and moment >= clear:
            echo.cleared(SERVER + clear)
        frame = audio(mic[n * STEP : (n + 1) * STEP], round(CALLER * AUDIO_RATE) + n * STEP)
        clean = echo.clean(frame.replace(arrived=SERVER + moment))
        pieces += [clean.samples] if clean is not None else []
    return np.asarray(np.concatenate(pieces)[:, 0] / 32768, np.float32)


@pytest.fixture(scope="module", params=[(0.05, -6.0), (0.25, -12.0)])
def room(request: pytest.FixtureRequest) -> dict[str, Waveform]:
    """The reply's echo alone as it is, and cleaned; and cleaned with somebody who speaks from 4 s on."""
    delay, db = request.param
    alone, both = microphone(played(), delay, db), microphone(played(), delay, db, voice(USER))
    return {"raw": _at_16k(alone), "alone": heard(alone), "both": heard(both)}


async def test_the_reply_that_comes_back_is_nobody_who_speaks_and_double_talk_is(
        room: dict[str, Waveform], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.conversation.test_echo.HELD", EndpointSettings(threshold=SURE))
    engine = Engine(installed())
    try:
        assert await begins(engine, room["raw"])
        assert await begins(engine, room["alone"]) == []
        assert [moment for moment in await begins(engine, room["both"]) if 4 <= moment <= 4.3]
    finally:
        await engine.close()


async def test_frames_that_come_late_are_no_other_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    stalls = ((1.0, 1.35), (2.5, 3.2), (4.0, 4.4))

    def late(user: Samples | None) -> Waveform:
        return heard(microphone(played(), 0.25, -12.0, user), stalls=stalls)

    monkeypatch.setattr("tests.conversation.test_echo.HELD", EndpointSettings(threshold=SURE))
    engine = Engine(installed())
    try:
        alone, both = [await asyncio.to_thread(late, user) for user in (None, voice(USER))]
        assert await begins(engine, alone) == []
        assert [moment for moment in await begins(engine, both) if 4 <= moment <= 4.3]
    finally:
        await engine.close()


def test_what_was_taken_back_is_no_reference() -> None:
    """The caller speaks into a reply, which stops; what was not played then must not be put into their words."""
    user = microphone(np.zeros_like(played()), 0.05, -6.0, voice(USER), at=2.0)
    clean = heard(user, clear=1.5)[round(1.6 * HEARING_RATE) :]
    raw = _at_16k(user)[round(1.6 * HEARING_RATE) :][: len(clean)]
    alike = max(np.corrcoef(clean[shift : len(raw) - 400 + shift], raw[200 : len(raw) - 200])[0, 1]
                for shift in range(0, 400, 2))
    assert alike > 0.98


def test_a_clock_that_is_set_anew_is_followed() -> None:
    echo = Echo()
    silent = np.zeros((STEP, 1), np.int16)
    outs: list[AudioFrame | None] = []
    for begin in (100.0, 4000.0):  # s of media time
        for n in range(5):
            frame = audio(silent, round(begin * AUDIO_RATE) + n * STEP)
            outs.append(echo.clean(frame.replace(arrived=SERVER + begin / 1000 + (n + 1) * 0.02)))
    loud = np.full((STEP, 1), 8000, np.int16)
    for n in range(3):
        echo.played(loud, SERVER + 4.1 + n * 0.02)
    frame = audio(loud, round(4000.1 * AUDIO_RATE)).replace(arrived=SERVER + 4.12)
    assert np.array_equal(echo._at(round((4000.1 + (echo._offset or 0)) * AUDIO_RATE), STEP), loud)
    outs.append(echo.clean(frame))
    assert all(out is not None and len(out.samples) == 320 for out in outs)


def test_a_long_pause_of_the_microphone_is_kept() -> None:
    echo = Echo()
    echo.clean(audio(np.zeros((STEP, 1), np.int16), 0))
    clean = echo.clean(audio(np.zeros((STEP, 1), np.int16), 11 * AUDIO_RATE).replace(gap=10 * AUDIO_RATE))
    assert clean is not None
    assert (len(clean.samples) + clean.gap) / HEARING_RATE == pytest.approx(10.02, abs=0.03)


def _at_16k(mic: Samples) -> Waveform:
    """As the canceller gives it where nothing was played."""
    echo = Echo()
    found = [echo.clean(audio(mic[at : at + STEP], at)) for at in range(0, len(mic) - STEP + 1, STEP)]
    return np.asarray(np.concatenate([out.samples for out in found if out is not None])[:, 0] / 32768, np.float32)
