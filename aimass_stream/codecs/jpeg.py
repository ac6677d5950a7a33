"""Single pictures as JPEG files (ITU-T T.81), with a quality that follows a bit rate."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import InvalidMedia
from ..frames import VIDEO_TIME_BASE, Picture, VideoFrame
from .base import EncodedVideo
from .headers import Limits

QUALITY, WORST, BEST = 80, 20, 90  # of 100
NOT_SIZES = {0xC4, 0xC8, 0xCC}  # markers among C0 to CF that are tables and not a start of frame
PICTURE_TIME = VIDEO_TIME_BASE.denominator // 30  # ticks between two pictures, until they tell


def jpeg_header(data: bytes) -> tuple[int, int]:
    """Width and height from the start-of-frame marker (T.81 B.2.2). Raises `InvalidMedia`."""
    if not data:
        raise InvalidMedia("an empty JPEG", reason="empty")
    if data[:3] != b"\xff\xd8\xff":
        raise InvalidMedia("not a JPEG", reason="garbage")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in NOT_SIZES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        if marker == 0xD9 or marker == 0xDA:
            break
        at += 2 if marker == 0x01 or 0xD0 <= marker <= 0xD7 else 2 + int.from_bytes(data[at + 2 : at + 4])
    raise InvalidMedia("a JPEG that does not say its size", reason="garbage")


class JpegDecoder:
    """Sizes over `limits` are refused before any memory is taken for them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def decode(self, data: bytes, pts: int = 0) -> list[Picture]:
        self._limits.check(*jpeg_header(data))
        # a turned camera says so in EXIF; here rotation travels beside the picture, so pixels stay as they lie
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            raise InvalidMedia(f"JPEG: {error.err}", reason="garbage") from error
        if pixels is None:
            raise InvalidMedia("a JPEG that can't be decoded", reason="garbage")
        return [Picture.from_bgr(np.asarray(pixels, np.uint8))]

    def close(self) -> None:
        """Nothing is held between pictures."""


class JpegEncoder:
    """Every picture is a key frame; `bitrate` (bit/s) is held by quality, between bounds."""

    def __init__(self, bitrate: int, *, quality: int = QUALITY) -> None:
        self.bitrate = bitrate
        self.quality = quality
        self._last_pts: int | None = None
        self._between = float(PICTURE_TIME)  # ticks, smoothed

    def encode(self, frame: VideoFrame, keyframe: bool = False) -> EncodedVideo | None:
        pts = round(frame.pts * frame.time_base / VIDEO_TIME_BASE)
        ok, data = cv2.imencode(".jpg", frame.bgr, (cv2.IMWRITE_JPEG_QUALITY, self.quality))
        if not ok:
            raise InvalidMedia(f"a picture of {frame.width}x{frame.height} can't be a JPEG", reason="picture_size")
        self._adapt(len(data), pts)
        return EncodedVideo(data.tobytes(), True, pts)

    def _adapt(self, size: int, pts: int) -> None:
        if self._last_pts is not None and 0 < pts - self._last_pts < VIDEO_TIME_BASE.denominator:
            self._between += 0.1 * (pts - self._last_pts - self._between)
        self._last_pts = pts
        budget = self.bitrate / 8 * self._between / VIDEO_TIME_BASE.denominator  # bytes a picture
        if size > budget:
            self.quality = max(WORST, self.quality - (8 if size > 1.5 * budget else 2))
        elif size < 0.85 * budget:
            self.quality = min(BEST, self.quality + 1)

    def close(self) -> None:
        """Nothing is held between pictures."""
