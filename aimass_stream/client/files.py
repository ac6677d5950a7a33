"""Media files as frames, and frames as media files. Everything here blocks: run it in a thread."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np

from ..codecs import pcm
from ..errors import InvalidInput, InvalidMedia
from ..frames import (
    AUDIO_RATE,
    VIDEO_TIME_BASE,
    AudioFrame,
    Picture,
    VideoFrame,
)

PIECE = 0.02  # s of sound in one frame
VP8: dict[str, str] = {"deadline": "realtime", "cpu-used": "4", "b": "2500k"}
CONTAINERS: dict[str, tuple[tuple[str, dict[str, str]] | None, str]] = {  # suffix -> video codec, audio codec
    ".mp4": (("libx264", {"preset": "veryfast", "crf": "20"}), "aac"),
    ".mov": (("libx264", {"preset": "veryfast", "crf": "20"}), "aac"),
    ".mkv": (("libx264", {"preset": "veryfast", "crf": "20"}), "libopus"),
    ".webm": (("libvpx", VP8), "libopus"),
    ".ogg": (None, "libopus"),
    ".wav": (None, "pcm_s16le"),
}
LONGEST_SILENCE = 10.0  # s of missing sound that are filled


class FileReader:
    """The first picture and sound track of any file PyAV reads. pts start at 0, the same moment for both."""

    def __init__(self, path: str | Path, *, max_width: int = 1920, max_height: int = 1920) -> None:
        self.path = str(path)
        self._max = (max_width, max_height)
        with self._open() as container:
            self.video = bool(container.streams.video)
            self.audio = bool(container.streams.audio)
            self.duration = None if container.duration is None else container.duration / av.time_base  # s
            self._start = (container.start_time or 0) / av.time_base
        if not self.video and not self.audio:
            raise InvalidMedia(f"{path} has neither pictures nor sound")

    def _open(self) -> Any:
        try:
            return av.open(self.path)
        except (av.FFmpegError, OSError) as error:
            raise InvalidMedia(f"{self.path} can't be read: {error.strerror or error}") from error

    def pictures(self) -> Iterator[VideoFrame]:
        """Upright, and no larger than the server takes. What is damaged is left out."""
        last = -1
        for frame in self._decode("video"):
            pts = round((frame.time - self._start) / VIDEO_TIME_BASE)
            if pts > last:
                last = pts
                yield VideoFrame(pts=pts, time_base=VIDEO_TIME_BASE, track="video-0", picture=self._picture(frame))

    def sound(self) -> Iterator[AudioFrame]:
        """20 ms a frame, one or two channels, at the file's own rate."""
        resampler, rate, next_pts = None, 0, 0
        for frame in itertools.chain(self._decode("audio"), [None]):
            if resampler is None:
                if frame is None:
                    return
                rate = frame.sample_rate
                layout = pcm.LAYOUTS[min(frame.layout.nb_channels, 2)]
                resampler = av.AudioResampler("s16", layout, rate, frame_size=round(rate * PIECE))
                next_pts = max(0, round((frame.time - self._start) * rate))
            if frame is not None:
                frame.pts = None  # damaged files count wrong: the samples themselves are the clock
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray().reshape(-1, piece.layout.nb_channels).astype(np.int16, copy=False)
                yield AudioFrame(pts=next_pts, time_base=Fraction(1, rate), track="audio-0", samples=samples, rate=rate)
                next_pts += len(samples)

    def _decode(self, kind: str) -> Iterator[Any]:
        with self._open() as container:
            stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except (StopIteration, av.FFmpegError):  # the end, or a container damaged beyond reading on
                    return
                with contextlib.suppress(av.FFmpegError):  # one damaged frame
                    yield from (frame for frame in packet.decode() if frame.pts is not None)

    def _picture(self, frame: av.VideoFrame) -> Picture:
        turns = round(frame.rotation / 90) % 4  # counter-clockwise, as a phone notes how it was held
        width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        scale = min(1.0, self._max[0] / width, self._max[1] / height)
        if scale < 1:
            frame = frame.reformat(width=max(2, int(frame.width * scale) & ~1),
                                   height=max(2, int(frame.height * scale) & ~1), format="yuv420p")
        picture = Picture.from_av(frame)
        return Picture.from_bgr(np.rot90(picture.bgr, turns)) if turns else picture


class FileWriter:
    """Writes frames as they come; the container follows from the name. Tracks start with their first frame.

    `expect` names the kinds that will come: nothing is written before each has shown up or `close` is called.
    """

    def __init__(self, path: str | Path, *, expect: set[str], fps: int = 30) -> None:
        suffix = Path(path).suffix.lower()
        if suffix not in CONTAINERS:
            raise InvalidInput(f"{path}: the name has to end in one of {', '.join(CONTAINERS)}", field="out")
        self._video_codec, self._audio_codec = CONTAINERS[suffix]
        if self._video_codec is None:
            expect = expect - {"video"}
            if not expect:
                raise InvalidInput(f"{suffix} holds no pictures, and there is no sound to write", field="out")
        self.path = Path(path)
        self.written = {"audio": 0, "video": 0}  # frames
        self._expect, self._fps = expect, fps
        if not self.path.parent.is_dir():
            raise InvalidInput(f"there is no folder {self.path.parent}", field="out")
        self._early: list[AudioFrame | VideoFrame] = []  # until all tracks have shown up; a second at most
        try:
            self._container = av.open(str(path), "w")
        except (av.FFmpegError, OSError) as error:
            raise InvalidInput(f"{path} can't be written: {error}", field="out") from error
        self._streams: dict[str, Any] = {}
        self._started = False
        self._converter: pcm.Converter | None = None
        self._sound_pts = 0  # samples written
        self._picture_pts = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, frame: AudioFrame | VideoFrame) -> None:
        if frame.kind not in self._expect:
            return
        if self._started:
            self._write(frame)
            return
        self._early.append(frame)
        waited = frame.seconds - self._early[0].seconds
        if {early.kind for early in self._early} == self._expect or waited > 1 or len(self._early) > 200:
            self._start()

    def _start(self) -> None:
        """Every track has to be known before the first packet is written."""
        for frame in self._early:
            if frame.kind not in self._streams:
                self._streams[frame.kind] = self._add(frame)
        self._started = True
        for frame in self._early:
            self._write(frame)
        self._early.clear()

    def _add(self, frame: AudioFrame | VideoFrame) -> Any:
        if isinstance(frame, VideoFrame):
            assert self._video_codec is not None
            name, options = self._video_codec
            stream: Any = self._container.add_stream(name, rate=self._fps, options=options)
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            stream.codec_context.time_base = VIDEO_TIME_BASE
            return stream
        rate = AUDIO_RATE if self._audio_codec != "pcm_s16le" else frame.rate
        channels = min(frame.samples.shape[1], 2)
        self._converter = pcm.Converter(rate, channels)
        return self._container.add_stream(self._audio_codec, rate=rate, layout=pcm.LAYOUTS[channels])

    def _write(self, frame: AudioFrame | VideoFrame) -> None:
        stream = self._streams.get(frame.kind)
        if stream is None:
            return
        self.written[frame.kind] += 1
        if isinstance(frame, VideoFrame):
            self._write_picture(stream, frame)
        else:
            self._write_sound(stream, frame)

    def _write_picture(self, stream: Any, frame: VideoFrame) -> None:
        pts = round(frame.pts * frame.time_base / VIDEO_TIME_BASE)
        if pts <= self._picture_pts:
            return
        self._picture_pts = pts
        picture = frame.picture.av
        if (picture.width, picture.height) != (stream.width, stream.height):
            picture = picture.reformat(width=stream.width, height=stream.height)
        picture.pts, picture.time_base, picture.pict_type = pts, VIDEO_TIME_BASE, av.video.frame.PictureType.NONE
        self._container.mux(stream.encode(picture))

    def _write_sound(self, stream: Any, frame: AudioFrame) -> None:
        assert self._converter is not None
        converted = self._converter.convert(frame)
        if converted is None:
            return
        missing = converted.pts - self._sound_pts
        samples = converted.samples
        if converted.rate * PIECE / 2 < missing <= LONGEST_SILENCE * converted.rate:
            samples = np.concatenate((np.zeros((missing, samples.shape[1]), np.int16), samples))
        piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16",
                                           pcm.LAYOUTS[samples.shape[1]])
        piece.sample_rate, piece.pts, piece.time_base = converted.rate, self._sound_pts, Fraction(1, converted.rate)
        self._sound_pts += len(samples)
        self._container.mux(stream.encode(piece))

    def close(self) -> None:
        """Write what is still on its way through the encoders. The file can be played whenever this is called."""
        if not self._started:
            self._start()
        for stream in self._streams.values():
            self._container.mux(stream.encode(None))
        self._container.close()
