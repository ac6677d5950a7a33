"""Plain samples: bytes, channels, rates."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimass_stream import clips
from aimass_stream.codecs import pcm
from aimass_stream.errors import InvalidMedia
from aimass_stream.frames import AudioFrame, Samples


@given(arrays.arrays(np.int16, st.tuples(st.integers(1, 50), st.integers(1, 2))))
def test_samples_come_back_as_they_were(samples: Samples) -> None:
    assert np.array_equal(pcm.from_bytes(pcm.to_bytes(samples), samples.shape[1]), samples)


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"abc", "garbage"), (b"ab", "garbage")])
def test_half_a_sample_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidMedia) as refused:
        pcm.from_bytes(data, 2)
    assert refused.value.data["reason"] == reason


def test_channels_are_doubled_averaged_and_cut() -> None:
    stereo = np.array([[100, 300], [-100, -300]], np.int16)
    assert pcm.mix(stereo, 1).tolist() == [[200], [-200]]
    assert pcm.mix(stereo[:, :1], 2).tolist() == [[100, 100], [-100, -100]]
    assert pcm.mix(np.full((1, 6), 7, np.int16), 2).tolist() == [[7, 7]]
    assert pcm.mix(stereo, 2) is stereo
    loud = np.full((1, 2), 32767, np.int16)
    assert pcm.mix(loud, 1).tolist() == [[32767]]


def pieces(rate: int, count: int) -> list[AudioFrame]:
    """20 ms each of a tone."""
    tone, length = clips.tone(count * 0.02, rate=rate), rate // 50
    return [AudioFrame(pts=index * length, time_base=Fraction(1, rate), track="a", rate=rate,
                       samples=tone[index * length : (index + 1) * length]) for index in range(count)]


@pytest.mark.parametrize(("rate", "to"), [(16_000, 48_000), (48_000, 16_000), (44_100, 48_000), (8_000, 24_000)])
def test_another_rate_sounds_the_same_and_keeps_time(rate: int, to: int) -> None:
    converter = pcm.Converter(to, 1)
    out = [frame for piece in pieces(rate, 50) if (frame := converter.convert(piece)) is not None]
    assert {(frame.rate, frame.time_base) for frame in out} == {(to, Fraction(1, to))}
    for before, after in pairwise(out):
        assert after.pts == before.pts + len(before.samples)
    assert out[-1].pts + len(out[-1].samples) == pytest.approx(to, abs=to * 0.005)
    samples = np.concatenate([frame.samples for frame in out])[to // 10 :, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert np.argmax(spectrum) * to / len(samples) == pytest.approx(440, abs=3)
    assert np.abs(samples).mean() == pytest.approx(np.abs(clips.tone(1)).mean(), rel=0.02)


def test_a_leap_in_time_starts_anew_and_a_gap_is_scaled() -> None:
    converter = pcm.Converter(48_000, 1)
    first, second = pieces(16_000, 2)
    assert converter.convert(first) is not None
    late = converter.convert(second.replace(pts=160_000, gap=1600))
    assert late is not None
    assert (late.pts, late.gap) == (480_000, 4800)


def test_a_frame_that_fits_is_not_copied() -> None:
    (piece,) = pieces(48_000, 1)
    converted = pcm.Converter(48_000, 1).convert(piece)
    assert converted is not None
    assert converted.samples is piece.samples
