"""From Opus packets to sound, through the jitter buffer and the real decoder."""

from __future__ import annotations

import numpy as np

from aimass_stream.codecs.opus import OpusEncoder
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame
from aimass_stream.transports.webrtc.sound import Sound, SoundReceiver
from tests.support.audio_link import FRAME, packets, speech


def receive(receiver: SoundReceiver, data: tuple[bytes, ...], *, start: int = 0,
            lost: tuple[int, ...] = ()) -> list[Sound]:
    return [sound for number, packet in enumerate(data, start) if number not in lost
            for sound in receiver.add(number, number * FRAME, packet, 10 + number * 0.02)]


def test_sound_comes_out_whole() -> None:
    receiver = SoundReceiver()
    sounds = receive(receiver, packets(1.0))
    assert [sound.pts for sound in sounds] == [number * FRAME for number in range(50)]
    assert {sound.samples.shape for sound in sounds} == {(FRAME, 1)}
    assert {sound.samples.dtype for sound in sounds} == {np.dtype(np.int16)}
    assert receiver.made_up == {"fec": 0, "plc": 0, "dtx": 0}


def test_losses_are_made_up_and_never_of_zeros() -> None:
    receiver = SoundReceiver()
    lost = tuple(range(5, 48, 4))
    sounds = receive(receiver, packets(1.0), lost=lost)
    assert len(sounds) == 50
    assert all(np.abs(sound.samples).max() > 0 for sound in sounds)
    made_up = [sound for sound in sounds if sound.method != "decode"]
    assert [sound.pts // FRAME for sound in made_up] == list(lost)
    assert receiver.made_up["fec"] + receiver.made_up["plc"] == len(lost) * FRAME
    assert receiver.made_up["fec"] > receiver.made_up["plc"]


def test_without_copies_losses_are_concealed() -> None:
    receiver = SoundReceiver()
    receive(receiver, packets(1.0, fec=False), lost=(10, 20))
    assert receiver.made_up == {"fec": 0, "plc": 2 * FRAME, "dtx": 0}


def test_mono_becomes_stereo_with_the_first_stereo_packet() -> None:
    encoder = OpusEncoder(64_000)
    stereo = tuple(packet.data for start in range(0, 9600, FRAME) for packet in encoder.encode(AudioFrame(
        samples=speech(0.2).repeat(2, 1)[start : start + FRAME], pts=start, time_base=AUDIO_TIME_BASE, track="a")))
    receiver = SoundReceiver()
    assert {sound.samples.shape[1] for sound in receive(receiver, packets(1.0)[:5])} == {1}
    assert {sound.samples.shape[1] for sound in receive(receiver, stereo, start=5)} == {2}
    assert {sound.samples.shape[1] for sound in receive(receiver, packets(1.0)[:5], start=15)} == {2}


def test_damaged_packets_are_made_up() -> None:
    receiver = SoundReceiver()
    data = packets(1.0)
    damaged = (*data[:10], b"\x7b\x41\xff", *data[11:20])  # more padding than there are bytes
    sounds = receive(receiver, damaged)
    assert sum(len(sound.samples) for sound in sounds) == 20 * FRAME
    assert receiver.buffer.counts["garbage"] == 1
    assert receiver.made_up["plc"] + receiver.made_up["fec"] == FRAME


def test_statistics() -> None:
    receiver = SoundReceiver()
    receive(receiver, packets(1.0), lost=(7,))
    stats = receiver.stats()
    assert stats["received"] == 49
    assert stats["lost"] == 1
    assert stats["channels"] == 1
    receiver.close()
