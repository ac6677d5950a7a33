"""Sound files of any kind, as recognisers take them. Made to run in the sandbox: what is in the file is hostile."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from ..errors import InvalidMedia, TooLarge
from .words import HEARING_RATE

RATES = (1_000, 768_000)  # Hz; what says it has another one lies
CHANNELS = 64
PIECE_SAMPLES = HEARING_RATE * 4
GUESSED = frozenset({"aac", "mp3", "ac3", "eac3", "amr", "dts", "mpegts"})  # may have no header that says their length
GUESS = 4  # times too long at most, when it is guessed from the bit rate of the beginning
BROKEN_PACKETS = 100  # in a row; then the rest is no sound either


def decode(file: int, seconds: float) -> Iterator[bytes]:
    """The open file's sound as int16 at HEARING_RATE, mono, little-endian; at most `seconds` of it.

    Raises `InvalidMedia` for what is no sound and `TooLarge` for what is longer: at once where the header says
    so, else as soon as it shows. Broken packets within good ones are passed by.
    """
    source = os.fdopen(os.dup(file), "rb")
    source.seek(0)
    with _opened(source) as container:
        stream = _sound_of(container)
        told = _seconds(container, stream)
        if told is not None and told > seconds * (GUESS if container.format.name in GUESSED else 1):
            raise TooLarge(_too_long(seconds, told), field="file")
        left = int(seconds * HEARING_RATE)
        empty = True
        for piece in _pieces(container, stream):
            left -= len(piece) // 2
            if left < 0:
                raise TooLarge(_too_long(seconds), field="file")
            empty = False
            yield piece
        if empty:
            raise InvalidMedia("there is no sound in this file that can be decoded", field="file")


def _opened(source: IO[bytes]) -> InputContainer:
    try:
        # the file may name others (playlists do): nothing but what was uploaded is read
        return av.open(source, "r", options={"protocol_whitelist": "none"}, metadata_errors="replace")
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise InvalidMedia(f"this is no sound or video file that can be read ({_reason(error)})",
                           field="file") from None


def _sound_of(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise InvalidMedia("there is no sound in this file", field="file")
    stream = container.streams.audio[0]
    if not stream.codec_context or not RATES[0] <= (stream.rate or 0) <= RATES[1]:
        raise InvalidMedia(f"a sampling rate of {stream.rate or 0} Hz can't be", field="file")
    if not 1 <= stream.channels <= CHANNELS:
        raise InvalidMedia(f"{stream.channels} channels are too many; {CHANNELS} are the most", field="file")
    stream.codec_context.thread_count = 1
    return stream


def _seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """What the header says; it may lie."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _pieces(container: InputContainer, stream: AudioStream) -> Iterator[bytes]:
    # to integers, for there the mean of the channels is taken; their sum would be over full scale
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE)
    gathered = io.BytesIO()
    for frame in _frames(container, stream):
        for resampled in resampler.resample(frame):
            gathered.write(bytes(resampled.planes[0])[: resampled.samples * 2])
        if gathered.tell() >= PIECE_SAMPLES * 2:
            yield from _cut(gathered)
    for resampled in resampler.resample(None):
        gathered.write(bytes(resampled.planes[0])[: resampled.samples * 2])
    yield from _cut(gathered)


def _cut(gathered: io.BytesIO) -> Iterator[bytes]:
    whole = gathered.getvalue()
    gathered.seek(0)
    gathered.truncate()
    for at in range(0, len(whole), PIECE_SAMPLES * 2):
        yield whole[at : at + PIECE_SAMPLES * 2]


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    broken = 0
    packets = container.demux(stream)
    while broken < BROKEN_PACKETS:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return  # a file that was cut off ends where it was cut off
        try:
            yield from packet.decode()
            broken = 0
        except (av.FFmpegError, ValueError):
            broken += 1


def _too_long(most: float, told: float | None = None) -> str:
    is_long = f"this file has {told:.0f} s of sound" if told is not None else "this file has more sound"
    return f"{is_long}; {most:g} s are the most"


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]
