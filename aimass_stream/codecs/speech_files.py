"""Speech as a file that is sent while it is made: every call answers the bytes that are complete by then."""

from __future__ import annotations

import struct
from typing import Any, Protocol

import av
import numpy as np

from ..frames import Samples

FILE_RATE = 24_000  # Hz, mono: what OpenAI's clients take headerless PCM for, so everything here
UNKNOWN = 0xFFFFFFFF  # bytes of a WAV whose end is not known yet; players read on to the end


class SpeechFile(Protocol):
    def add(self, samples: Samples) -> bytes:
        """(n, 1) int16 at FILE_RATE."""
        ...

    def finish(self) -> bytes: ...


class Pcm:
    """s16le without a header."""

    def add(self, samples: Samples) -> bytes:
        return samples.astype("<i2").tobytes()

    def finish(self) -> bytes:
        return b""


class Wav(Pcm):
    def __init__(self) -> None:
        self._begun = False

    def add(self, samples: Samples) -> bytes:
        head = b"" if self._begun else _wav_header()
        self._begun = True
        return head + super().add(samples)

    def finish(self) -> bytes:
        return b"" if self._begun else _wav_header()


class _Pipe:
    """What FFmpeg writes into; it can't seek, so nothing is put right afterwards."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


class Encoded:
    """A codec in a container, by FFmpeg."""

    def __init__(self, container: str, codec: str, options: dict[str, str], bit_rate: int | None) -> None:
        self._pipe = _Pipe()
        self._output = av.open(self._pipe, "w", format=container, options={"flush_packets": "1", **options})
        stream: Any = self._output.add_stream(codec, rate=FILE_RATE)
        stream.codec_context.layout = "mono"
        if bit_rate is not None:
            stream.codec_context.bit_rate = bit_rate
        self._stream = stream
        self._samples = 0

    def add(self, samples: Samples) -> bytes:
        if not len(samples):
            return b""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout="mono")
        frame.sample_rate = FILE_RATE
        frame.pts = self._samples
        self._samples += len(samples)
        self._output.mux(self._stream.encode(frame))
        return self._pipe.take()

    def finish(self) -> bytes:
        if not self._samples:  # a file of nothing is no file
            self.add(np.zeros((FILE_RATE // 50, 1), np.int16))
        self._output.mux(self._stream.encode(None))
        self._output.close()
        return self._pipe.take()


MEDIA_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
               "pcm": "audio/pcm"}


def speech_file(name: str) -> SpeechFile:
    """By the name that OpenAI's API has for it, one of `MEDIA_TYPES`. Opening a codec takes some milliseconds."""
    match name:
        case "pcm":
            return Pcm()
        case "wav":
            return Wav()
        case "mp3":
            return Encoded("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}, 64_000)
        case "opus":
            return Encoded("ogg", "libopus", {"page_duration": "60000"}, 32_000)  # µs; the usual second is too long
        case "aac":
            return Encoded("adts", "aac", {}, 64_000)
        case "flac":
            return Encoded("flac", "flac", {}, None)
    raise ValueError(f"there is no format {name!r}")


def _wav_header() -> bytes:
    """RIFF of PCM, mono, 16 bits (RFC 2361)."""
    return b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, 1, FILE_RATE, FILE_RATE * 2, 2, 16) + b"data" + struct.pack("<I", UNKNOWN - 36)
