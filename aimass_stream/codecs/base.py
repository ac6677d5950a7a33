"""What every codec here looks like. All calls are synchronous, and one codec belongs to one thread at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import av

from ..frames import VIDEO_TIME_BASE, AudioFrame, Picture, Samples, VideoFrame


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """One picture's bitstream: a VP8 frame, an H264 access unit in Annex B, a JPEG file."""

    data: bytes  # never empty
    keyframe: bool
    pts: int  # in VIDEO_TIME_BASE (90 kHz)


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One packet of sound."""

    data: bytes  # never empty
    pts: int  # in AUDIO_TIME_BASE (48 kHz)
    duration: int  # samples at 48 kHz


def video_pts(frame: VideoFrame) -> int:
    """The frame's pts in VIDEO_TIME_BASE."""
    if frame.time_base == VIDEO_TIME_BASE:
        return frame.pts
    return round(frame.pts * frame.time_base / VIDEO_TIME_BASE)


_LOCKS = tuple(threading.Lock() for _ in range(64))


def exclusive(frame: av.VideoFrame) -> threading.Lock:
    """Held while an encoder of PyAV writes its pts and picture type into a picture that others may encode too."""
    return _LOCKS[id(frame) // 16 % len(_LOCKS)]


class VideoEncoder(Protocol):
    bitrate: int
    """bit/s; takes effect with the next picture, without a key frame where the library allows it."""

    def encode(self, frame: VideoFrame, keyframe: bool = False) -> EncodedVideo | None:
        """None when the rate control left this picture out. A change of size starts with a key frame."""
        ...

    def close(self) -> None: ...


class VideoDecoder(Protocol):
    def decode(self, data: bytes, pts: int = 0) -> list[Picture]:
        """The picture of `data`, or nothing. Raises `InvalidMedia` with data["reason"]:

        "empty", "picture_size" (over the limits, refused before decoding), "no_keyframe" (a delta without its
        key frame) or "garbage". The decoder stays usable; it needs a key frame next.
        """
        ...

    def close(self) -> None: ...


class AudioEncoder(Protocol):
    bitrate: int
    loss_percent: int
    """Share of packets that the other side loses; decides how much goes into in-band repair."""

    def encode(self, frame: AudioFrame) -> list[EncodedAudio]:
        """The packets that are full now: any length, rate and one or two channels may come in."""
        ...

    def close(self) -> None: ...


class AudioDecoder(Protocol):
    channels: int

    def decode(self, data: bytes) -> Samples:
        """(n, channels) int16 at 48 kHz. Raises `InvalidMedia`."""
        ...

    def recover(self, following: bytes, samples: int) -> Samples | None:
        """The lost packet just before `following`, from its in-band copy; None without one (RFC 6716 2.1.7)."""
        ...

    def conceal(self, samples: int) -> Samples:
        """Sound made up from what came before, (samples, channels)."""
        ...

    def close(self) -> None: ...
