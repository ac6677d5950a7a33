"""Video files that are read picture by picture and written again with their own sound and timing. Made to run in the
sandbox: what is in a file is hostile."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias, cast

import av
from av.audio.stream import AudioStream
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from ..errors import InvalidMedia, TooLarge
from ..frames import VIDEO_TIME_BASE, Picture

MOST_PIXELS = 4096 * 4096  # of a picture
LEAST = 16  # px of a side
BROKEN_PACKETS = 200  # in a row; then the rest is nothing either
EARLY = 1024  # packets of sound that may come before the first picture
SINGLE = "_pipe"  # what PyAV's names for formats of single pictures end in
COPIED = frozenset({"aac", "mp3"})  # sound that goes into an MP4 file as it is
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)  # Hz
HD = 720  # lines from which on colours that don't say so are those of BT.709, as players have it
SPACES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
          7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}  # by AVColorSpace
BT601 = 6  # smpte170m, of AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
CUT = 1.0  # s that may be missing at the end
X264 = {"preset": "veryfast", "crf": "18"}

Turn: TypeAlias = Literal[0, 90, 180, 270]
Sound: TypeAlias = "av.Packet[AudioStream]"


class Window(io.RawIOBase):
    """An open file that is read at a place of its own: others that have it open are not disturbed."""

    def __init__(self, number: int) -> None:
        self.number, self.at, self.size = number, 0, os.fstat(number).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self.number, self.size - self.at if size < 0 else size, self.at)
        self.at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def tell(self) -> int:
        return self.at


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of the file, limited range BT.601 as all pictures here; `turn` is what it lacks to be upright."""

    picture: Picture
    turn: Turn  # degrees clockwise
    seconds: float  # since the file's begin


@dataclass(slots=True)
class Footage:
    """Opens the file of that number, and closes what it opened. Raises `InvalidMedia` or `TooLarge`."""

    number: int
    side: int  # px of the longer side; larger pictures are shrunk
    broken: int = 0  # packets that could not be read
    cut_off: bool = False
    container: Any = field(init=False)
    video: Any = field(init=False)
    audio: Any = field(init=False)  # or None

    def __post_init__(self) -> None:
        try:
            # the file may name others (playlists do): nothing but what was uploaded is read
            self.container = av.open(Window(self.number), "r", options={"protocol_whitelist": "none"},
                                     metadata_errors="replace")
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise InvalidMedia(f"is no video file that can be read ({_reason(error)})") from None
        try:
            self._choose()
        except BaseException:
            self.container.close()
            raise

    def _choose(self) -> None:
        films = [stream for stream in self.container.streams.video
                 if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None]
        if not films:
            raise InvalidMedia("has no moving pictures")
        if self.container.format.name.endswith(SINGLE):
            raise InvalidMedia("is a single picture, not a video")
        self.video = films[0]
        width, height = self.video.codec_context.width, self.video.codec_context.height
        if width * height > MOST_PIXELS:
            raise TooLarge(f"has pictures of {width}x{height} px; {MOST_PIXELS:,} are the most, as in 4096x4096")
        self.video.codec_context.thread_count = 1
        sounds = [stream for stream in self.container.streams.audio if stream.codec_context is not None]
        self.audio = sounds[0] if sounds else None

    def __enter__(self) -> Footage:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def seconds(self) -> float | None:
        """What the header says; it may lie."""
        return None if self.container.duration is None else self.container.duration / av.time_base

    @property
    def start(self) -> Fraction:
        return Fraction(self.container.start_time or 0, av.time_base)

    def read(self) -> Iterator[Shot | Sound]:
        """Pictures, and between them the packets of the sound. What is broken is left out."""
        streams, broken = [self.video, *([self.audio] if self.audio is not None else [])], 0
        packets, last = self.container.demux(streams), -1.0
        while broken < BROKEN_PACKETS:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.FFmpegError:
                self.cut_off = True
                break
            if self.audio is not None and packet.stream_index == self.audio.index:
                yield packet
                continue
            try:
                shots = [self._shot(frame) for frame in packet.decode() if frame.pts is not None]
                broken = 0
            except (av.FFmpegError, ValueError):
                broken, self.broken = broken + 1, self.broken + 1
                continue
            for shot in shots:
                if shot.seconds > last:  # broken files count wrong
                    last = shot.seconds
                    yield shot
        self.cut_off |= broken >= BROKEN_PACKETS or (self.seconds or 0.0) > last + CUT + 0.05 * (self.seconds or 0.0)

    def _shot(self, frame: av.VideoFrame) -> Shot:
        width, height = frame.width, frame.height
        if width * height > MOST_PIXELS or min(width, height) < LEAST:
            raise ValueError(f"{width}x{height} px")
        scale = min(1.0, self.side / max(width, height))
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        space = SPACES.get(frame.colorspace, Colorspace.ITU709 if height >= HD else Colorspace.ITU601)
        converted = frame.reformat(
            width=max(LEAST, int(width * scale) & ~1), height=max(LEAST, int(height * scale) & ~1), format="yuv420p",
            src_colorspace=space, dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG, dst_color_range=ColorRange.MPEG,
            interpolation=EXACT)
        turn = -round(frame.rotation / 90) % 4 * 90  # it is told counter-clockwise
        return Shot(Picture.from_av(converted), cast(Turn, turn), float(frame.time) - float(self.start))


class Film:
    """An MP4 file: H264 and the footage's own sound, copied where MP4 players know it, else as AAC."""

    def __init__(self, number: int, footage: Footage) -> None:
        self._file = os.fdopen(os.dup(number), "wb")
        self._container = av.open(self._file, "w", format="mp4")
        self._footage = footage
        self._video: Any = None
        self._audio: Any = None
        self._early: list[Sound] = []  # of the sound: every stream has to be known before anything is written
        self._last = -1
        self.sound = "none"
        self.pictures = 0

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._finish()
        self._container.close()
        self._file.close()

    def show(self, picture: Picture, seconds: float) -> None:
        if self._video is None:
            self._begin(picture)
        frame = picture.av
        if (frame.width, frame.height) != (self._video.width, self._video.height):  # a stream whose size changes
            frame = frame.reformat(width=self._video.width, height=self._video.height)
        pts = round(seconds / VIDEO_TIME_BASE)
        if pts <= self._last:
            return
        self._last = pts
        frame.pts, frame.time_base, frame.pict_type = pts, VIDEO_TIME_BASE, PictureType.NONE
        self._container.mux(self._video.encode(frame))
        self.pictures += 1

    def hear(self, packet: Sound) -> None:
        if self._video is not None:
            self._sound(packet)
        elif len(self._early) < EARLY:
            self._early.append(packet)

    def _begin(self, picture: Picture) -> None:
        video = cast(Any, self._container.add_stream("libx264", rate=30, options=X264))
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        context = video.codec_context
        context.time_base, context.thread_count = VIDEO_TIME_BASE, 1
        context.color_range, context.colorspace = ColorRange.MPEG, BT601
        context.color_primaries = context.color_trc = BT601
        self._video = video
        sound = self._footage.audio
        if sound is not None:
            self.sound = "copied" if sound.codec_context.name in COPIED else "encoded"
            self._audio = (self._container.add_stream_from_template(sound) if self.sound == "copied"
                           else self._encoder(sound.codec_context))
        for packet in self._early:
            self._sound(packet)
        self._early.clear()

    def _encoder(self, heard: Any) -> Any:
        rate = next((rate for rate in AAC_RATES if rate <= heard.rate), AAC_RATES[-1])
        encoder: Any = self._container.add_stream("aac", rate=rate)
        encoder.codec_context.layout = "mono" if heard.layout.nb_channels == 1 else "stereo"
        encoder.codec_context.bit_rate = 160_000
        return encoder

    def _sound(self, packet: Sound) -> None:
        start = self._footage.start
        try:
            if self.sound == "encoded":
                for frame in packet.decode():
                    if frame.pts is not None and frame.time_base is not None:
                        frame.pts -= round(start / frame.time_base)
                        self._container.mux(self._audio.encode(frame))
            elif packet.dts is not None and packet.pts is not None and packet.time_base is not None:
                shift = round(start / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._audio
                self._container.mux(packet)
        except (av.FFmpegError, ValueError):
            self._footage.broken += 1

    def _finish(self) -> None:
        if self._video is None:
            raise InvalidMedia("has no picture that can be decoded")
        self._container.mux(self._video.encode(None))
        if self.sound == "encoded":
            self._container.mux(self._audio.encode(None))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]
