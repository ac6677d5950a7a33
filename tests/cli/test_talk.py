"""A conversation in the terminal: sound files in, replies into a file; the server is another process, or none."""

from __future__ import annotations

import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aimass_stream.cli import conversation, sound_device
from tests.support.command import clean, here
from tests.support.server import served
from tests.support.speech import speak, write_wav

LIMITS = {"AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10", "AIMASS_FETCH": "false"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(env=LIMITS) as (url, _):
        yield url


def sounds(path: Path) -> float:
    """s of a WAV file that are loud."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return float(np.count_nonzero(np.abs(samples.astype(int)) > 300) / file.getframerate())


@pytest.mark.timeout(300)
def test_files_are_said_in_turn_and_the_replies_are_written(url: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "one.wav", speak("what can you do"))
    write_wav(tmp_path / "two.wav", speak("what is two plus two"))
    out = tmp_path / "out.wav"
    done = here("talk", "--url", url, "-f", str(tmp_path / "one.wav"), "-f", str(tmp_path / "two.wav"), "-o", str(out))
    assert done.code == 0, done.out + done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("Listening with ")
    assert [line for line in lines if line.startswith("(")] == ["(one.wav)", "(two.wav)"]
    assert sum(line.startswith("You: ") for line in lines) == 2
    assert "  (taken for: what can you do)" in lines
    assert sum(line.startswith("Assistant: ") for line in lines) >= 1
    assert any(" ms = endpoint " in line for line in lines)
    assert sounds(out) > 1
    assert here("talk", "--url", url, "-f", str(tmp_path / "one.wav"), "-o", str(out)).code == 2  # it is there already


@pytest.mark.timeout(300)
def test_without_a_server_there_is_one_and_ctrl_c_loses_nothing(tmp_path: Path) -> None:
    write_wav(tmp_path / "quiet.wav", np.zeros((48_000 * 60, 1), np.int16))
    out = tmp_path / "out.wav"
    with subprocess.Popen([sys.executable, "-m", "aimass_stream", "talk", "-f", str(tmp_path / "quiet.wav"), "-o",
                           str(out), "--greeting", "Good morning."], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=clean() | LIMITS | {"AIMASS_DATA_DIR": str(tmp_path)}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Assistant: Good morning."):
                break
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert f"to {out}" in rest, errors
    assert out.stat().st_size > 44


@pytest.mark.timeout(300)
def test_a_file_waits_for_the_greeting_and_one_without_an_answer_is_an_error(url: str, tmp_path: Path,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "ANSWER", 4.0)
    write_wav(tmp_path / "one.wav", speak("what can you do"))
    write_wav(tmp_path / "quiet.wav", np.zeros((48_000, 1), np.int16))
    done = here("talk", "--url", url, "-f", str(tmp_path / "one.wav"), "-f", str(tmp_path / "quiet.wav"),
                "-o", str(tmp_path / "out.wav"), "--greeting", "Good morning, this is a long greeting to wait for.")
    lines = done.out.splitlines()
    assert "interrupted" not in done.out
    assert lines.index("(one.wav)") > lines.index("Assistant: Good morning, this is a long greeting to wait for.")
    assert sum(line.startswith("You: ") for line in lines) == 1
    assert lines[-1] == "No answer to quiet.wav."
    assert done.code == 1


@pytest.mark.timeout(300)
def test_a_refusal_ends_it_at_once_and_leaves_no_file(url: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "one.wav", speak("what can you do"))
    out = tmp_path / "out.wav"
    given = ["talk", "--url", url, "-f", str(tmp_path / "one.wav"), "-o", str(out)]
    done = here(*given, "--language", "de")
    assert (done.code, "one.wav" in done.out) == (1, False)
    assert "hears 'de'" in done.out
    done = here(*given, "--voice", "nobody")
    assert (done.code, done.out) == (1, "")
    assert "no voice 'nobody'" in done.err
    done = here(*given, "--pipeline", '[{"stage": "nope"}]')
    assert (done.code, done.out) == (1, "")
    assert "pipeline[0].stage" in done.err
    done = here(*given, "--brain", "mine")
    assert (done.code, done.out) == (1, "")
    assert "--brain" in done.err
    assert here("talk", "--url", "http://127.0.0.1:9", *given[3:]).code == 1
    assert here(*given[:-1], str(tmp_path / "out.doc")).code == 2
    assert not out.exists()


def test_without_portaudio_it_says_which_package_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> ModuleType:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(sound_device, "_library", missing)
    done = here("talk", "--url", "http://127.0.0.1:9")
    assert "apt install libportaudio2" in " ".join(done.err.replace("│", " ").split())


def test_without_a_microphone_it_says_what_to_do(url: str) -> None:
    done = here("talk", "--url", url)
    assert done.code == 2
    assert "use --file and --out" in " ".join(done.err.replace("│", " ").split())
