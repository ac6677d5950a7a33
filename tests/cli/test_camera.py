"""`aimass camera`: what it reads and writes, and what it says where something is missing. No test machine has a
kernel module; PulseAudio is real."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream import clips
from aimass_stream.cli import camera_sinks
from aimass_stream.cli.camera_microphone import LATE, SETTLED, Arrivals, Microphone
from aimass_stream.cli.camera_pulse import microphone_of, pactl, sources
from aimass_stream.cli.camera_session import LastingSession
from aimass_stream.cli.camera_sinks import (
    LOOPBACK,
    PulseSource,
    Sound,
    Y4m,
    fitted,
    loopback,
    pictures_to,
    wanted,
    writer_to,
)
from aimass_stream.cli.camera_sources import PIECE, Pattern, opened
from aimass_stream.cli.relay import BACK, LOST, Relay
from aimass_stream.client import Client, session
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Picture, VideoFrame
from tests.support import pulse
from tests.support.command import clean, here
from tests.support.pulse import LEVEL, listening, loudspeaker, pulseaudio, until, until_heard
from tests.support.server import served
from tests.support.waiting import until as soon

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "a-virtual-camera.md"
TAUGHT = re.findall(r"^```sh\n(.*?)\n```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with served() as address_and_process:
        yield address_and_process


@pytest.fixture
def url(server: tuple[str, subprocess.Popen[bytes]]) -> str:
    return server[0]


def pictures(path: Path) -> list[VideoFrame]:
    return list(opened(str(path), width=1920, height=1920, fps=30, seconds=None).pictures())


def test_a_pattern_goes_through_a_server_into_a_camera_and_a_microphone(tmp_path: Path, url: str) -> None:
    out, voice = tmp_path / "camera.y4m", tmp_path / "voice.s16"
    done = here("camera", "test", "--to", str(out), "--voice", str(voice), "--url", url, "--width", "320", "--height",
                "180", "--seconds", "2", "-p", '[{"stage": "mirror"}]')
    assert done.code == 0, done.err
    assert f"Wrote {out} and {voice} (2.0 s)" in " ".join(done.out.split())
    seen = pictures(out)
    assert len(seen) == 60
    assert {(each.width, each.height) for each in seen} == {(320, 180)}
    numbers = [clips.read_number(np.ascontiguousarray(each.bgr[:, ::-1, 1])) for each in seen]
    read = [number for number in numbers if number is not None]
    assert len(read) > 20
    assert read == sorted(read)
    heard = np.frombuffer(voice.read_bytes(), np.int16)
    assert len(heard) == 2 * AUDIO_RATE
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


def test_a_fifo_waits_for_its_first_reader_and_for_the_next(tmp_path: Path) -> None:
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    sink = pictures_to(str(fifo), 64, 48, 30)
    assert isinstance(sink, Y4m)
    planes = fitted(Picture.from_bgr(clips.draw(0, 64, 48)), 64, 48)
    for number in range(2):
        for _ in range(300):  # 1.4 MB, more than it holds
            sink.write(planes)
        assert sink.dropped == 300 * (number + 1)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        sink.write(planes)
        seen = os.read(reader, 1 << 16)
        assert seen.startswith(b"YUV4MPEG2 W64 H48 F30:1 ")
        assert seen.endswith(b"FRAME\n" + planes.tobytes())
        os.close(reader)
    sink.close()


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


def test_what_is_missing_is_named(tmp_path: Path) -> None:
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


def test_a_source_that_is_not_there_and_a_screen_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="say test, screen, a file or a camera"):
        opened("/dev/video99", width=640, height=360, fps=30, seconds=None)
    monkeypatch.delenv("DISPLAY", raising=False)
    screen = opened("screen", width=640, height=360, fps=30, seconds=None)
    with pytest.raises(Unavailable, match="DISPLAY"):
        list(screen.pictures())


def test_what_is_refused_leaves_no_file_and_no_full_bar(
        tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    out, voice, kept = tmp_path / "out.y4m", tmp_path / "voice.s16", tmp_path / "kept.y4m"
    kept.write_text("what was there")
    to = ["--voice", str(voice), "--seconds", "1", "--force", "--to"]
    for source, path, wrong, told in (("test", kept, ["-p", '[{"stage": "nosuch"}]', "--url", url], "nosuch"),
                                      ("test", out, ["--url", "http://127.0.0.1:9"], "no server answers"),
                                      ("screen", out, ["--url", url], "DISPLAY is not set")):
        done = here("camera", source, *to, str(path), *wrong)
        assert (done.code, told in done.err, "100 %" in done.err) == (1, True, False), done.err
    assert [each.name for each in tmp_path.iterdir()] == ["kept.y4m"]
    assert kept.read_text() == "what was there"


@pytest.mark.anyio
@pytest.mark.slow_loop(200)  # aiortc's own set-up
@pytest.mark.parametrize("way", ["webrtc", "websocket"])
async def test_a_server_that_falls_silent_is_noticed(
        way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of its own: one that was stopped finds itself too busy for others for a while."""
    monkeypatch.setattr(session, "SILENCE", 2)
    with served() as (url, process):
        async with Client(url) as client:
            writer = writer_to(str(tmp_path / "out.y4m"), "", "", width=64, height=48, fps=30)
            lasting = LastingSession(lambda: client.rtc(audio=False) if way == "webrtc" else client.stream(video="vp8"))
            relay = Relay(lasting, Pattern("test", 64, 48, 30, None), writer)
            relay.tracks.pop("audio")
            await relay.open()
            running = asyncio.create_task(relay.run())
            try:
                await soon(lambda: writer.written["video"] > 3)
                process.send_signal(signal.SIGSTOP)
                await soon(lambda: relay.cut)
            finally:
                process.send_signal(signal.SIGCONT)
            came = writer.written["video"]
            await soon(lambda: not relay.cut and writer.written["video"] > came + 3)
            news = relay.news()
            assert (news[0], BACK in news) == (LOST, True)  # and that what came all at once was too much
            relay.stop()
            await running
            writer.close(relay.position)


def test_a_pattern_lasts_as_long_as_it_is_told() -> None:
    pattern = Pattern("test", 64, 48, 10, 1.0)
    assert len(list(pattern.pictures())) == 10
    assert sum(len(frame.samples) for frame in pattern.sound()) == AUDIO_RATE


def test_a_reader_that_stops_ends_it_with_a_sentence(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_sinks, "PATIENCE", 0.1)
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    done = here("camera", "test", "--to", str(fifo), "--url", url, "--width", "320", "--height", "180")  # without end
    os.close(reader)
    assert done.code == 1
    assert f"nobody reads {fifo} any more" in done.err.replace("\n", "")


def test_what_is_set_belongs_to_an_app() -> None:
    for given, told in ((["--set", "softness=8"], "it is for an app"),
                        (["--app", "blurred", "-p", '[{"stage": "mirror"}]'], "an app has its pipeline")):
        done = here("camera", "test", *given)
        assert done.code == 2
        assert told in done.err


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pulseaudio(tmp_path_factory.mktemp("pulse")) as said:
        yield said


@pytest.fixture
def sound(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PulseAudio answers, and is left as it was found."""
    monkeypatch.setenv("PULSE_SERVER", address)
    yield
    for module in ("module-null-sink", "module-pipe-source"):
        subprocess.run(["pactl", "unload-module", module], capture_output=True, check=False)


@pulse.needed
def test_a_microphone_in_pulseaudio_is_heard_and_goes(sound: None) -> None:
    sink = PulseSource("aimass", 'AI "Mass"')
    assert "Description: AI Mass\n" in pactl("list", "sources")
    tone = clips.tone(1.0, pulse.TONE, level=LEVEL)
    with listening("aimass") as more:
        def written_on() -> NDArray[np.int16]:
            for at in range(0, 9600, PIECE):
                sink.write(AudioFrame(pts=0, time_base=AUDIO_TIME_BASE, track="audio-0", samples=tone[at : at + PIECE]))
            return more()

        until_heard(written_on, LEVEL)
    with pytest.raises(Unavailable, match="another `aimass camera` fills it"):
        PulseSource("aimass", "AI Mass")
    sink.close()
    assert "aimass" not in sources()


@pulse.needed
def test_a_microphone_goes_through_a_server_and_the_picture_goes_on_when_it_is_unplugged(
        sound: None, url: str, tmp_path: Path) -> None:
    out, said = tmp_path / "camera.y4m", tmp_path / "said"
    with loudspeaker("speaker", tmp_path / "tone") as speaker, said.open("w") as stderr, subprocess.Popen(
            [sys.executable, "-m", "aimass_stream", "camera", "test", "--microphone", "speaker.monitor", "--voice",
             "pulse", "--to", str(out), "--url", url, "--width", "320", "--height", "180",
             "-p", '[{"stage": "gain", "db": -12}]'],
            env=clean(), stdout=subprocess.PIPE, stderr=stderr, text=True) as command:
        try:
            until(lambda: "aimass" in sources())
            with listening("aimass") as more:
                until_heard(more, LEVEL - 12)
            pactl("unload-module", speaker)
            gone = "The microphone speaker.monitor gives no sound any more (is it unplugged? PulseAudio put aimass"
            until(lambda: gone in " ".join(said.read_text().split()))
            so_far = out.stat().st_size
            until(lambda: out.stat().st_size > so_far + 10 * 320 * 180)
            command.send_signal(signal.SIGINT)
            told, _ = command.communicate(timeout=60)
        finally:
            command.kill()
    assert command.returncode == 0, said.read_text()
    assert re.search(r"^audio-0 +[1-9]", told, re.MULTILINE)
    assert "aimass" not in sources()


@pulse.needed
@pytest.mark.anyio
async def test_one_that_is_moved_says_so_and_never_hears_itself(sound: None, tmp_path: Path) -> None:
    told: list[str] = []
    for name in ("here", "there"):
        pactl("load-module", "module-null-sink", f"sink_name={name}")
    virtual = PulseSource("aimass", "AI Mass")
    microphone = Microphone("here.monitor")
    await microphone.open(told.append)
    heard = microphone.sound()
    try:
        await soon(lambda: pactl("list", "short", "source-outputs"))
        pactl("move-source-output", pactl("list", "short", "source-outputs").split()[0], "there.monitor")
        await soon(lambda: told)
        assert "Sound comes from there.monitor now" in told[0]
        assert len((await asyncio.to_thread(next, heard)).samples) == PIECE
        await soon(lambda: microphone.drops["audio-0/unsent"] > 0)  # nobody takes it
        pactl("move-source-output", pactl("list", "short", "source-outputs").split()[0], "aimass")
        await soon(lambda: len(told) == 2)
        assert told[1].startswith("The microphone there.monitor gives no sound any more")
        assert "would hear itself" in told[1]
        assert list(heard) == []
    finally:
        await microphone.close()
        virtual.close()
    assert pactl("list", "short", "source-outputs") == ""


@pulse.needed
@pytest.mark.anyio
async def test_one_that_goes_where_there_is_no_other_ends(sound: None) -> None:
    told: list[str] = []
    microphone = Microphone("here.monitor")
    module = pactl("load-module", "module-null-sink", "sink_name=here")
    await microphone.open(told.append)
    try:
        await soon(lambda: pactl("list", "short", "source-outputs"))
        pactl("unload-module", module)
        await soon(lambda: told)
        assert "here.monitor gives no sound any more (Stream error: Entity killed)" in told[0]
        assert list(microphone.sound()) == []
    finally:
        await microphone.close()


@pulse.needed
def test_a_microphone_that_can_not_be_is_refused_with_those_there_are(sound: None, url: str, tmp_path: Path) -> None:
    def refused(name: str, *more: str) -> str:
        done = here("camera", "test", "--to", str(tmp_path / "out.y4m"), "--url", url, "--microphone", name, *more)
        assert done.code == (1 if more else 2)
        return " ".join(done.err.split())

    assert "add --voice pulse" in refused("default")
    assert "does not have a default microphone. Here: none; is a microphone plugged in?" in refused(
        "default", "--voice", "pulse")
    virtual = PulseSource("aimass", "AI Mass")
    for name in ("aimass", "default"):
        assert "aimass is the virtual microphone that this command fills" in refused(name, "--voice", "pulse")
    virtual.close()
    pactl("load-module", "module-null-sink", "sink_name=speaker")
    assert "does not have a microphone spaeker. Here: speaker.monitor (microphone)" in refused(
        "spaeker", "--voice", "pulse")
    beeps = tmp_path / "beeps.wav"
    with wave.open(str(beeps), "wb") as written:
        written.setparams((1, 2, AUDIO_RATE, 0, "NONE", ""))
        written.writeframes(bytes(AUDIO_RATE))
    done = here("camera", str(beeps), "--voice", "pulse", "--microphone", "default", "--url", url)
    assert (done.code, "has no pictures that a microphone" in " ".join(done.err.split())) == (1, True)
    assert "aimass" not in sources()


def test_the_tutorial_into_files_and_a_fifo(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    filed, live = TAUGHT[0], TAUGHT[1]
    assert LOOPBACK.replace("apt", "    sudo apt").replace("modprobe", "    sudo modprobe") in TUTORIAL.read_text()
    done = here(*shlex.split(filed.replace("--seconds 3", "--seconds 0.5"))[1:], AIMASS_URL=url)
    assert done.code == 0, done.err
    assert pictures(tmp_path / "seen.y4m")
    assert (tmp_path / "heard.s16").stat().st_size > 0
    made, ran = live.splitlines()
    subprocess.run(shlex.split(made), check=True)
    with subprocess.Popen(["head", "-c", "200", "live.y4m"], stdout=subprocess.PIPE) as reader:
        done = here(*shlex.split(ran)[1:], "--seconds", "0.5", AIMASS_URL=url)
        assert done.code == 0, done.err
        assert re.search(r"Dropped: .*\d+ of video-0 \(no other program took them\)", done.out)
        assert reader.communicate(timeout=60)[0].startswith(b"YUV4MPEG2 W640 H360 F30:1 ")


@pulse.needed
def test_the_tutorials_microphone_and_ctrl_c_in_a_terminal(sound: None, url: str, tmp_path: Path) -> None:
    spoken, list_sources = TAUGHT[2], TAUGHT[3]
    command = shlex.split(spoken.replace("/dev/video0", "test --to seen.y4m"))[1:]
    with loudspeaker("speaker", tmp_path / "tone"), subprocess.Popen(
            [sys.executable, "-m", "aimass_stream", *command], env=clean() | {"AIMASS_URL": url}, cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        try:
            until(lambda: "aimass" in sources())
            listed = subprocess.run(shlex.split(list_sources), capture_output=True, text=True, check=True).stdout
            assert re.findall(r"^\d+\t(\S+)", listed, re.MULTILINE) == ["speaker.monitor", "aimass"]
            with listening("aimass") as more:
                until_heard(more, LEVEL - 6)
            os.killpg(running.pid, signal.SIGINT)  # all that a terminal has in front
            told, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0, said
    assert "gives no sound any more" not in said
    assert "Wrote" in told
    late = re.search(r"(\d+) of audio-0 \(they could not be sent in time", told)
    assert late is None or int(late[1]) < 40  # a second without a picture follows Ctrl-C: sound of that is not wanted
    assert sources() == ["speaker.monitor"]
    assert pactl("list", "short", "source-outputs") == ""


def test_without_pulseaudio_it_says_what_to_install_or_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
    if shutil.which("pactl"):
        with pytest.raises(Unavailable, match="Does PulseAudio or pipewire-pulse run"):
            PulseSource("aimass", "AI Mass")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="pactl is not here: apt install pulseaudio-utils"):
        PulseSource("aimass", "AI Mass")
    with pytest.raises(Unavailable, match="parec is not here: apt install pulseaudio-utils"):
        microphone_of("default")


def test_pieces_are_counted_and_follow_the_time() -> None:
    arrivals = Arrivals(100.0)

    def came(seconds: float) -> int | None:
        return arrivals.pts(100.0 + seconds)

    assert [came(0.02), came(0.04), came(0.075), came(0.08)] == [0, PIECE, 2 * PIECE, 3 * PIECE]  # one was late
    assert [came(0.08), came(0.08)] == [4 * PIECE, None]  # more than the time has room for
    behind = [came(0.2 + 0.02 * number) for number in range(SETTLED + 1)]
    assert behind[:2] == [5 * PIECE, 6 * PIECE]
    right = round((0.2 + 0.02 * SETTLED) * AUDIO_RATE) - PIECE
    assert behind[-1] == right > (5 + SETTLED) * PIECE + LATE
