from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.hearing import vad as module
from aimass_stream.hearing.vad import MODEL, Gate, Vad
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.speech.audio import to_hearing
from aimass_stream.speech.words import Waveform

from ..support.known_words import RATE, said
from ..support.speech import SENTENCE

pytestmark = pytest.mark.anyio


def windows() -> Waveform:
    """1 s of silence, a sentence of 3.5 s, 1 s of silence."""
    sound = to_hearing(said(1.0, SENTENCE, 1.0)[0], RATE)
    return sound[: len(sound) // 512 * 512].reshape(-1, 512)


async def test_a_voice_between_silences() -> None:
    engine = Engine(installed())
    vad = Vad(engine, session="s")
    await vad.start()
    sound = windows()
    found = [await vad.probability(window) for window in sound[:40]] + await vad.probabilities(sound[40:])
    assert vad.failure == ""
    assert max(found[:30]) < 0.1  # 0.96 s
    assert np.mean(np.array(found[33:138]) > 0.5) > 0.9
    assert max(found[-25:]) < 0.1
    await vad.close()
    await engine.close()


async def test_streams_of_one_session_do_not_mix_and_a_stream_ends_with_its_place() -> None:
    engine = Engine(installed())
    sound = windows()[30:60]
    one, other = Vad(engine, session="s"), Vad(engine, session="s")
    await one.start()
    alone = await one.probabilities(sound)
    one.reset()
    mixed = []
    for window in sound:
        mixed.append(await one.probability(window))
        await other.probability(np.zeros(512, np.float32))
    np.testing.assert_allclose(mixed, alone, atol=1e-5)
    for _ in range(300):  # more than there are places
        third = Vad(engine, session="s")
        await third.probability(sound[0])
        await third.close()
    assert third.failure == ""
    await engine.close()


async def test_a_voice_after_a_minute_of_silence_is_noticed_at_once() -> None:
    engine = Engine(installed())
    vad = Vad(engine, session="s")
    await vad.start()
    for _ in range(30):
        assert max(await vad.probabilities(np.zeros((64, 512), np.float32))) < 0.1
    voiced = await vad.probabilities(windows()[31:50])  # the sentence begins within the first of these
    assert next(place for place, probability in enumerate(voiced) if probability > 0.5) <= 2
    await engine.close()


async def test_without_the_model_loudness_decides_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(FolderStore([]))
    vad = Vad(engine, session="s")
    await vad.start()
    assert MODEL in vad.failure
    found = await vad.probabilities(windows()[:64])
    assert max(found[:25]) < 0.5
    assert max(found[32:]) > 0.9
    engine.store = installed()
    await vad.probability(windows()[0])
    assert vad.failure  # it was tried a moment ago
    monkeypatch.setattr(vad, "_retry", 0.0)
    assert await vad.probability(windows()[40]) > 0
    assert vad.failure == ""
    await engine.unload(MODEL)
    await vad.probability(windows()[0])
    assert MODEL in vad.failure
    await engine.close()
    assert module.AGAIN > 0
    assert await vad.probability(windows()[0]) < 0.5


def test_the_gate_learns_the_background() -> None:
    gate, chance = Gate(), np.random.default_rng(5)

    def noise(level: float) -> Waveform:
        return np.asarray(chance.standard_normal(512) * 10 ** (level / 20), np.float32)

    quiet = [gate.probability(noise(-50)) for _ in range(200)]
    assert max(quiet[100:]) < 0.2
    assert gate.probability(noise(-20)) > 0.9
    louder = [gate.probability(noise(-35)) for _ in range(600)]
    assert louder[0] > 0.5
    assert max(louder[500:]) < 0.2
    assert gate.probability(np.zeros(512, np.float32)) < 0.1
