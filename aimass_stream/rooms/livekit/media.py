"""LiveKit's frames and ours."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from livekit import rtc

from ...codecs.pcm import to_bytes
from ...frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, Pixels, VideoFrame

SLACK = 0.5  # s that sound may come late in one piece before something is taken to be missing
LONGEST_GAP = 2.0  # s of missing sound that are told to the pipeline; further on it is a new timeline

I420 = rtc.VideoBufferType.I420
Turn: TypeAlias = Literal[0, 90, 180, 270]
TURNS: dict[Any, Turn] = {
    rtc.VideoRotation.VIDEO_ROTATION_0: 0, rtc.VideoRotation.VIDEO_ROTATION_90: 90,
    rtc.VideoRotation.VIDEO_ROTATION_180: 180, rtc.VideoRotation.VIDEO_ROTATION_270: 270}


class SoundClock:
    """Sound of one track on our clock: by its samples while it comes steadily, anew after a pause."""

    def __init__(self, track: str, begin: float) -> None:
        self._track = track
        self._begin = begin  # s: when pts is 0
        self._next: int | None = None

    def frame(self, sound: rtc.AudioFrame, arrived: float) -> AudioFrame:
        """`arrived`: when it was complete."""
        samples = np.frombuffer(sound.data, np.int16).reshape(-1, sound.num_channels)
        due = max(0, round((arrived - self._begin) * AUDIO_RATE) - len(samples))
        pts, gap = (due, 0) if self._next is None else (self._next, 0)
        if due - pts > SLACK * AUDIO_RATE:
            gap = due - pts if due - pts <= LONGEST_GAP * AUDIO_RATE else 0
            pts = due
        self._next = pts + len(samples)
        return AudioFrame(pts=pts, time_base=AUDIO_TIME_BASE, track=self._track, arrived=arrived, samples=samples,
                          rate=sound.sample_rate, gap=gap)


def video_frame(event: rtc.VideoFrameEvent, track: str, begin: float, arrived: float) -> VideoFrame | None:
    """I420 of any size; None for a picture of no even size at all. `begin`: when pts is 0."""
    frame = event.frame
    if frame.width < 2 or frame.height < 2:
        return None
    turn: Turn = TURNS[event.rotation]
    ticks = round((arrived - begin) / VIDEO_TIME_BASE)
    return VideoFrame(pts=ticks, time_base=VIDEO_TIME_BASE, track=track, arrived=arrived,
                      picture=Picture.from_i420(_planes(frame)), rotation=turn)


def _planes(frame: rtc.VideoFrame) -> Pixels:
    """(h*3/2, w) uint8; of an odd size the last row or column is cut."""
    data = np.frombuffer(frame.data, np.uint8)
    width, height = frame.width, frame.height
    even_w, even_h = width & ~1, height & ~1
    if (even_w, even_h) == (width, height):
        return data.reshape(height * 3 // 2, width)
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    luma, chroma = data[:width * height].reshape(height, width), data[width * height:].reshape(2, half_h, half_w)
    parts = luma[:even_h, :even_w].ravel(), chroma[:, :even_h // 2, :even_w // 2].ravel()
    return np.concatenate(parts).reshape(even_h * 3 // 2, even_w)


def to_livekit(frame: VideoFrame) -> rtc.VideoFrame:
    """Converts the picture where it is in another form: some milliseconds, for a thread."""
    return rtc.VideoFrame(frame.width, frame.height, I420, frame.picture.i420.tobytes())


def sound_to_livekit(frame: AudioFrame) -> rtc.AudioFrame:
    return rtc.AudioFrame(to_bytes(frame.samples), frame.rate, frame.samples.shape[1], len(frame.samples))
