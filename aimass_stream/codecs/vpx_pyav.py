"""VP8 through PyAV, for a libvpx that `vpx.check` does not recognise: a new bit rate costs a key frame."""

from __future__ import annotations

import av
from av.video.frame import PictureType

from ..errors import InvalidMedia
from ..frames import VIDEO_TIME_BASE, VideoFrame
from .base import EncodedVideo, exclusive, video_pts
from .headers import vp8_header
from .ladder import Ladder


class PyavVp8Encoder:
    """As `vpx.Vp8Encoder`, but the bit rate moves in steps of x1.5 and at most every 2 s."""

    def __init__(self, bitrate: int, *, speed: int = -8) -> None:
        self.bitrate = bitrate  # bit/s
        self._speed = speed
        self._codec: av.VideoCodecContext | None = None
        self._applied = 0  # bit/s
        self._ladder = Ladder()
        self._clock = 0
        self._last_pts: int | None = None

    def encode(self, frame: VideoFrame, keyframe: bool = False) -> EncodedVideo | None:
        picture = frame.picture
        pts = video_pts(frame)
        codec = self._codec
        if codec is None or (codec.width, codec.height) != (picture.width, picture.height) or (
                self.bitrate != self._applied and self._ladder.step(self._applied, self.bitrate, pts)):
            codec = self._codec = self._open(picture.width, picture.height)
        self._clock += 3000 if self._last_pts is None else min(max(pts - self._last_pts, 1), 90_000)
        self._last_pts = pts
        source = picture.av
        try:
            with exclusive(source):
                source.pts, source.time_base = self._clock, VIDEO_TIME_BASE
                source.pict_type = PictureType.I if keyframe else PictureType.NONE
                data = b"".join(bytes(packet) for packet in codec.encode(source))
        except av.FFmpegError as error:
            self.close()
            raise InvalidMedia(f"libvpx: {error}", reason="encode") from error
        return EncodedVideo(data, vp8_header(data) is not None, pts) if data else None

    def _open(self, width: int, height: int) -> av.VideoCodecContext:
        codec = av.CodecContext.create("libvpx", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._applied = self.bitrate
        codec.time_base = VIDEO_TIME_BASE
        codec.gop_size, codec.qmin, codec.qmax, codec.thread_count = 1 << 20, 2, 56, 1
        rate = str(self.bitrate)
        codec.options = {"minrate": rate, "maxrate": rate, "bufsize": str(self.bitrate * 6 // 10),
                         "cpu-used": str(self._speed), "deadline": "realtime", "lag-in-frames": "0",
                         "undershoot-pct": "100", "overshoot-pct": "15", "static-thresh": "1"}
        self._clock, self._last_pts = 0, None
        return codec

    def close(self) -> None:
        self._codec = None
