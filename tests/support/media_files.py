"""Small media files of our own clip, to send through a server."""

from __future__ import annotations

from pathlib import Path

from aimass_stream import clips
from aimass_stream.client.files import FileReader, FileWriter
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame


def write_clip(path: Path, seconds: float = 2, width: int = 320, height: int = 240) -> Path:
    """Numbered pictures at 30 fps and a tone."""
    tone = clips.tone(seconds)
    with FileWriter(path, expect={"audio", "video"}) as writer:
        for number in range(round(seconds * 30)):
            writer.write(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                                    picture=Picture.from_bgr(clips.draw(number, width, height))))
            writer.write(AudioFrame(pts=number * 1600, time_base=AUDIO_TIME_BASE, track="audio-0",
                                    samples=tone[number * 1600 : number * 1600 + 1600]))
    return path


def numbers(path: Path) -> list[int | None]:
    """Which pictures a file shows."""
    return [clips.read_number(frame.bgr) for frame in FileReader(path).pictures()]
