"""What `aimass camera` writes: a v4l2loopback device, Y4M or a FIFO of it, and sound that native programs can pick.

Everything here blocks: run it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import select
import struct
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..codecs import pcm
from ..errors import InvalidInput, Unavailable
from ..frames import AUDIO_RATE, AudioFrame, Picture, Pixels, VideoFrame, now
from .camera_pulse import VIRTUAL, pactl, sources

LOOPBACK = """apt install v4l2loopback-dkms
modprobe v4l2loopback exclusive_caps=1 card_label="AI Mass" video_nr=10"""
PULSE = "pulse"  # where sound goes, as it is said
UNQUOTED = re.compile(r"[\"'\\]")  # what ends a word for pactl
PATIENCE = 5.0  # s that the rest of a picture waits for a reader
PIPE = 1 << 20  # bytes: what a FIFO may hold without privileges
HELD = 0.2  # s at least that a picture is shown before it is shown again
SLACK = AUDIO_RATE // 25  # samples, 40 ms: less is not missing, but cut otherwise on its way
SOUND_PIPE = 1 << 14  # bytes, 170 ms: whoever begins to listen hears nothing older

# linux/videodev2.h, on 64 bits
VIDIOC_QUERYCAP = 0x80685600
VIDIOC_S_FMT = 0xC0D05605
CAPABILITY = struct.Struct("16s32s32sIII12x")  # driver, card, bus, version, capabilities of all, of this device
FORMAT = struct.Struct("I4xIIIIIIIIIIII152x")  # type; width to transfer function of struct v4l2_pix_format
TYPE_OUTPUT = 2  # V4L2_BUF_TYPE_VIDEO_OUTPUT
CAP_OUTPUT = 0x2  # V4L2_CAP_VIDEO_OUTPUT
FIELD_NONE = 1
COLORSPACE_BT601 = 1  # V4L2_COLORSPACE_SMPTE170M
YU12 = int.from_bytes(b"YU12", "little")  # I420, as our pictures are


class Pictures(Protocol):
    dropped: int
    live: bool  # whether somebody looks meanwhile, and not afterwards

    def write(self, planes: Pixels) -> None:
        """One picture, (h*3/2, w) uint8, I420, always of the same size."""
    def close(self) -> None: ...


class Loopback:
    """A v4l2loopback device: another program sees a camera. Raises `Unavailable`, saying what is missing."""

    dropped = 0  # what is not taken in time is the module's to replace
    live = True

    def __init__(self, path: str, width: int, height: int) -> None:
        try:
            self._device = os.open(path, os.O_RDWR)
        except OSError as error:
            raise Unavailable(f"{path} can't be opened: {error.strerror}. A virtual camera is made, as root, by\n"
                              f"{LOOPBACK}") from None
        try:
            capabilities = bytearray(CAPABILITY.size)
            fcntl.ioctl(self._device, VIDIOC_QUERYCAP, capabilities)
            driver, _, _, _, can, here = CAPABILITY.unpack(capabilities)
            if not (here or can) & CAP_OUTPUT:
                name = driver.rstrip(bytes(1)).decode(errors="replace")
                raise Unavailable(f"{path} is a camera ({name}) and takes no pictures. A virtual one is made, as root, "
                                  f"by\n{LOOPBACK}")
            fcntl.ioctl(self._device, VIDIOC_S_FMT, bytearray(wanted(width, height)))
        except BaseException as error:
            os.close(self._device)
            if isinstance(error, OSError):
                raise Unavailable(f"{path} does not take pictures of {width}x{height}: {error.strerror}") from None
            raise

    def write(self, planes: Pixels) -> None:
        os.write(self._device, planes.tobytes())

    def close(self) -> None:
        os.close(self._device)


def wanted(width: int, height: int) -> bytes:
    """A struct v4l2_format for I420 of that size, limited range BT.601."""
    return FORMAT.pack(TYPE_OUTPUT, width, height, YU12, FIELD_NONE, width, width * height * 3 // 2, COLORSPACE_BT601,
                       0, 0, 0, 0, 0)


class Y4m:
    """A file or FIFO that mpv, ffplay and Chromium's fake camera read.

    While a FIFO has no reader or is full, pictures are left out and counted; each reader that comes begins with the
    header. Raises `Unavailable` when one stops within a picture.
    """

    def __init__(self, path: str, width: int, height: int, fps: float) -> None:
        rate = Fraction(fps).limit_denominator(1001)
        self._path = path
        self._header = (f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 "
                        "C420mpeg2\n").encode()
        self.dropped = 0
        self.live = _live(path, "to")
        self._file = self._open() if self.live else None

    def _open(self) -> int | None:
        """None while a FIFO has no reader."""
        with _refused(self._path, "to"):
            try:
                file = _writable(self._path, os.O_WRONLY, PIPE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return None
                raise
        os.write(file, self._header)
        return file

    def write(self, planes: Pixels) -> None:
        if self._file is None:
            self._file = self._open()
        if self._file is None:
            self.dropped += 1
            return
        try:
            self._write(self._file, memoryview(b"FRAME\n" + planes.tobytes()))
        except BlockingIOError:
            self.dropped += 1
        except BrokenPipeError:
            self.dropped += 1
            self.close()
        except OSError as error:
            raise _full(self._path, error) from None

    def _write(self, file: int, rest: memoryview) -> None:
        rest = rest[os.write(file, rest) :]
        while rest:
            if not select.select([], [file], [], PATIENCE)[1]:
                raise Unavailable(f"nobody reads {self._path} any more")
            rest = rest[os.write(file, rest) :]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


@contextlib.contextmanager
def _refused(path: str, field: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}", field=field) from None


def _live(path: str, field: str) -> bool:
    """Whether it is a FIFO or device; a file is as it was until something is written. Raises `InvalidInput`."""
    there = os.path.lexists(path)
    if there and not Path(path).is_file():
        return True
    with _refused(path, field):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        if not there:
            os.unlink(path)
    return False


def _full(path: str, error: OSError) -> Unavailable:
    return Unavailable(f"{path} can't be written any more: {error.strerror}")


def _writable(path: str, access: int, size: int) -> int:
    """A new file; or a FIFO, which need not have a reader yet if its `access` is O_RDWR. Raises `OSError`."""
    if not Path(path).is_fifo():
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pipe = os.open(path, access | os.O_NONBLOCK)
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
    return pipe


def fitted(picture: Picture, width: int, height: int) -> Pixels:
    """I420 of that size; what has another shape gets black beside it."""
    if (picture.width, picture.height) == (width, height):
        return picture.i420
    scale = min(width / picture.width, height / picture.height)
    inner = max(2, round(picture.width * scale)), max(2, round(picture.height * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture.bgr, inner, interpolation=cv2.INTER_AREA)
    return Picture.from_bgr(canvas).i420


class Sound:
    """16 bit, mono, 48 kHz into a file or FIFO. What nobody takes from a FIFO is dropped, and counted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.live = _live(path, "voice")
        self._file = self._open() if self.live else None
        self._converter = pcm.Converter(AUDIO_RATE, 1)
        self.dropped = 0

    def _open(self) -> int:
        with _refused(self._path, "voice"):
            return _writable(self._path, os.O_RDWR, SOUND_PIPE)

    def write(self, frame: AudioFrame) -> None:
        converted = self._converter.convert(frame)
        if converted is None:
            return
        if self._file is None:
            self._file = self._open()
        try:
            os.write(self._file, pcm.to_bytes(converted.samples))
        except BlockingIOError:
            self.dropped += 1
        except OSError as error:
            raise _full(self._path, error) from None

    def fill(self, samples: int) -> None:
        """Silence in a file, up to so many in all."""
        if self._file is None:
            self._file = self._open()
        missing = samples - os.fstat(self._file).st_size // 2
        if missing > SLACK:
            os.ftruncate(self._file, 2 * samples)
            os.lseek(self._file, 0, os.SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


class PulseSource(Sound):
    """A microphone in PulseAudio, or PipeWire by its pipewire-pulse. Raises `Unavailable`, saying what is missing."""

    def __init__(self, name: str, label: str) -> None:
        if name in sources():
            raise Unavailable(f"there is a microphone {name} already: another `aimass camera` fills it. If none runs "
                              "any more, take it away with\npactl unload-module module-pipe-source")
        self._folder = tempfile.TemporaryDirectory(prefix="aimass-camera-")
        fifo = str(Path(self._folder.name) / "sound")
        described = f"source_properties=\"device.description='{UNQUOTED.sub('', label)}'\""
        try:
            self._module = pactl("load-module", "module-pipe-source", f"source_name={name}", f"file={fifo}",
                                 "format=s16le", f"rate={AUDIO_RATE}", "channels=1", described)
        except Unavailable:
            self._folder.cleanup()
            raise
        super().__init__(fifo)

    def close(self) -> None:
        super().close()
        with contextlib.suppress(Unavailable):  # it went with its PulseAudio
            pactl("unload-module", self._module)
        self._folder.cleanup()


class CameraWriter:
    """Where frames go that came back: `Relay` writes to it as to a file.

    Files begin with what was sent first, and are as long as it took: in place of a picture that did not come there is
    the one before, in place of sound silence. Whoever looks at a device or FIFO sees the picture before for as long as
    none comes (`hold`).
    """

    def __init__(self, pictures: Pictures, sound: Sound | None, width: int, height: int, fps: float) -> None:
        self.written = {"audio": 0, "video": 0}  # frames that came back
        self._pictures, self._sound = pictures, sound
        self._width, self._height, self._fps = width, height, fps
        self._begun = now()
        self._last: Pixels | None = None
        self._shown = 0.0  # s, when that was written
        self._count = 0  # pictures that are in the file

    def write(self, frame: AudioFrame | VideoFrame) -> None:
        if isinstance(frame, VideoFrame):
            planes = fitted(frame.picture, self._width, self._height)
            if self._pictures.live:
                self._show(planes)
            else:
                self._file(planes, round(self._passed(frame.seconds) * self._fps))
        elif self._sound is not None:
            if not self._sound.live:
                self._sound.fill(round(self._passed(frame.seconds) * AUDIO_RATE))
            self._sound.write(frame)
            self.hold()  # there may be sound and no pictures
        else:
            return
        self.written[frame.kind] += 1

    def hold(self) -> None:
        """Show the last picture again if none came for a while."""
        if self._pictures.live and self._last is not None and now() - self._shown >= max(HELD, 2 / self._fps):
            self._show(self._last)

    def _show(self, planes: Pixels) -> None:
        self._last, self._shown = planes, now()
        self._pictures.write(planes)

    def _passed(self, seconds: float) -> float:
        """A frame's time; no frame is of a time that did not come yet, whatever a server says."""
        return max(0.0, min(seconds, now() - self._begun))

    def _file(self, planes: Pixels, number: int) -> None:
        """As the picture of that number; one that comes too late for it is shown from the next missing one on."""
        last = planes if self._last is None else self._last
        self._last = planes
        self._fill(last, number)
        if self._count == number:
            self._fill(planes, number + 1)

    def _fill(self, planes: Pixels, count: int) -> None:
        while self._count < count:
            self._pictures.write(planes)
            self._count += 1

    @property
    def drops(self) -> dict[str, int]:
        """Frames that no other program took, by track and reason."""
        sinks = {"video-0/unread": self._pictures, "audio-0/unread": self._sound}
        return {key: sink.dropped for key, sink in sinks.items() if sink is not None and sink.dropped}

    def close(self, seconds: float) -> None:
        """`seconds` is when the last frame began that was sent."""
        try:
            count = int(seconds * self._fps + 0.01) + 1
            if self._last is not None and not self._pictures.live:
                self._fill(self._last, count)
            if self.written["audio"] and self._sound is not None and not self._sound.live:
                self._sound.fill(round(count / self._fps * AUDIO_RATE))
        finally:
            self._pictures.close()
            if self._sound is not None:
                self._sound.close()


def writer_to(to: str, voice: str, label: str, *, width: int, height: int, fps: float) -> CameraWriter:
    """As `aimass camera` is told. Raises `InvalidInput` and `Unavailable`, saying what is missing."""
    sound = None
    if voice:
        sound = PulseSource(VIRTUAL, label) if voice == PULSE else Sound(voice)
    try:
        return CameraWriter(pictures_to(to, width, height, fps), sound, width, height, fps)
    except BaseException:
        if sound is not None:
            sound.close()
        raise


def pictures_to(target: str, width: int, height: int, fps: float) -> Pictures:
    """A device, a FIFO, a file that ends in .y4m, or, with "", the first virtual camera there is."""
    target = target or loopback()
    if Path(target).is_char_device() or target.startswith("/dev/"):
        return Loopback(target, width, height)
    if not target.endswith(".y4m") and not Path(target).is_fifo():
        raise InvalidInput(f"{target} is no device, no FIFO and does not end in .y4m", field="to")
    return Y4m(target, width, height, fps)


def loopback(root: Path = Path("/sys/devices/virtual/video4linux")) -> str:
    """The first virtual camera. Raises `Unavailable`, saying how one is made."""
    found = sorted(root.glob("video*"), key=lambda each: int(each.name.removeprefix("video") or 0))
    if not found:
        raise Unavailable("there is no virtual camera: the kernel module v4l2loopback is not loaded. As root:\n"
                          f"{LOOPBACK}")
    return f"/dev/{found[0].name}"
