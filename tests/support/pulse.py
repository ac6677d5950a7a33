"""A PulseAudio of its own, without a sound card, and what is heard of its sources."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream import clips
from aimass_stream.cli.camera_pulse import pactl
from aimass_stream.codecs import pcm
from aimass_stream.frames import AUDIO_RATE

needed = pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="Debian's pulseaudio is not installed")
SHAPE = ("--raw", "--format=s16le", f"--rate={AUDIO_RATE}", "--channels=1", "--latency-msec=20")
SECONDS = 60.0  # against what hangs
TONE, LEVEL = 1000.0, -6.0  # Hz, dBFS


def until(true: Callable[[], object]) -> None:
    """Where what is waited for belongs to another process."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, f"still not so after {SECONDS:g} s"
        time.sleep(0.05)


@contextmanager
def pulseaudio(folder: Path) -> Iterator[str]:
    """A daemon; answers what PULSE_SERVER is to be."""
    process = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
         "-L", f"module-native-protocol-unix auth-anonymous=1 socket={folder / 'native'}"],
        env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until((folder / "native").exists)
        yield f"unix:{folder / 'native'}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def loudspeaker(name: str, tone: Path) -> Iterator[str]:
    """A sink that plays a tone, which that file gets; answers its module's number. Its `.monitor` is a source."""
    module = pactl("load-module", "module-null-sink", f"sink_name={name}")
    tone.write_bytes(pcm.to_bytes(clips.tone(SECONDS, TONE, level=LEVEL)))
    player = subprocess.Popen(["pacat", "--playback", f"--device={name}", *SHAPE, str(tone)], stderr=subprocess.DEVNULL)
    try:
        yield module
    finally:
        player.kill()
        player.wait(20)


@contextmanager
def listening(source: str) -> Iterator[Callable[[], NDArray[np.int16]]]:
    """Answers what waits for more sound and gives what came since it was last asked."""
    listener = subprocess.Popen(["parec", f"--device={source}", *SHAPE], stdout=subprocess.PIPE)
    assert listener.stdout is not None
    pipe = listener.stdout
    os.set_blocking(pipe.fileno(), False)

    def more() -> NDArray[np.int16]:
        select.select([pipe], [], [], 0.2)
        data = pipe.read() or b""
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16)

    try:
        yield more
    finally:
        listener.terminate()
        listener.wait(20)
        pipe.close()


def loudness(sound: NDArray[np.int16], hertz: float = TONE) -> float:
    """dBFS of that tone in it."""
    turns = np.exp(-2j * np.pi * hertz / AUDIO_RATE * np.arange(len(sound)))
    return float(20 * np.log10(max(1e-9, 2 * abs(np.dot(sound, turns)) / len(sound) / 32767)))


def until_heard(more: Callable[[], NDArray[np.int16]], level: float) -> None:
    """A tenth of a second of the tone, within 1 dB of that level."""
    recent = np.zeros(AUDIO_RATE // 10, np.int16)

    def so() -> bool:
        nonlocal recent
        recent = np.concatenate((recent, more()))[-AUDIO_RATE // 10 :]
        return abs(loudness(recent) - level) < 1

    until(so)
