from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.clips import tone
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Samples
from aimass_stream.speech.audio import ToHearing, to_hearing
from aimass_stream.speech.hops import Hops
from aimass_stream.speech.words import Waveform


def frame(samples: Samples, rate: int = 48_000, gap: int = 0) -> AudioFrame:
    return AudioFrame(samples=samples, pts=0, time_base=AUDIO_TIME_BASE, track="audio-0", rate=rate, gap=gap)


def streamed(samples: Samples, rate: int, step: int) -> Waveform:
    hear = ToHearing()
    pieces = [hear(frame(samples[at : at + step], rate)) for at in range(0, len(samples), step)]
    return np.concatenate([*pieces, hear.flush()])


def sine(rate: int, seconds: float = 1.0, hertz: float = 440.0, channels: int = 1) -> Samples:
    wave = np.rint(8000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("step", [1.0, 0.02, 0.0013])
def test_a_stream_is_the_same_sound_at_16_khz_however_it_is_cut(rate: int, step: float) -> None:
    heard = streamed(sine(rate), rate, max(1, round(rate * step)))
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(16_000, abs=2)
    wanted = 8000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 16_000)
    middle = slice(800, -800)
    error = heard[middle] - wanted[middle]
    assert 10 * np.log10(np.mean(wanted[middle] ** 2) / np.mean(error**2)) > 45


def test_what_16_khz_can_not_carry_is_gone() -> None:
    heard = streamed(sine(48_000, hertz=11_000), 48_000, 960)
    assert np.sqrt(np.mean(heard[800:-800] ** 2)) < 0.001  # folded down it would be a tone of 5 kHz
    assert np.sqrt(np.mean(to_hearing(sine(48_000, hertz=11_000), 48_000)[800:-800] ** 2)) < 0.001


def test_channels_are_mixed() -> None:
    one = sine(16_000)
    both = np.concatenate([one, -one], axis=1)
    assert np.abs(streamed(both, 16_000, 320)).max() == 0
    np.testing.assert_allclose(streamed(sine(16_000, channels=6), 16_000, 320), one[:, 0] / 32768, atol=1e-6)


def test_a_gap_is_silence_of_its_length_but_two_seconds_at_most() -> None:
    hear = ToHearing()
    assert len(hear(frame(sine(16_000, 0.02), 16_000, gap=16_000))) == 16_000 + 320
    assert len(hear(frame(sine(16_000, 0.02), 16_000, gap=16_000 * 3600))) == 32_000 + 320


def test_rate_and_channels_may_change_and_sound_may_be_empty() -> None:
    hear = ToHearing()
    pieces = [hear(frame(sine(rate, 0.1, channels=channels), rate))
              for rate, channels in ((48_000, 1), (8_000, 2), (16_000, 1), (44_100, 2))]
    assert len(hear(frame(np.zeros((0, 2), np.int16), 44_100))) == 0
    total = sum(map(len, pieces)) + len(hear.flush())
    assert total == pytest.approx(4 * 1600, abs=8)
    assert len(hear.flush()) == 0


def test_a_clip_and_its_stream_are_alike() -> None:
    samples = tone(0.5)
    clip, stream = to_hearing(samples, 48_000), streamed(samples, 48_000, 960)
    count = min(len(clip), len(stream))
    assert np.abs(clip[:count] - stream[:count])[200:-200].max() < 0.01


def test_hops_give_as_much_as_they_take() -> None:
    chance = np.random.default_rng(3)
    hops, given, taken = Hops(100), [], []
    for count in (7, 250, 100, 0, 99, 301):
        wave = chance.standard_normal(count).astype(np.float32)
        given.append(wave)
        taken.append(hops.take(hops.put(wave).reshape(-1), count))
        assert len(taken[-1]) == count
    before, after = np.concatenate(given), np.concatenate(taken)
    np.testing.assert_array_equal(after[hops.delay :], before[: len(before) - hops.delay])
    assert hops.delay < 100
