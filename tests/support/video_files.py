"""Video files as cameras and phones write them, of our own drawn clip."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from aimass_stream import clips
from aimass_stream.frames import AUDIO_RATE, Pixels

MS = Fraction(1, 1000)


def write_video(path: Path, times: Sequence[int], *, size: tuple[int, int] = (160, 120), codec: str = "libx264",
                pictures: Sequence[Pixels] | None = None, full: bool = False, space: str = "ITU601", turned: int = 0,
                sound: str = "", **options: Any) -> Path:
    """Pictures at these `times`, ms. `full` range, colours of a `space`, `turned` as a phone's note, a tone as `sound`
    ("aac", "libopus"); BGR `pictures` instead of drawn ones."""
    with av.open(str(path), "w", **options) as file:
        video: Any = file.add_stream(codec, rate=30, options={"crf": "4"} if codec == "libx264" else {"b": "4M"})
        video.width, video.height = size
        video.pix_fmt = "yuvj420p" if full else "yuv420p"
        video.codec_context.time_base = MS
        video.codec_context.colorspace = {"ITU601": 6, "ITU709": 1}[space]
        video.codec_context.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        heard: Any = file.add_stream(sound, rate=AUDIO_RATE) if sound else None
        for number, at in enumerate(times):
            picture = clips.draw(number, *size) if pictures is None else pictures[number % len(pictures)]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "bgr24").reformat(
                format="yuvj420p" if full else "yuv420p", dst_colorspace=Colorspace[space],
                src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG)
            frame.pts, frame.time_base = at, MS
            file.mux(video.encode(frame))
        if heard is not None:
            tone = clips.tone(times[-1] / 1000).T
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone), "s16", "mono")
            samples.sample_rate, samples.pts, samples.time_base = AUDIO_RATE, 0, Fraction(1, AUDIO_RATE)
            file.mux(heard.encode(samples))
            file.mux(heard.encode(None))
        file.mux(video.encode(None))
    if turned:
        _turn(path, turned)
    return path


def _turn(path: Path, degrees: int) -> None:
    """Writes the rotation into an MP4 file's track header (ISO/IEC 14496-12, section 8.3.2): 16.16 and 2.30."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    matrix = [cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0
    data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(data)


def shown(path: Path) -> list[tuple[float, Pixels]]:
    """Every picture's time, s, and pixels as a player shows them, (h, w, 3) uint8 BGR."""
    found = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
            space = Colorspace.ITU709 if frame.colorspace == 1 else Colorspace.ITU601
            plain = frame.reformat(format="bgr24", src_colorspace=space, dst_color_range=ColorRange.JPEG,
                                   src_color_range=ColorRange.JPEG if full else ColorRange.MPEG)
            found.append((float(frame.time), np.asarray(plain.to_ndarray(), np.uint8)))
    return found
