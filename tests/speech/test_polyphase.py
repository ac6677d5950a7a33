from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.speech.polyphase import Polyphase
from aimass_stream.speech.words import Waveform

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 384_000]


def sine(rate: int, hertz: float, seconds: float = 0.5) -> Waveform:
    return np.asarray(np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate), np.float32)


def streamed(wave: Waveform, rate: int, wanted: int, step: int) -> Waveform:
    stream = Polyphase(rate, wanted)
    pieces = [stream(wave[at : at + step]) for at in range(0, len(wave), step)]
    return np.concatenate([*pieces, stream.flush()])


def level(wave: Waveform) -> float:
    """dB of a sine of full scale."""
    return float(10 * np.log10(2 * np.mean(wave[wave.size // 5 : -wave.size // 5] ** 2) + 1e-12))


@pytest.mark.parametrize("wanted", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("rate", RATES)
def test_the_same_sound_at_another_rate(rate: int, wanted: int) -> None:
    wave = sine(rate, 1000)
    made = streamed(wave, rate, wanted, rate // 50)
    assert made.dtype == np.float32
    assert len(made) == pytest.approx(len(wave) / rate * wanted, abs=1)
    error = (made - sine(wanted, 1000)[: len(made)])[200:-200]
    assert 10 * np.log10(0.5 / np.mean(error**2)) > 70


@pytest.mark.parametrize(("rate", "wanted"), [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 48_000)])
def test_it_does_not_matter_how_it_is_cut(rate: int, wanted: int) -> None:
    wave = np.random.default_rng(1).standard_normal(rate // 4).astype(np.float32)
    whole = streamed(wave, rate, wanted, len(wave))
    for step in (1, 7, 160, 441):
        np.testing.assert_allclose(streamed(wave, rate, wanted, step), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate >= 8_000])
def test_it_is_hardly_late(rate: int) -> None:
    stream, given, taken, late = Polyphase(rate, 16_000), 0, 0, 0.0
    for _ in range(50):
        given += rate // 50
        taken += len(stream(np.zeros(rate // 50, np.float32)))
        late = max(late, given / rate - taken / 16_000)
    assert late < 0.0025


def test_what_the_rate_can_not_carry_is_gone_and_what_it_can_is_kept() -> None:
    assert level(streamed(sine(48_000, 9_000), 48_000, 16_000, 960)) < -60
    assert level(streamed(sine(48_000, 6_000), 48_000, 16_000, 960)) == pytest.approx(0, abs=0.2)
    up = streamed(sine(8_000, 1_000), 8_000, 16_000, 160)
    spectrum = np.abs(np.fft.rfft(up[1000:7000] * np.hanning(6000)))
    assert spectrum[len(spectrum) // 2 :].max() < spectrum.max() * 1e-3  # no mirror image above 4 kHz


def test_an_odd_rate_goes_another_way() -> None:
    assert len(streamed(sine(44_101, 440), 44_101, 16_000, 882)) == pytest.approx(8_000, abs=2)
    assert len(streamed(sine(1_000_000, 440, 0.1), 1_000_000, 16_000, 999)) == pytest.approx(1_600, abs=2)
    assert len(Polyphase(48_000, 16_000).flush()) == 0
