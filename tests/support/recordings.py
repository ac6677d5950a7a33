"""Sound files that are hard to take: long, lying, broken, or no sound at all."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import av
import numpy as np

from aimass_stream.frames import Samples


def encoded(samples: Samples, rate: int, container: str, codec: str) -> bytes:
    """(n, channels) int16 as a file of this kind."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono" if samples.shape[1] == 1 else "stereo")
        assert isinstance(stream, av.AudioStream)
        for at in range(0, len(samples), 48_000):
            piece = np.ascontiguousarray(samples[at : at + 48_000]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=stream.layout.name)
            frame.sample_rate, frame.pts = rate, at
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def long_flac(hours: float, rate: int = 8000) -> bytes:
    """Silence that is some kilobytes for hours."""
    out = io.BytesIO()
    size = rate * 60
    with av.open(out, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=rate, layout="mono", options={"frame_size": "65535"})
        assert isinstance(stream, av.AudioStream)
        silence = np.zeros((1, size), np.int16)
        for number in range(round(hours * 60)):
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, number * size
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def wav(samples: Samples, rate: int = 16_000, *, told_rate: int | None = None, told_channels: int | None = None,
        told_bytes: int | None = None) -> bytes:
    """16-bit PCM whose header says what it is told to."""
    body = samples.tobytes()
    channels = samples.shape[1] if told_channels is None else told_channels
    told = rate if told_rate is None else told_rate
    size = len(body) if told_bytes is None else told_bytes
    return (b"RIFF" + struct.pack("<I", min(36 + size, 0xFFFFFFFF)) + b"WAVEfmt "
            + struct.pack("<IHHIIHH", 16, 1, channels, told, (told * channels * 2) & 0xFFFFFFFF,
                          (channels * 2) & 0xFFFF, 16)
            + b"data" + struct.pack("<I", size) + body)


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("song.txt", "la " * 1000)
    return out.getvalue()


def silent_film() -> bytes:
    """A video without sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    return out.getvalue()


def playlist(of: Path) -> bytes:
    """A file that asks its reader for another one of this machine."""
    return f"ffconcat version 1.0\nfile {of.name}\n".encode()


def tone(seconds: float, rate: int = 16_000, channels: int = 1) -> Samples:
    moments = np.arange(round(seconds * rate)) / rate
    samples: Samples = np.repeat((8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)[:, None], channels, 1)
    return samples
