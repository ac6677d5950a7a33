"""From Opus packets to sound, through the jitter buffer and the real decoder."""

from __future__ import annotations

import numpy as np

from aimass_stream.codecs.opus import OpusEncoder
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame, Samples
from aimass_stream.transports.webrtc.audio_jitter import AudioJitterBuffer
from aimass_stream.transports.webrtc.sound import SoundDecoder
from tests.support.audio_link import FRAME, packets, speech


class Ear:
    """Takes packets 20 ms apart, but for those that are lost on the way."""

    def __init__(self) -> None:
        self.decoder = SoundDecoder()
        self._buffer = AudioJitterBuffer()
        self._number = 0

    def hear(self, data: tuple[bytes, ...], lost: tuple[int, ...] = ()) -> list[Samples]:
        heard = []
        for packet in data:
            number, self._number = self._number, self._number + 1
            if number not in lost:
                chunks = self._buffer.add(number, number * FRAME, packet, 10 + number * 0.02)
                heard += [self.decoder.decode(chunk) for chunk in chunks]
        return heard


def test_sound_comes_out_whole() -> None:
    ear = Ear()
    heard = ear.hear(packets(1.0))
    assert [samples.shape for samples in heard] == [(FRAME, 1)] * 50
    assert {samples.dtype for samples in heard} == {np.dtype(np.int16)}
    assert ear.decoder.made_up == {"fec": 0, "plc": 0, "dtx": 0}


def test_losses_are_made_up_and_never_of_zeros() -> None:
    ear = Ear()
    lost = tuple(range(5, 48, 4))
    heard = ear.hear(packets(1.0), lost)
    assert [len(samples) for samples in heard] == [FRAME] * 50
    assert all(np.abs(samples).max() > 0 for samples in heard)
    made_up = ear.decoder.made_up
    assert made_up["fec"] + made_up["plc"] == len(lost) * FRAME
    assert made_up["plc"] == ear.decoder.quiet < made_up["fec"]


def test_without_copies_losses_are_concealed() -> None:
    ear = Ear()
    ear.hear(packets(1.0, fec=False), lost=(10, 20))
    assert ear.decoder.made_up == {"fec": 0, "plc": 2 * FRAME, "dtx": 0}
    assert ear.decoder.quiet == 0


def test_mono_becomes_stereo_with_the_first_stereo_packet() -> None:
    encoder = OpusEncoder(64_000)
    stereo = tuple(packet.data for start in range(0, 9600, FRAME) for packet in encoder.encode(AudioFrame(
        samples=speech(0.2).repeat(2, 1)[start : start + FRAME], pts=start, time_base=AUDIO_TIME_BASE, track="a")))
    ear = Ear()
    mono = packets(1.0)[:5]
    assert [{samples.shape[1] for samples in ear.hear(data)} for data in (mono, stereo, mono)] == [{1}, {2}, {2}]


def test_damaged_packets_are_made_up() -> None:
    ear = Ear()
    data = packets(1.0)
    heard = ear.hear((*data[:10], b"\x7b\x41\xff", *data[11:20]))  # more padding than there are bytes
    assert [len(samples) for samples in heard] == [FRAME] * 20
    assert ear.decoder.garbage == 1
    assert ear.decoder.made_up == {"fec": 0, "plc": FRAME, "dtx": 0}
    ear.decoder.close()
