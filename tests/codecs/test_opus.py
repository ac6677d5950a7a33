"""Opus with what PyAV does not reach: in-band repair and concealment."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream import codecs
from aimass_stream.codecs.opus import (
    FRAME,
    OpusDecoder,
    OpusEncoder,
    has_fec,
    packet_channels,
    packet_samples,
)
from aimass_stream.errors import InvalidInput, InvalidMedia
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Samples
from tests.support.audio_link import packets, speech
from tests.support.refusals import outcome


def sound(samples: Samples, pts: int, rate: int = 48_000) -> AudioFrame:
    return AudioFrame(samples=samples, pts=pts, time_base=Fraction(1, rate), rate=rate, track="a")


def encode(samples: Samples, size: int = FRAME, rate: int = 48_000, encoder: OpusEncoder | None = None) -> list[bytes]:
    encoder = encoder or OpusEncoder(32_000)
    return [packet.data for start in range(0, len(samples), size)
            for packet in encoder.encode(sound(samples[start : start + size], start, rate))]


def ratio(original: Samples, decoded: Samples) -> float:
    """dB of signal to noise at the best lag."""
    length = min(len(original), len(decoded)) - 960
    reference = original[:length, 0].astype(float)
    best = min(float(((decoded[lag : lag + length, 0] - reference) ** 2).sum()) for lag in range(300, 320))
    return 10 * math.log10(float((reference**2).sum()) / best)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_survives(channels: int) -> None:
    """A tone that SILK, which does not keep wave forms for their own sake, still follows closely."""
    t = np.arange(48_000) / 48_000
    tone = np.asarray(8000 * np.sin(math.tau * 300 * t), np.int16)[:, None].repeat(channels, 1)
    data = encode(tone, encoder=OpusEncoder(64_000 * channels))
    decoder = OpusDecoder(channels)
    decoded = np.concatenate([decoder.decode(packet) for packet in data])
    assert len(data) == 50
    assert {packet_channels(packet) for packet in data} == {channels}
    assert decoded.shape == (48_000, channels)
    assert ratio(tone[4800:], decoded[4800:]) > 15


def test_lost_packets_come_back_from_their_copies() -> None:
    """Of a voice with every seventh packet lost: zeros, concealment and copies, each better than the one before."""
    data = packets(4.0)
    whole = decode_all(data)

    def with_losses(method: str) -> float:
        decoder, pieces = OpusDecoder(), []
        for number, packet in enumerate(data[:-1]):
            if number % 7 != 6:
                pieces.append(decoder.decode(packet))
            elif method == "fec" and (copy := decoder.recover(data[number + 1], FRAME)) is not None:
                pieces.append(copy)
            else:
                made_up = decoder.conceal(FRAME)
                pieces.append(made_up if method != "zeros" else np.zeros_like(made_up))
        decoded = np.concatenate(pieces)
        lost = [slice(number * FRAME, (number + 1) * FRAME) for number in range(6, len(data) - 1, 7)]
        error = sum(float(((decoded[part].astype(float) - whole[part]) ** 2).sum()) for part in lost)
        signal = sum(float((whole[part].astype(float) ** 2).sum()) for part in lost)
        return 10 * math.log10(signal / error)

    zeros, plc, fec = with_losses("zeros"), with_losses("plc"), with_losses("fec")
    assert zeros == pytest.approx(0, abs=0.01)
    assert plc > zeros + 1
    assert fec > plc + 3


def decode_all(data: tuple[bytes, ...]) -> Samples:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(packet) for packet in data])


def test_copies_are_only_there_when_loss_is_expected() -> None:
    assert sum(map(has_fec, packets(2.0))) > 50
    assert not any(map(has_fec, packets(2.0, fec=False)))
    encoder = OpusEncoder(32_000, loss_percent=0)
    quiet = encode(speech(1.0), encoder=encoder)
    encoder.loss_percent = 10
    lossy = encode(speech(1.0), encoder=encoder)
    assert not any(map(has_fec, quiet))
    assert sum(map(has_fec, lossy)) > 25
    assert OpusDecoder().recover(quiet[0], FRAME) is None


def test_concealment_is_sound_and_fades() -> None:
    decoder = OpusDecoder()
    for packet in packets(1.0)[:45]:
        decoder.decode(packet)
    made_up = decoder.conceal(24_000)
    assert made_up.shape == (24_000, 1)
    assert np.abs(made_up[:480]).max() > 50
    assert np.abs(made_up[-960:]).mean() < np.abs(made_up[:960]).mean()


@pytest.mark.parametrize("samples", [1, 119, 120, 959, 960, 5760, 9600])
def test_concealment_keeps_to_steps_of_2_5_ms(samples: int) -> None:
    assert len(OpusDecoder().conceal(samples)) == max(120, samples // 120 * 120)


@pytest.mark.parametrize("size", [1, 480, 960, 1000, 4800])
def test_frames_of_any_length_make_whole_packets(size: int) -> None:
    encoder = OpusEncoder(32_000)
    samples = speech(0.25)
    made = [packet for start in range(0, len(samples), size)
            for packet in encoder.encode(sound(samples[start : start + size], start + 70_000))]
    assert [packet.pts for packet in made] == [70_000 + number * FRAME for number in range(12)]
    assert all(packet.duration == FRAME == packet_samples(packet.data) for packet in made)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100])
def test_other_rates_are_resampled(rate: int) -> None:
    encoder = OpusEncoder(32_000)
    t = np.arange(rate) / rate
    tone = np.asarray(8000 * np.sin(math.tau * 440 * t), np.int16)[:, None]
    made = [packet for start in range(0, rate, rate // 50)
            for packet in encoder.encode(sound(tone[start : start + rate // 50], start, rate))]
    assert len(made) in (49, 50)
    assert all(after.pts - before.pts == FRAME for before, after in itertools.pairwise(made))
    decoded = decode_all(tuple(packet.data for packet in made))[9600:38_400, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(len(decoded))))
    assert np.argmax(spectrum) * 48_000 / len(decoded) == pytest.approx(440, abs=3)


def test_a_step_in_pts_starts_a_packet_anew() -> None:
    encoder = OpusEncoder(32_000)
    encoder.encode(sound(speech(0.01), 0))
    [packet] = encoder.encode(sound(speech(0.02), 96_000))
    assert packet.pts == 96_000


def test_bitrate_and_channels_change_while_it_runs() -> None:
    encoder = OpusEncoder(64_000, loss_percent=0)
    high = encode(speech(1.0), encoder=encoder)
    encoder.bitrate = 16_000
    low = encode(speech(1.0), encoder=encoder)
    assert sum(map(len, low)) < 0.5 * sum(map(len, high))
    encoder.bitrate = 64_000
    stereo = encode(speech(0.1).repeat(2, 1), encoder=encoder)
    assert packet_channels(stereo[-1]) == 2


def test_an_empty_frame_makes_nothing() -> None:
    assert OpusEncoder(32_000).encode(sound(np.empty((0, 1), np.int16), 0)) == []


def test_a_mono_decoder_mixes_stereo_down() -> None:
    data = encode(speech(0.1).repeat(2, 1))
    assert OpusDecoder(1).decode(data[0]).shape == (FRAME, 1)


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"\x03", "garbage"), (b"\x03\x00", "garbage"),
                                              (b"\x1b\x3f", "garbage")])
def test_what_is_no_packet_is_refused(data: bytes, reason: str) -> None:
    decoder = OpusDecoder()
    with pytest.raises(InvalidMedia) as raised:
        decoder.decode(data)
    assert raised.value.data["reason"] == reason
    assert len(decoder.decode(packets(0.5)[0])) == FRAME


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    decoder = OpusDecoder(2)
    assert outcome(lambda: decoder.decode(data)) in ("fine", "empty", "garbage")
    decoder.recover(data, FRAME)
    assert decoder.conceal(FRAME).shape == (FRAME, 2)


def test_the_factory() -> None:
    encoder, decoder = codecs.audio_encoder("opus", 32_000), codecs.audio_decoder("OPUS", 2)
    frame = AudioFrame(samples=speech(0.02), pts=0, time_base=AUDIO_TIME_BASE, track="a")
    assert decoder.decode(encoder.encode(frame)[0].data).shape == (FRAME, 2)
    for make in (lambda: codecs.audio_encoder("speex", 1), lambda: codecs.audio_decoder("speex")):
        with pytest.raises(InvalidInput, match="speex"):
            make()
