"""H264 through PyAV's x264: ultrafast, no lag, one thread, a bit rate that changes while it runs.

x264 follows a new bit rate at once when its VBV limits move with it. FFmpeg passes all three on with every
picture, but PyAV lets only `bit_rate` be set: the other two are set by name through libavutil on the same
AVCodecContext, whose address is the first field of PyAV's object after its method table. `_address` believes
it only if what lies there says that it is an AVCodecContext; otherwise the encoder is opened anew, with a key
frame, on steps of x1.5 and at most every 2 s.

On two cores of an AMD EPYC a 640x480 picture at 1 Mbit/s takes 0.9 to 1.3 ms; the settings of aiortc 1.16 take
6 to 10 ms and keep 2.7 dB more.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_char_p, c_int, c_int64, c_void_p
from fractions import Fraction

import av
from av.video.frame import PictureType

from ..errors import InvalidMedia, Unavailable
from ..frames import VIDEO_TIME_BASE, VideoFrame
from . import bundled
from .base import EncodedVideo, exclusive, video_pts
from .ladder import Ladder

BUFFER = Fraction(6, 10)  # s of bit rate in the VBV buffer
POINTER_OFFSET = 24  # bytes: reference count, type, Cython's method table
LEVELS = ((396, "30"), (1620, "31"), (3600, "32"), (8192, "42"), (36864, "52"))  # macroblocks at 60/s or less


@functools.cache
def _libraries() -> tuple[ctypes.CDLL, int]:
    """libavutil, and the address of the class every AVCodecContext starts with."""
    util, codec = bundled.load("avutil"), bundled.load("avcodec")
    util.av_opt_set_int.argtypes = [c_void_p, c_char_p, c_int64, c_int]
    util.av_opt_set_int.restype = c_int
    codec.avcodec_get_class.restype = c_void_p
    return util, codec.avcodec_get_class()


def _address(codec: av.VideoCodecContext) -> int | None:
    """Where the codec's AVCodecContext lies, None when PyAV keeps it elsewhere than expected."""
    try:
        _, expected = _libraries()
    except (Unavailable, AttributeError):
        return None
    if type(codec).__basicsize__ < POINTER_OFFSET + 8 or ctypes.sizeof(c_void_p) != 8:
        return None
    pointer = c_void_p.from_address(id(codec) + POINTER_OFFSET).value
    if not pointer or pointer % 8 or not 1 << 16 <= pointer < 1 << 47:
        return None
    return pointer if c_void_p.from_address(pointer).value == expected else None


@functools.cache
def check() -> str:
    """"" when a running encoder's bit rate can be changed, else why not."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    if _address(codec) is None:
        return f"PyAV {av.__version__} keeps its AVCodecContext elsewhere: H264 changes its bit rate by key frames"
    return ""


class H264Encoder:
    """Constrained Baseline, which every browser decodes; access units in Annex B, SPS and PPS with each key frame."""

    def __init__(self, bitrate: int, *, preset: str = "ultrafast") -> None:
        self.bitrate = bitrate  # bit/s
        self._preset = preset
        self._codec: av.VideoCodecContext | None = None
        self._live = True  # the bit rate can change without a new encoder
        self._applied = 0  # bit/s
        self._ladder = Ladder()
        self._clock = 0
        self._last_pts: int | None = None

    def encode(self, frame: VideoFrame, keyframe: bool = False) -> EncodedVideo | None:
        picture = frame.picture
        pts = video_pts(frame)
        codec = self._prepare(picture.width, picture.height, pts)
        self._clock += 3000 if self._last_pts is None else min(max(pts - self._last_pts, 1), 90_000)
        self._last_pts = pts
        source = picture.av
        try:
            with exclusive(source):
                source.pts, source.time_base = self._clock, VIDEO_TIME_BASE
                source.pict_type = PictureType.I if keyframe else PictureType.NONE
                packets = codec.encode(source)
        except av.FFmpegError as error:
            self.close()
            raise InvalidMedia(f"x264: {error}", reason="encode") from error
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedVideo(data, any(packet.is_keyframe for packet in packets), pts) if data else None

    def _prepare(self, width: int, height: int, pts: int) -> av.VideoCodecContext:
        codec = self._codec
        if codec is not None and (codec.width, codec.height) == (width, height):
            if self.bitrate == self._applied:
                return codec
            if self._live:
                self._follow(codec)
                return codec
            if not self._ladder.step(self._applied, self.bitrate, pts):
                return codec
        self._codec = self._open(width, height)
        return self._codec

    def _follow(self, codec: av.VideoCodecContext) -> None:
        address = _address(codec)
        assert address is not None
        util, _ = _libraries()
        codec.bit_rate = self._applied = self.bitrate
        util.av_opt_set_int(address, b"maxrate", self.bitrate, 0)
        util.av_opt_set_int(address, b"bufsize", round(self.bitrate * BUFFER), 0)

    def _open(self, width: int, height: int) -> av.VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._applied = self.bitrate
        codec.time_base, codec.framerate = VIDEO_TIME_BASE, Fraction(30)
        codec.thread_count = 1
        codec.gop_size = 1 << 20  # key frames on request only
        codec.profile = "Baseline"
        blocks = -(-width // 16) * -(-height // 16)
        level = next((level for most, level in LEVELS if blocks <= most), "52")
        codec.options = {"preset": self._preset, "tune": "zerolatency", "level": level, "forced-idr": "1",
                         "maxrate": str(self.bitrate), "bufsize": str(round(self.bitrate * BUFFER))}
        codec.open()
        self._live = _address(codec) is not None
        self._clock, self._last_pts = 0, None
        return codec

    def close(self) -> None:
        self._codec = None
