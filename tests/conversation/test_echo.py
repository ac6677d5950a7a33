"""The played voice, mixed back into the microphone: as loud as a bad loudspeaker makes it, and as late as a network."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from aimass_stream.conversation.echo import EchoFilter, EchoGuard
from aimass_stream.conversation.residual import BLOCK
from aimass_stream.frames import AUDIO_RATE, AudioFrame, Samples
from aimass_stream.hearing.vad import WINDOW, Vad
from aimass_stream.inference import Engine, installed
from aimass_stream.speech.audio import to_hearing
from aimass_stream.speech.endpoint import Endpointer, EndpointSettings, Started
from aimass_stream.speech.words import HEARING_RATE, Waveform
from aimass_stream.stages.assistant import QUICK, SURE
from tests.support.context import audio
from tests.support.known_words import voice

pytestmark = pytest.mark.anyio

REPLY = ("The quick answer is that there are twelve boats in the harbour today, and each one of them carries fish, "
         "rope, and a bell that rings when the wind blows hard.")
USER = "please stop now and tell me the time"
WAYS = [(0.02, -6.0), (0.173, -6.0), (0.3, -6.0), (0.11, -12.0), (0.3, -20.0)]
HELD = EndpointSettings(threshold=SURE, min_speech_ms=QUICK)  # as the assistant listens while it speaks


def reply() -> Samples:
    """With half a second of silence before and after."""
    return np.pad(voice(REPLY), ((AUDIO_RATE // 2, AUDIO_RATE), (0, 0)))


def reverberated(sound: Samples) -> Samples:
    """In a room: half as much comes back from the walls as directly, for 0.1 s."""
    length = round(0.1 * AUDIO_RATE)
    walls = np.random.default_rng(7).normal(0, 1, length) * np.exp(-np.arange(length) / (0.02 * AUDIO_RATE))
    walls *= 0.5 / np.sqrt(np.square(walls).sum())
    walls[0] += 1
    size = 1 << (len(sound) + length).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound[:, 0], size) * np.fft.rfft(walls, size), size)[: len(sound), None]
    return np.clip(heard, -32768, 32767).astype(np.int16)


def microphone(played: Samples, delay: float, db: float, user: Samples | None = None, at: float = 4.0) -> Samples:
    """The echo in a room's noise, and somebody who speaks into it from `at` on."""
    late = round(delay * AUDIO_RATE)
    played = reverberated(played)
    mic = np.random.default_rng(3).normal(0, 12, len(played))
    mic[late:] += played[: len(played) - late, 0] * 10 ** (db / 20)
    if user is not None:
        begin = round(at * AUDIO_RATE)
        mic[begin : begin + len(user)] += user[:, 0]
    return np.clip(mic, -32768, 32767).astype(np.int16)[:, None]


def cleaned(mic: Samples, played: Samples) -> Waveform:
    """Frame by frame, at 16 kHz."""
    guard, pieces = EchoGuard(), []
    for at in range(0, len(mic) - 959, 960):
        clean = guard.clean(audio(mic[at : at + 960], at), audio(played[at : at + 960], at))
        if clean is not None:
            pieces.append(clean.samples)
    return np.asarray(np.concatenate(pieces)[:, 0] / 32768, np.float32)


def power(wave: Any, begin: float, end: float) -> float:
    """dB."""
    part = np.asarray(wave, float)[round(begin * HEARING_RATE) : round(end * HEARING_RATE)]
    return float(10 * np.log10((part**2).mean() + 1e-12))


def loudest(wave: Any, begin: float, end: float) -> float:
    """dB, of any 32 ms: what a detector takes for speech may be short."""
    return max(power(wave, at, at + 0.032) for at in np.arange(begin, end, 0.032))


@pytest.fixture(scope="module")
def heard() -> dict[tuple[str, float, float], Waveform]:
    """Microphones of rooms with the reply in them, cleaned: alone, and with the user from 4 s on."""
    played, user = reply(), voice(USER)
    found: dict[tuple[str, float, float], Waveform] = {}
    for delay, db in WAYS:
        found["raw", delay, db] = to_hearing(microphone(played, delay, db), AUDIO_RATE)
        found["alone", delay, db] = cleaned(microphone(played, delay, db), played)
        found["both", delay, db] = cleaned(microphone(played, delay, db, user), played)
    return found


async def begins(engine: Engine, wave: Waveform) -> list[float]:
    """When somebody is noticed to speak, s."""
    vad = Vad(engine, session="s_test")
    await vad.start()
    assert not vad.failure
    endpointer, found = Endpointer(HELD), []
    for at in range(0, len(wave) - WINDOW * 16, WINDOW * 16):
        for n, probability in enumerate(await vad.probabilities(wave[at : at + WINDOW * 16].reshape(16, WINDOW))):
            found += [change.noticed for change in endpointer.feed(probability, at / HEARING_RATE + n * 0.032)
                      if isinstance(change, Started)]
    await vad.close()
    return found


async def test_the_reply_alone_is_nobody_who_speaks_and_who_speaks_into_it_is_noticed(
        heard: dict[tuple[str, float, float], Waveform]) -> None:
    engine = Engine(installed())
    false, missed = 0, 0
    try:
        for way in WAYS:
            assert await begins(engine, heard["raw", *way])  # without the guard it would be heard
            false += bool(await begins(engine, heard["alone", *way]))
            noticed = [moment for moment in await begins(engine, heard["both", *way]) if 4 <= moment <= 4.25]
            missed += not noticed
    finally:
        await engine.close()
    assert (false, missed) == (0, 0)


@pytest.fixture(scope="module")
def stalls() -> list[Waveform]:
    """Rooms in which nothing is played for 0.1 to 0.5 s, again and again, of which the server does not know."""
    played = reply()
    gappy, rng = played.copy(), np.random.default_rng(1)
    for at in np.arange(2.0, 9.0, 0.9):
        gappy[round(at * AUDIO_RATE) : round((at + rng.uniform(0.1, 0.5)) * AUDIO_RATE)] = 0
    return [cleaned(microphone(gappy, delay, db), played) for delay, db in ((0.15, -6.0), (0.21, -12.0))]


async def test_what_came_too_late_to_be_played_has_no_echo(stalls: list[Waveform]) -> None:
    engine = Engine(installed())
    try:
        assert [await begins(engine, wave) for wave in stalls] == [[], []]
    finally:
        await engine.close()


@pytest.mark.parametrize(("delay", "db"), WAYS)
def test_the_echo_goes_and_the_user_stays(heard: dict[tuple[str, float, float], Waveform], delay: float,
                                          db: float) -> None:
    assert power(heard["alone", delay, db], 1.5, 8) < power(heard["raw", delay, db], 1.5, 8) - 30
    assert loudest(heard["alone", delay, db], 1.5, 8) < loudest(heard["raw", delay, db], 1.5, 8) - 15
    clean, said, begin = heard["both", delay, db], to_hearing(voice(USER), AUDIO_RATE), 4 * HEARING_RATE
    alike = [np.corrcoef(clean[begin + shift : begin + shift + len(said)], said)[0, 1]
             for shift in range(-200, 201, 5)]
    assert max(alike) > 0.85


def test_a_loudspeaker_that_is_turned_down_is_learned_anew() -> None:
    played = reply()
    louder = played.astype(float)
    louder[4 * AUDIO_RATE :] *= 0.3
    mic = microphone(louder.astype(np.int16), 0.11, -6.0)
    clean = cleaned(mic, played)
    assert power(clean, 6.5, 8.5) < power(to_hearing(mic, AUDIO_RATE), 6.5, 8.5) - 20


def test_in_silence_nothing_is_changed_or_computed() -> None:
    user = voice(USER)
    clean = cleaned(user, np.zeros_like(user))
    heard = to_hearing(user, AUDIO_RATE)
    count = min(len(clean), len(heard)) - 1000
    around = [np.corrcoef(clean[shift : shift + count], heard[:count])[0, 1] for shift in range(200)]
    assert max(around) > 0.999
    filtered = EchoFilter()
    sound = np.ones(BLOCK, np.float32)
    assert filtered(sound, np.zeros(BLOCK, np.float32)) is sound


def test_every_frame_is_answered_whatever_its_length() -> None:
    """Media time is kept over lost frames, another rate and another number of channels."""
    guard = EchoGuard()
    out: list[AudioFrame] = []
    at = 0
    for count, rate in [(960, 48_000)] * 5 + [(441, 44_100)] * 7 + [(4800, 48_000)] * 3:
        heard = audio(np.zeros((count, 2), np.int16), at, rate=rate)
        played = audio(np.zeros((round(heard.duration * AUDIO_RATE), 1), np.int16), at)
        clean = guard.clean(heard, played)
        at += round(heard.duration * AUDIO_RATE)
        out += [clean] if clean is not None else []
    for before, after in itertools.pairwise(out):
        assert after.pts == before.pts + len(before.samples)
    assert out[-1].seconds + out[-1].duration == pytest.approx(at / AUDIO_RATE, abs=0.02)
    lost = guard.clean(audio(np.zeros((960, 1), np.int16), at + 96_000).replace(gap=96_000),
                       audio(np.zeros((960, 1), np.int16), at + 96_000))
    assert lost is not None
    assert lost.seconds + lost.duration == pytest.approx((at + 96_960) / AUDIO_RATE, abs=0.02)


def test_its_own_words_are_nobodys_turn() -> None:
    guard = EchoGuard()
    assert not guard.own_words("there are twelve boats")
    guard.said("The quick answer is that there are twelve boats in the harbour,")
    guard.said("and each one of them carries fish.")
    assert guard.own_words("there are twelve boats")
    assert guard.own_words("Twelve boats in the harbor and each one of them")
    for text in ("stop", "what about the boats in the south", "harbour", "", "tell me the time please"):
        assert not guard.own_words(text)
