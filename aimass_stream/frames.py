"""The kinds of frame that travel through a pipeline, with the unit of every field.

All frames of a session carry `pts` counted in `time_base` (seconds a tick, exact), the name of their
`track`, and two times: `arrived`, seconds on this machine's monotonic clock when the last byte of the
frame came in (latency is counted from here), and `captured`, seconds on the *sender's* clock, common to
all tracks of a session, None while the transport does not know it (it is what lip sync aligns).

`notes` is what stages found out about this frame: JSON values by stage name. They reach the client as a
``frame.result`` event that carries this frame's pts. `beside` is for later stages alone, by stage name: what was found
out in a frame before this one, while that went on, and was told with its pts.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Self, TypeAlias

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["audio", "video", "text"]
KINDS: tuple[Kind, ...] = ("audio", "video", "text")

VIDEO_TIME_BASE = Fraction(1, 90_000)  # the RTP clock of every video codec here (RFC 6184, RFC 7741)
AUDIO_RATE = 48_000  # Hz; the RTP clock of Opus (RFC 7587)
AUDIO_TIME_BASE = Fraction(1, AUDIO_RATE)

Pixels: TypeAlias = NDArray[np.uint8]
Samples: TypeAlias = NDArray[np.int16]


def now() -> float:
    """Seconds on the clock that `arrived` is read from."""
    return time.monotonic()


@dataclass(slots=True, kw_only=True)
class _Timed:
    pts: int  # in time_base
    time_base: Fraction  # seconds a tick
    track: str  # unique in the session, e.g. "video-0"
    arrived: float = field(default_factory=now)  # s, monotonic, this machine
    captured: float | None = None  # s, the sender's clock
    notes: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """pts in seconds."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; notes are shared on purpose: they belong to the moment."""
        return dataclasses.replace(self, **changes)


@dataclass(slots=True, kw_only=True)
class AudioFrame(_Timed):
    """Sound: `samples` is int16, shape (n, channels), interleaved in memory, at `rate` Hz."""

    samples: Samples
    rate: int = AUDIO_RATE  # Hz
    gap: int = 0  # samples that are missing just before this frame (skipped or lost, counted elsewhere)

    kind: Literal["audio"] = field(default="audio", init=False)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate


class Picture:
    """One picture, held in the form it came in and converted once on demand.

    Forms: an `av.VideoFrame`; I420 planes in one array (h*3/2, w) uint8, limited (TV) range BT.601 as
    every WebRTC codec here; BGR (h, w, 3) uint8 as OpenCV wants it. Width and height are even, which 4:2:0
    needs; `from_bgr` cuts an odd last row or column. Arrays handed out are shared, and so read-only.
    """

    __slots__ = ("_av", "_bgr", "_i420", "height", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width = width  # px
        self.height = height  # px
        self._av: av.VideoFrame | None = None
        self._i420: Pixels | None = None
        self._bgr: Pixels | None = None

    @classmethod
    def from_av(cls, frame: av.VideoFrame) -> Picture:
        if frame.format.name != "yuv420p" or frame.width % 2 or frame.height % 2:
            # swscale also maps full range (yuvj420p) to the limited range promised above
            frame = frame.reformat(width=frame.width & ~1, height=frame.height & ~1, format="yuv420p")
        picture = cls(frame.width, frame.height)
        picture._av = frame
        return picture

    @classmethod
    def from_i420(cls, planes: Pixels) -> Picture:
        picture = cls(planes.shape[1], planes.shape[0] * 2 // 3)
        picture._i420 = _read_only(planes)
        return picture

    @classmethod
    def from_bgr(cls, pixels: Pixels) -> Picture:
        height, width = pixels.shape[0] & ~1, pixels.shape[1] & ~1
        picture = cls(width, height)
        picture._bgr = _read_only(np.ascontiguousarray(pixels[:height, :width]))
        return picture

    @property
    def native(self) -> av.VideoFrame | None:
        """The `av.VideoFrame` if the picture is already in that form (an encoder then reads it in place)."""
        return self._av

    @property
    def i420(self) -> Pixels:
        """(h*3/2, w) uint8: Y, then U, then V at half size."""
        if self._i420 is None:
            if self._av is not None:
                self._i420 = np.asarray(self._av.to_ndarray(), np.uint8)
            else:
                assert self._bgr is not None
                self._i420 = np.asarray(cv2.cvtColor(self._bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)
            self._i420 = _read_only(self._i420)
        return self._i420

    @property
    def bgr(self) -> Pixels:
        """(h, w, 3) uint8."""
        if self._bgr is None:
            self._bgr = _read_only(np.asarray(cv2.cvtColor(self.i420, cv2.COLOR_YUV2BGR_I420), np.uint8))
        return self._bgr

    @property
    def av(self) -> av.VideoFrame:
        """yuv420p; pts is not set."""
        if self._av is None:
            self._av = av.VideoFrame.from_ndarray(self.i420, format="yuv420p")
        return self._av


def _read_only(pixels: Pixels) -> Pixels:
    """A view that can't be written into: a change would show in some forms of the picture and not in others."""
    view = pixels.view()
    view.flags.writeable = False
    return view


@dataclass(slots=True, kw_only=True)
class VideoFrame(_Timed):
    """A moment of a video track. Most stages read `frame.bgr` and answer `frame.with_bgr(pixels)`."""

    picture: Picture
    rotation: Literal[0, 90, 180, 270] = 0  # degrees clockwise the sender asks us to turn it

    kind: Literal["video"] = field(default="video", init=False)

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def bgr(self) -> Pixels:
        """(h, w, 3) uint8, shared: copy before drawing on it."""
        return self.picture.bgr

    def with_bgr(self, pixels: Pixels) -> VideoFrame:
        """This frame with another picture, (h, w, 3) uint8."""
        return self.replace(picture=Picture.from_bgr(pixels))

    def with_i420(self, planes: Pixels) -> VideoFrame:
        """This frame with another picture, (h*3/2, w) uint8."""
        return self.replace(picture=Picture.from_i420(planes))


@dataclass(slots=True, kw_only=True)
class TextFrame(_Timed):
    """Words: a transcript, a caption, something to say."""

    text: str
    final: bool = True  # False: may still be replaced by the next frame of this track

    kind: Literal["text"] = field(default="text", init=False)


Frame: TypeAlias = AudioFrame | VideoFrame | TextFrame
