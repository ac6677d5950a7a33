"""`aimass camera`: what it writes, and what it says where something is missing. No test machine has a kernel module."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.cli import camera_sinks
from aimass_stream.cli.camera_sinks import LOOPBACK, PulseSource, Sound, Y4m, fitted, loopback, pictures_to, wanted
from aimass_stream.cli.camera_sources import Pattern, opened
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Picture, VideoFrame
from tests.support.command import here
from tests.support.server import served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as (address, _):
        yield address


def pictures(path: Path) -> list[VideoFrame]:
    return list(opened(str(path), width=1920, height=1920, fps=30, seconds=None).pictures())


def test_a_pattern_goes_through_a_server_into_a_camera_and_a_microphone(tmp_path: Path, url: str) -> None:
    out, voice = tmp_path / "camera.y4m", tmp_path / "voice.s16"
    done = here("camera", "test", "--to", str(out), "--voice", str(voice), "--url", url, "--width", "320", "--height",
                "180", "--seconds", "2", "-p", '[{"stage": "mirror"}]')
    assert done.code == 0, done.err
    seen = pictures(out)
    assert len(seen) > 30
    assert {(each.width, each.height) for each in seen} == {(320, 180)}
    numbers = [clips.read_number(np.ascontiguousarray(each.bgr[:, ::-1, 1])) for each in seen]
    read = [number for number in numbers if number is not None]
    assert len(read) > 20
    assert read == sorted(read)
    heard = np.frombuffer(voice.read_bytes(), np.int16)
    assert len(heard) > AUDIO_RATE
    assert np.abs(heard.astype(np.int32)).max() > 1000
    for option, there in (("--to", out), ("--voice", voice)):
        refused = here("camera", "test", option, str(there), "--url", url)
        assert (refused.code, "--force" in refused.err, there.stat().st_size > 0) == (2, True, True)


def test_pictures_of_another_shape_get_black_beside_them(tmp_path: Path) -> None:
    white = Picture.from_bgr(np.full((100, 100, 3), 255, np.uint8))
    made = Picture.from_i420(fitted(white, 200, 100)).bgr
    assert made.shape == (100, 200, 3)
    assert made[50, 100].min() > 240
    assert made[50, 10].max() < 16
    assert made[50, 190].max() < 16
    path = tmp_path / "a.y4m"
    sink = pictures_to(str(path), 200, 100, 29.97)
    sink.write(fitted(white, 200, 100))
    sink.write(fitted(white, 200, 100))
    sink.close()
    assert len(pictures(path)) == 2
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(29.97, abs=0.01)


def test_a_fifo_gets_whole_pictures_and_those_nobody_takes_are_left_out(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_sinks, "PATIENCE", 0.1)
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    sink = pictures_to(str(fifo), 320, 180, 30)
    assert isinstance(sink, Y4m)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    planes = fitted(Picture.from_bgr(clips.draw(0, 320, 180)), 320, 180)
    wrote = 0
    while not sink.dropped and wrote < 100:
        try:
            sink.write(planes)
        except Unavailable:  # it was full within a picture, and stays so
            break
        wrote += 1
    assert 0 < wrote < 100
    first = os.read(reader, 200)
    assert first.startswith(b"YUV4MPEG2 W320 H180 F30:1 ")
    assert b"\nFRAME\n" in first
    sink.close()
    os.close(reader)


def test_sound_into_a_fifo_does_not_wait_for_a_reader(tmp_path: Path) -> None:
    fifo = tmp_path / "voice"
    os.mkfifo(fifo)
    sink = Sound(str(fifo))
    tone = clips.tone(1.0, level=-6)
    for number in range(100):
        for at in range(0, AUDIO_RATE, 960):
            sink.write(AudioFrame(pts=number * AUDIO_RATE + at, time_base=AUDIO_TIME_BASE, track="audio-0",
                                  samples=tone[at : at + 960]))
        if sink.dropped:
            break
    assert sink.dropped
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    heard = np.frombuffer(os.read(reader, 960 * 2), np.int16)
    assert np.abs(heard.astype(np.int32) - tone[:960, 0]).max() <= 1
    sink.close()
    os.close(reader)


def test_what_the_kernel_is_asked_for() -> None:
    asked = wanted(640, 360)
    assert len(asked) == camera_sinks.VIDIOC_S_FMT >> 16 & 0x3FFF  # the ioctl's own number says how long it is
    assert camera_sinks.CAPABILITY.size == camera_sinks.VIDIOC_QUERYCAP >> 16 & 0x3FFF
    words = np.frombuffer(asked, np.uint32)
    assert words[0] == 2
    assert list(words[2:9]) == [640, 360, int.from_bytes(b"YU12", "little"), 1, 640, 640 * 360 * 3 // 2, 1]


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="modprobe v4l2loopback exclusive_caps=1 card_label=") as told:
        loopback(tmp_path)
    assert "apt install v4l2loopback-dkms" in str(told.value)
    (tmp_path / "video10").mkdir()
    (tmp_path / "video9").mkdir()
    assert loopback(tmp_path) == "/dev/video9"
    with pytest.raises(Unavailable, match="can't be opened") as told:
        pictures_to("/dev/video-that-is-not-here", 640, 360, 30)
    assert LOOPBACK in str(told.value)
    with pytest.raises(Unavailable, match="/dev/null does not take pictures of 640x360"):
        pictures_to("/dev/null", 640, 360, 30)
    with pytest.raises(InvalidInput, match=r"\.y4m"):
        pictures_to(str(tmp_path / "out.mp4"), 640, 360, 30)
    for made, field in ((lambda path: pictures_to(f"{path}.y4m", 640, 360, 30), "to"), (Sound, "voice")):
        with pytest.raises(InvalidInput, match="No such file") as refused:
            made(str(tmp_path / "nosuch" / "out"))
        assert refused.value.field == field
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="pulseaudio-utils"):
        PulseSource("aimass", "AI Mass")


def test_a_source_that_is_not_there_and_a_screen_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="say test, screen, a file or a camera"):
        opened("/dev/video99", width=640, height=360, fps=30, seconds=None)
    monkeypatch.delenv("DISPLAY", raising=False)
    screen = opened("screen", width=640, height=360, fps=30, seconds=None)
    assert list(screen.pictures()) == []
    assert "DISPLAY" in str(getattr(screen, "trouble", ""))


def test_a_pattern_lasts_as_long_as_it_is_told() -> None:
    pattern = Pattern("test", 64, 48, 10, 1.0)
    assert len(list(pattern.pictures())) == 10
    assert sum(len(frame.samples) for frame in pattern.sound()) == AUDIO_RATE


def test_a_reader_that_stops_ends_it_with_a_sentence(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_sinks, "PATIENCE", 0.1)
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    done = here("camera", "test", "--to", str(fifo), "--url", url, "--width", "320", "--height", "180")  # without end
    assert done.code == 1
    assert f"nobody reads {fifo} any more" in done.err.replace("\n", "")


@contextmanager
def pulseaudio(folder: Path) -> Iterator[str]:
    """A daemon of its own, which knows of no sound card; answers its address."""
    address = f"unix:{folder / 'native'}"
    process = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
         "-L", f"module-native-protocol-unix auth-anonymous=1 socket={folder / 'native'}"],
        env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if (folder / "native").exists():
                break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="Debian's pulseaudio is not installed")
def test_a_microphone_in_pulseaudio_is_heard_and_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'native'}")
    with pytest.raises(Unavailable, match="Does PulseAudio or pipewire-pulse run"):
        PulseSource("aimass", "AI Mass")
    with pulseaudio(tmp_path):
        sink = PulseSource("aimass", 'AI "Mass"')
        assert "Description: AI Mass\n" in listed()
        listener = subprocess.Popen(["parec", "--device=aimass", "--format=s16le", f"--rate={AUDIO_RATE}",
                                     "--channels=1", "--raw"], stdout=subprocess.PIPE)
        assert listener.stdout is not None
        os.set_blocking(listener.stdout.fileno(), False)
        tone, heard = clips.tone(1.0, level=-6), np.zeros(0, np.int16)
        deadline = time.monotonic() + 60
        while not (len(heard) and np.abs(heard.astype(np.int32)).max() > 8000) and time.monotonic() < deadline:
            for at in range(0, 9600, 960):
                sink.write(AudioFrame(pts=0, time_base=AUDIO_TIME_BASE, track="audio-0", samples=tone[at : at + 960]))
            select.select([listener.stdout], [], [], 0.2)
            data = listener.stdout.read() or b""
            heard = np.frombuffer(data[: len(data) // 2 * 2], np.int16)
        listener.terminate()
        listener.wait(20)
        listener.stdout.close()
        assert np.abs(heard.astype(np.int32)).max() > 8000
        sink.close()
        assert "Description: AI Mass\n" not in listed()


def listed() -> str:
    return subprocess.run(["pactl", "list", "sources"], capture_output=True, text=True, check=True,
                          env=os.environ | {"LC_ALL": "C"}).stdout


def test_what_is_set_belongs_to_an_app() -> None:
    for given, told in ((["--set", "softness=8"], "it is for an app"),
                        (["--app", "blurred", "-p", '[{"stage": "mirror"}]'], "an app has its pipeline")):
        done = here("camera", "test", *given)
        assert done.code == 2
        assert told in done.err
