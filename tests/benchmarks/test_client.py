"""How the benchmarks' client puts pictures together and recognises sound."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks import media, sound
from benchmarks.client import delays_of
from benchmarks.receive import Assembler

KEY, DELTA = b"\x00", b"\x01"  # the first byte of a VP8 frame (RFC 6386, 9.1)
FIRST, REST = b"\x10", b"\x00"  # descriptors of a frame's first and later packets (RFC 7741, 4.2)


class Shown:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.assembler = Assembler(self.frames.append)
        self.now = 100.0

    def packet(self, sequence: int, *, first: bool = True, last: bool = True, key: bool = False) -> None:
        data = (KEY if key else DELTA) + bytes([sequence & 0xFF])
        self.assembler.add(sequence & 0xFFFF, (FIRST if first else REST) + data, data, last, self.now)

    def after(self, seconds: float) -> tuple[list[int], bool]:
        self.now += seconds
        return self.assembler.tick(self.now)


def test_a_frame_comes_with_its_last_packet() -> None:
    shown = Shown()
    shown.packet(65534, last=False, key=True)
    assert shown.frames == []
    shown.packet(65535, first=False)
    assert len(shown.frames) == 1
    shown.packet(0)  # sequence numbers wrap
    assert len(shown.frames) == 2


def test_reordered_packets_are_put_in_order_and_not_asked_for() -> None:
    shown = Shown()
    shown.packet(10, key=True)
    shown.packet(12)
    assert shown.after(0.005) == ([], False)
    shown.packet(11)
    assert [frame[1] for frame in shown.frames] == [10, 11, 12]
    assert shown.after(0.1) == ([], False)


def test_a_lost_packet_is_asked_for_again_and_again() -> None:
    shown = Shown()
    shown.packet(10, key=True)
    shown.packet(12)
    assert shown.after(0.011) == ([11], False)
    assert shown.after(0.011) == ([], False)
    assert shown.after(0.031) == ([11], False)
    shown.packet(11)
    assert len(shown.frames) == 3


def test_what_never_comes_ends_in_a_key_frame() -> None:
    shown = Shown()
    shown.packet(10, key=True)
    shown.packet(12)
    _, key = shown.after(0.25)
    assert key
    assert shown.after(0.1) == ([], False)
    assert shown.after(0.25)[1], "asked once more"
    shown.packet(13)
    assert len(shown.frames) == 1
    shown.packet(14, key=True)
    shown.packet(15)
    assert [frame[1] for frame in shown.frames] == [10, 14, 15]


def test_delays_are_counted_from_the_latest_sending() -> None:
    times, delays, numbers = delays_of([(1, 10.0), (2, 11.0), (1, 12.0)], [(1, 10.5), (1, 12.25), (9, 13.0)])
    assert times.tolist() == [10.5, 12.25]
    assert delays.tolist() == [0.5, 0.25]
    assert numbers.tolist() == [1, 1]


def encoded(samples: NDArray[np.int16]) -> list[bytes]:
    context: Any = av.CodecContext.create("libopus", "w")
    context.format, context.layout, context.sample_rate, context.bit_rate = "s16", "mono", sound.RATE, 48_000
    context.time_base = Fraction(1, sound.RATE)
    context.options = {"application": "voip"}
    packets: list[bytes] = []
    for start in range(0, len(samples), sound.PACKET):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + sound.PACKET], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.RATE, start, context.time_base
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def test_sound_is_recognised_and_its_delay_measured() -> None:
    """Through a decoder and an encoder, as a server does, with 60 ms in between and 10 packets gone for good."""
    seconds, gone = 3, range(70, 80)
    said = media.decode_audio(list(encoded(sound.whistle(seconds))))
    sent = np.arange(seconds * 50).astype(np.float64) * 0.02
    through = said.copy()
    for packet in gone:
        through[packet * sound.PACKET : (packet + 1) * sound.PACKET] = 0
    back = encoded(through)
    heard = sound.listen(said, sent, media.decode_audio(list(back)), sent[: len(back)] + 0.06)
    assert abs(float(np.nanmedian(heard.delay)) - 0.06) < 0.001
    missed = np.flatnonzero(~heard.came_back[1:-2]) + 1  # the encoder's look-ahead blurs the very ends
    assert set(gone[1:]) <= set(missed.tolist())  # and the first one that is gone
    assert len(missed) <= len(gone) + 1


def test_sound_lost_on_the_way_back_is_excused() -> None:
    said = media.decode_audio(list(encoded(sound.whistle(2))))
    sent = np.arange(100).astype(np.float64) * 0.02
    back: list[bytes | None] = list(encoded(said))
    arrived = sent[: len(back)] + 0.03
    for packet in (20, 40, 41):
        back[packet], arrived[packet] = None, np.nan
    heard = sound.listen(said, sent, media.decode_audio(back), arrived)
    assert (heard.came_back | heard.excused)[1:-2].all()
    assert 3 <= heard.excused.sum() <= 15
