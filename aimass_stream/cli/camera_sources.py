"""What `aimass camera` reads: a camera, the screen or a drawn pattern, as `FileReader` gives files. It all blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from .. import clips
from ..client.files import FileReader
from ..errors import InvalidInput, Unavailable
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, Pixels, VideoFrame

PIECE = AUDIO_RATE // 50  # samples, 20 ms
TONE = 0.1  # s of a beep, once a second


class Live:
    """The frames of something that goes on; their pts is when they came, from the first one wanted."""

    audio = False
    video = True

    def __init__(self, path: str, width: int, height: int, fps: float, seconds: float | None) -> None:
        self.path, self.duration = path, seconds
        self.width, self.height, self.fps = width, height, fps

    def pictures(self) -> Iterator[VideoFrame]:
        """Raises `Unavailable` when it ends by itself."""
        begun, last = time.monotonic(), -1
        for pixels in self._shots():
            at = time.monotonic() - begun
            if self.duration is not None and at >= self.duration:
                return
            last = max(last + 1, round(at / VIDEO_TIME_BASE))
            yield VideoFrame(pts=last, time_base=VIDEO_TIME_BASE, track="video-0", picture=Picture.from_bgr(pixels))

    def sound(self) -> Iterator[AudioFrame]:
        return iter(())

    def _shots(self) -> Iterator[Pixels]:
        """(h, w, 3) uint8 BGR, each when it is there."""
        raise NotImplementedError


class Pattern(Live):
    """The drawn scene with its numbers, and a beep a second."""

    audio = True

    def pictures(self) -> Iterator[VideoFrame]:
        number = 0
        while self.duration is None or number < self.duration * self.fps:
            yield VideoFrame(pts=round(number / self.fps / VIDEO_TIME_BASE), time_base=VIDEO_TIME_BASE, track="video-0",
                             picture=Picture.from_bgr(clips.draw(number, self.width, self.height, self.fps)))
            number += 1

    def sound(self) -> Iterator[AudioFrame]:
        second = np.zeros((AUDIO_RATE, 1), np.int16)
        beep = clips.tone(TONE, level=-20)
        second[: len(beep)] = beep
        number = 0
        while self.duration is None or number * PIECE < self.duration * AUDIO_RATE:
            start = number * PIECE % AUDIO_RATE
            yield AudioFrame(pts=number * PIECE, time_base=AUDIO_TIME_BASE, track="audio-0",
                             samples=second[start : start + PIECE])
            number += 1


class Camera(Live):
    """A V4L2 device, as /dev/video0."""

    def _shots(self) -> Iterator[Pixels]:
        device = cv2.VideoCapture(self.path, cv2.CAP_V4L2)
        try:
            if not device.isOpened():
                raise Unavailable(f"{self.path} can't be opened as a camera: is it in use, or not yours to read "
                                  "(group video)?")
            for name, value in ((cv2.CAP_PROP_FRAME_WIDTH, self.width), (cv2.CAP_PROP_FRAME_HEIGHT, self.height),
                                (cv2.CAP_PROP_FPS, self.fps), (cv2.CAP_PROP_BUFFERSIZE, 1)):
                device.set(name, value)
            while True:
                there, pixels = device.read()
                if not there:
                    raise Unavailable(f"{self.path} gives no pictures any more")
                yield np.asarray(pixels, np.uint8)
        finally:
            device.release()


class Screen(Live):
    """An X11 display, by ffmpeg's x11grab, made to fit."""

    def _shots(self) -> Iterator[Pixels]:
        display = os.environ.get("DISPLAY")
        if not display:
            raise Unavailable("there is no X11 display (DISPLAY is not set); screens of Wayland can't be read here")
        try:
            container: Any = av.open(display, format="x11grab", options={"framerate": str(round(self.fps))})
        except (av.FFmpegError, OSError) as error:
            raise Unavailable(f"the display {display} can't be read: {error.strerror or error}") from error
        with container:
            for frame in container.decode(video=0):
                scale = min(1.0, self.width / frame.width, self.height / frame.height)
                size = {"width": max(2, int(frame.width * scale) & ~1),
                        "height": max(2, int(frame.height * scale) & ~1)}
                yield frame.reformat(**size, format="bgr24").to_ndarray()


def opened(source: str, *, width: int, height: int, fps: float, seconds: float | None) -> FileReader | Live:
    """`test`, `screen`, a device or a file. Raises `InvalidInput` or `InvalidMedia`."""
    if source == "test":
        return Pattern("the test pattern", width, height, fps, seconds)
    if source == "screen":
        return Screen("the screen", width, height, fps, seconds)
    path = Path(source)
    if path.is_char_device():
        return Camera(source, width, height, fps, seconds)
    if not path.exists():
        there = ", ".join(sorted(str(each) for each in Path("/dev").glob("video*"))) or "no /dev/video* at all"
        raise InvalidInput(f"there is no {source}; say test, screen, a file or a camera (here: {there})", field="from")
    return FileReader(path, max_width=width, max_height=height)
