"""`aimass models weights`, `pull` and `remove`: listing, fetching, stopping in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aimass_stream.cli.main import build
from aimass_stream.errors import Unavailable
from aimass_stream.inference import installed
from aimass_stream.weights import WeightFile, catalogue
from tests.support.command import clean, here
from tests.support.hub import TestHub, hub_with, weights

FILES = {"model.bin": os.urandom(3_000_000), "config.json": b"{}"}
SOME = weights(WeightFile("model.bin", "model.bin"), WeightFile("config.json", "config.json"))

# the command with a catalogue of the test's own, in a process that can be interrupted
RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in a shell's background ignores it
from aimass_stream.weights import catalogue
from tests.cli.test_models import SOME
catalogue()[SOME.name] = SOME
from aimass_stream.cli import main
sys.argv[0] = "aimass"
main()
"""


def _aimass(hub: TestHub, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "models", *arguments, "--hub", hub.url, "--data-dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean() | {"COLUMNS": "120"},
        cwd=Path(__file__).parents[2])


def test_list_and_show_tell_what_there_is(tmp_path: Path) -> None:
    listed = here("models", "weights", "--data-dir", str(tmp_path))
    assert listed.code == 0
    assert "whisper-large-v3-turbo" in listed.out
    assert "1.6 GB" in listed.out
    as_json = here("models", "weights", "--json", "--data-dir", str(tmp_path)).out
    known = {each["name"]: each for each in json.loads(as_json)}
    assert (known["whisper-base.en"]["state"], known["whisper-base.en"]["default"]) == ("absent", True)
    assert (known["style-udnie"]["for"], known["style-udnie"]["state"]) == ("style-transfer", "ready")
    for name in ("style-udnie", "opencv-faces", "mediapipe-hand"):
        assert name in listed.out
    card = here("models", "weights", "whisper-tiny.en", "--data-dir", str(tmp_path))
    assert "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a" in card.out
    assert "MIT" in card.out


def test_a_narrow_terminal_cuts_no_word(tmp_path: Path) -> None:
    listed = here("models", "weights", "--data-dir", str(tmp_path), COLUMNS="80").out.splitlines()
    assert all(len(line) <= 80 for line in listed[: len(catalogue()) + 1])
    small = next(line for line in listed if line.startswith("whisper-small "))
    assert "over 484 MB" in small
    assert "…" not in "".join(listed)
    assert any(line.startswith("Hears now: ") for line in listed)


def test_what_came_with_the_package_is_shown_too(tmp_path: Path) -> None:
    name = installed().names()[0]
    assert f'name = "{name}"' in here("models", "weights", name, "--data-dir", str(tmp_path)).out
    card = here("models", "weights", "whisper-base.en", "--data-dir", str(tmp_path)).out
    assert "148 MB" in card
    assert "147769510" not in card
    assert "True" not in card


def test_an_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    lacking = replace(SOME, name="lacking", needs="no_such_module")
    assert not lacking.usable
    assert lacking.how == "pip install 'aimass-stream[no_such_module]'"
    assert replace(SOME, needs="torchaudio").how == "pip install 'aimass-stream[torch]'"


def test_wrong_words_are_explained(tmp_path: Path) -> None:
    assert "No such command 'fetch'" in here("models", "fetch").err
    assert "Missing argument" in here("models", "pull").err


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue(), SOME.name, SOME)


def test_pulling_stops_cleanly_and_goes_on(some: None, tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        hub.piece_pause = 0.05
        pulling = _aimass(hub, tmp_path, "pull", SOME.name)
        part = tmp_path / "models" / ".some-weights.part" / "model.bin"
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 200_000):
            assert time.monotonic() < deadline
            assert pulling.poll() is None, pulling.communicate()
            time.sleep(0.02)
        pulling.send_signal(signal.SIGINT)
        _, complaint = pulling.communicate(timeout=60)
        assert pulling.returncode == 130
        assert "the next pull goes on there" in complaint
        assert "Traceback" not in complaint
        kept = part.stat().st_size
        assert 0 < kept < 3_000_000
        hub.piece_pause = 0
        again = _aimass(hub, tmp_path, "pull", SOME.name)
        out, complaint = again.communicate(timeout=60)
        assert again.returncode == 0, complaint
        assert str(tmp_path / "models" / "some-weights") in out.replace("\n", "")
        assert any(wanted == f"bytes={kept}-" for _, wanted in hub.asked)
    assert (tmp_path / "models" / "some-weights" / "model.bin").read_bytes() == FILES["model.bin"]
    shown = here("models", "weights", SOME.name, "--data-dir", str(tmp_path))
    assert 'licence = "MIT"' in shown.out
    assert "removed" in here("models", "remove", SOME.name, "--data-dir", str(tmp_path)).out
    assert not (tmp_path / "models" / "some-weights").exists()


def test_without_a_network_the_error_is_a_sentence(some: None, tmp_path: Path) -> None:
    with hub_with(FILES) as hub:
        pass
    (tmp_path / "models").mkdir()
    arguments = ["models", "pull", SOME.name, "--hub", hub.url, "--data-dir", str(tmp_path)]
    error = CliRunner().invoke(build(["models", "settings"]), arguments).exception  # which `main` prints in red
    assert isinstance(error, Unavailable)
    assert f"{hub.url} can't be reached" in error.detail
    assert list((tmp_path / "models").iterdir()) == []
