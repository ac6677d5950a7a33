"""What the clients send: a VP8 clip whose pictures carry their number, and Opus with and without FEC.

Both are encoded once and kept under benchmarks/work/, so that sending costs a client next to nothing and is
the same for every server. `Camera` encodes live instead, for the runs over a bad link: there a client has to
answer a picture loss with a key frame.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from aimass_stream import clips

from . import sound

WORK = Path(__file__).parent / "work"
FPS = 30
LENGTH = 20  # s of each clip
VIDEO_BASE = Fraction(1, 90_000)
AUDIO_BASE = Fraction(1, sound.RATE)
BITRATES = {480: 800_000, 720: 1_500_000}  # bit/s by height
SCENES = 150  # different pictures that Camera goes round in

# as aiortc sets its encoder up (codecs/vpx.py), so that the floor and the clip are of the same kind
VPX = {"cpu-used": "-6", "deadline": "realtime", "lag-in-frames": "0", "noise-sensitivity": "4",
       "overshoot-pct": "15", "partitions": "0", "static-thresh": "1", "undershoot-pct": "100"}


def encoder(width: int, height: int, bitrate: int | None = None) -> Any:
    context: Any = av.CodecContext.create("libvpx", "w")
    rate = bitrate or BITRATES.get(height, 1_000_000)
    context.width, context.height, context.bit_rate, context.pix_fmt = width, height, rate, "yuv420p"
    context.gop_size, context.qmin, context.qmax, context.thread_count = 3000, 2, 56, 1
    context.framerate, context.time_base = Fraction(FPS, 1), VIDEO_BASE
    context.options = {**VPX, "bufsize": str(rate), "minrate": str(rate), "maxrate": str(rate)}
    return context


def picture(number: int, width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(clips.draw(number, width, height, FPS), format="bgr24")
    return frame.reformat(format="yuv420p")


def _kept(name: str, make: Any) -> list[bytes]:
    path = WORK / f"{name}.npz"
    if not path.exists():
        WORK.mkdir(exist_ok=True)
        packets: list[bytes] = make()
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, data=np.frombuffer(b"".join(packets), np.uint8),
                 sizes=np.array([len(packet) for packet in packets]))
        partial.replace(path)
    with np.load(path) as stored:
        data, ends = stored["data"].tobytes(), np.cumsum(stored["sizes"])
    return [data[end - size : end] for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)]


@functools.cache
def video(width: int, height: int) -> list[bytes]:
    """VP8 frames, the first a key frame; frame n shows picture n."""

    def make() -> list[bytes]:
        context = encoder(width, height)
        packets: list[bytes] = []
        for number in range(LENGTH * FPS):
            frame = picture(number, width, height)
            frame.pts, frame.time_base = number * 3000, VIDEO_BASE
            packets += [bytes(packet) for packet in context.encode(frame)]
        assert len(packets) == LENGTH * FPS
        return packets

    return _kept(f"vp8-{width}x{height}", make)


@functools.cache
def audio(fec: bool) -> list[bytes]:
    """Opus packets of 20 ms, mono; with FEC each carries a coarse copy of the one before (RFC 6716, 2.1.7)."""

    def make() -> list[bytes]:
        context: Any = av.CodecContext.create("libopus", "w")
        context.format, context.layout, context.sample_rate = "s16", "mono", sound.RATE
        context.bit_rate, context.time_base = 48_000, AUDIO_BASE
        context.options = {"application": "voip", **({"fec": "1", "packet_loss": "20"} if fec else {})}
        samples = sound.whistle(LENGTH)
        packets: list[bytes] = []
        for start in range(0, len(samples), sound.PACKET):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + sound.PACKET], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = sound.RATE, start, AUDIO_BASE
            packets += [bytes(packet) for packet in context.encode(frame)]
        return packets

    return _kept(f"opus-{'fec' if fec else 'plain'}", make)


def decode_audio(packets: list[bytes | None]) -> NDArray[np.int16]:
    """(n * 960,) int16 mono; silence where a packet is missing."""
    context: Any = av.CodecContext.create("libopus", "r")
    context.format, context.layout, context.sample_rate = "s16", "mono", sound.RATE
    out = np.zeros(len(packets) * sound.PACKET, np.int16)
    for index, data in enumerate(packets):
        if not data:
            continue
        packet = av.Packet(data)
        packet.pts, packet.time_base = index * sound.PACKET, AUDIO_BASE
        for frame in context.decode(packet):
            samples = frame.to_ndarray().reshape(-1)[: sound.PACKET]
            out[index * sound.PACKET : index * sound.PACKET + len(samples)] = samples
    return out


class Camera:
    """Numbered pictures encoded as they are asked for, with a key frame when one is wanted."""

    def __init__(self, width: int, height: int) -> None:
        self._frames = [picture(number, width, height) for number in range(SCENES)]
        self._encoder = encoder(width, height)
        self._pts = 0

    def next(self, number: int, key: bool) -> bytes:
        frame = self._frames[number % SCENES]
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
        clips.write_number(luma[:, :, None], number)
        frame.pts, frame.time_base = self._pts, VIDEO_BASE
        self._pts += 3000
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


def number_of(frame: av.VideoFrame) -> int | None:
    """The number a decoded picture carries, read from a few rows of its luma."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return clips.read_number(luma)
