from __future__ import annotations

import asyncio
import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream.clips import tone
from aimass_stream.frames import Samples

from ..support.context import audio, silence, started
from ..support.known_words import said

pytestmark = pytest.mark.anyio

TEXT = "The weather was fine and nobody came back before noon. "
DELAY = 6 * 48  # samples


async def heard(samples: Samples, step: int = 960, **given: object) -> Samples:
    stage, context = await started("agc", **given)
    pieces = []
    for at in range(0, len(samples), step):
        pieces.append((await stage.process(audio(samples[at : at + step], pts=at))).samples)
        await asyncio.sleep(0)  # a session's frames are 20 ms apart
    assert context.ran == []
    return np.concatenate(pieces)


def dbfs(samples: NDArray[Any]) -> float:
    return float(10 * np.log10(np.mean((samples / 32768.0) ** 2) + 1e-12))


@functools.cache
def loud(level: float, seconds: int = 12) -> Samples:
    """Speech of that RMS in dBFS, with a background 45 dB below."""
    sound = np.concatenate([said(TEXT, 0.3)[0]] * 8)[: seconds * 48_000].astype(np.float64)
    sound += np.random.default_rng(1).standard_normal(sound.shape) * np.sqrt(np.mean(sound**2)) * 10 ** (-45 / 20)
    sound *= 10 ** ((level - dbfs(sound)) / 20)
    samples: Samples = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    return samples


@pytest.mark.parametrize("level", [-42, -30, -20, -8])
async def test_soft_and_loud_voices_come_out_alike(level: float) -> None:
    after = await heard(await asyncio.to_thread(loud, level))
    assert dbfs(after[8 * 48_000 :]) == pytest.approx(-21.5, abs=2.5)
    assert np.abs(after.astype(int)).max() <= 32768 * 10 ** (-1 / 20) + 1


async def test_the_gain_has_its_bounds_and_follows_its_target() -> None:
    soft = await asyncio.to_thread(loud, -50)
    assert dbfs((await heard(soft, max_gain=10))[8 * 48_000 :]) == pytest.approx(-40, abs=2)
    voice = await asyncio.to_thread(loud, -30)
    assert dbfs((await heard(voice, target=-30))[8 * 48_000 :]) == pytest.approx(-31.5, abs=2.5)


async def test_the_background_does_not_come_up_in_a_pause() -> None:
    speech = await asyncio.to_thread(loud, -35, 10)
    background = np.random.default_rng(2).standard_normal((48_000 * 8, 1)) * 32768 * 10 ** (-80 / 20)
    after = await heard(np.concatenate([speech, np.rint(background).astype(np.int16)]))
    begin, end = after[len(speech) + 48_000 : len(speech) + 2 * 48_000], after[-48_000:]
    assert dbfs(end) == pytest.approx(dbfs(begin), abs=0.5)


@pytest.mark.parametrize("step", [960, 480, 441, 2880])
async def test_a_peak_is_held_down_before_it_comes(step: int) -> None:
    """A soft tone that is suddenly 20 dB louder, at the gain that the soft one was given."""
    sound = np.concatenate([tone(6, level=-38), tone(1, level=-4)])
    after = await heard(sound, step, limit=-3)
    assert np.abs(after.astype(int)).max() <= 32768 * 10 ** (-3 / 20) + 1
    jump = np.abs(np.diff(after[6 * 48_000 - 480 : 6 * 48_000 + 960, 0].astype(int))).max()
    assert jump < 32768 * 10 ** (-3 / 20) * 2 * np.pi * 1000 / 48_000 * 1.5  # no steeper than such a tone itself


async def test_sound_at_the_target_is_delayed_and_else_the_same() -> None:
    sound = tone(1, level=-20)
    after = await heard(sound, target=-23.01)
    assert np.abs(after[DELAY:].astype(int) - sound[:-DELAY]).max() <= 1
    assert not after[:DELAY].any()


async def test_two_channels_get_one_gain() -> None:
    sound = await asyncio.to_thread(loud, -30)
    both = np.concatenate([sound, sound // 4], axis=1).astype(np.int16)
    after = (await heard(both))[9 * 48_000 :]
    assert dbfs(after[:, :1]) - dbfs(after[:, 1:]) == pytest.approx(12.04, abs=0.2)


async def test_silence_stays_silence_and_odd_sound_passes() -> None:
    assert not (await heard(silence(48_000))).any()
    stage, _ = await started("agc")
    for count, channels, rate in ((0, 1, 48_000), (1, 1, 8_000), (960, 2, 48_000), (7, 6, 44_100), (3, 1, 100)):
        after = await stage.process(audio(silence(count, channels), rate=rate))
        assert after.samples.shape == (count, channels)
