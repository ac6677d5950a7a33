"""What Tab completes, by the shell itself: commands, and the names that a server knows."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.command import aimass, clean, here
from tests.support.server import served

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as (url, _):
        for name in ("fish-small", "fish-large", "bird"):
            assert httpx.post(f"{url}/v1/hub/models", json={"name": name}).status_code == 201
        yield url


class Shell:
    """A bash that was taught the commands."""

    def __init__(self, folder: Path, url: str) -> None:
        programs = folder / "programs"
        programs.mkdir()
        (programs / "aimass").write_text(f'#!/bin/sh\nexec {sys.executable} -m aimass_stream "$@"\n')
        (programs / "aimass").chmod(0o755)
        (folder / "taught").write_text(here("completion", "bash").out)
        self.folder = folder
        self.env = clean() | {"AIMASS_URL": url, "XDG_CACHE_HOME": str(folder / "cache"),
                              "PYTHONPATH": str(Path(__file__).parents[2]),
                              "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def tab(self, line: str, **env: str) -> list[str]:
        """What bash offers behind this line."""
        asked = ('source taught; COMP_LINE="$1"; COMP_POINT=${#1}; _aimass_completion aimass; '
                 'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", asked, "bash", line], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, env=self.env | env, check=True)
        assert done.stderr == ""
        return sorted(done.stdout.split())


@pytest.fixture
def shell(tmp_path: Path, url: str) -> Shell:
    return Shell(tmp_path, url)


def test_commands_and_what_a_server_knows(shell: Shell) -> None:
    assert {"rollback", "upload"} <= set(shell.tab("aimass models "))
    assert shell.tab("aimass models show fish-") == ["fish-large", "fish-small"]
    kept = shell.folder / "cache" / "aimass" / "completion.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    httpx.post(f"{shell.env['AIMASS_URL']}/v1/hub/models", json={"name": "fish-new"})
    assert shell.tab("aimass predict fish-") == ["fish-large", "fish-small"]  # for some seconds
    kept.unlink()
    assert "fish-new" in shell.tab("aimass predict fish-")
    assert shell.tab("aimass models deploy bird@") == []  # it has no versions; what stands before the @ stays


def test_versions_are_completed_behind_the_at(shell: Shell) -> None:
    """bash breaks words there, and puts what it is given behind the break."""
    kept = shell.folder / "cache" / "aimass" / "completion.json"
    shell.tab("aimass models deploy bird@")
    kept.write_text(kept.read_text().replace('"names": []', '"names": ["production", "1", "2"]'))
    assert shell.tab("aimass models deploy bird@") == ["1", "2", "production"]
    assert shell.tab("aimass models deploy bird@p") == ["production"]


def test_a_server_that_is_away_is_silence(shell: Shell) -> None:
    begun = time.monotonic()
    assert shell.tab("aimass models show ", AIMASS_URL=NOWHERE) == []
    assert time.monotonic() - begun < 30
    assert shell.tab("aimass models show ", AIMASS_URL=NOWHERE, XDG_CACHE_HOME="/proc") == []  # nothing can be kept


def test_the_shell_completes_commands_as_it_was_installed() -> None:
    done = aimass(_AIMASS_COMPLETE="complete_bash", COMP_WORDS="aimass se", COMP_CWORD="1")
    assert {"serve", "sessions", "settings"} <= set(done.stdout.split())


def test_other_shells_are_taught_too() -> None:
    for shell, says in (("zsh", "compdef"), ("fish", "complete --command aimass")):
        assert says in here("completion", shell).out
    assert "it is one of bash, zsh, fish" in " ".join(here("completion", "tcsh").err.replace("│", " ").split())
