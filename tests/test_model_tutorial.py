"""The walk from a file to an app that others use works as it stands in the tutorials: with accounts, by commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clients.running import PYTHON as STOCK
from tests.support.accounts import PASSWORD
from tests.support.command import clean
from tests.support.server import served

pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here"),
    pytest.mark.skipif(not STOCK.exists(), reason=".venv-clients is not here: `make test` installs it")]

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
HERE = "http://127.0.0.1:8000"
LINK = f"{HERE}/sign-up#adm_..."
SAVED = re.compile(r"`(\w+\.(?:py|json))`")


def blocks(name: str) -> list[tuple[str, str, str]]:
    """Its blocks in their order: the language, the text, and the name that it is to be saved as."""
    text, found, saved = (TUTORIALS / name).read_text(encoding="utf-8"), [], ""
    for before, language, written in re.findall(r"(.*?)^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        saved = (SAVED.findall(before) or [saved])[-1]
        found.append((language, written, saved))
    return found


class Walk:
    """People with a terminal each, in one folder."""

    def __init__(self, folder: Path, url: str, link: str) -> None:
        self.folder, self.url, self.link = folder, url, link
        self.said, self.ran = "", 0
        self.invited: dict[str, str] = {}
        programs = folder / "programs"
        programs.mkdir()
        for name, what in (("aimass", f"exec {sys.executable} -m aimass_stream"), ("python", (
                f'case "$1" in ask.py) exec {STOCK} "$@";; esac; exec {sys.executable}'))):
            program = programs / name
            program.write_text(f'#!/bin/sh\n{what} "$@"\n')
            program.chmod(0o755)
        self.env = clean() | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160",
                              "PYTHONPATH": str(ROOT)}

    def take(self, name: str) -> None:
        for language, written, saved in blocks(name):
            if language in ("python", "json"):
                (self.folder / saved).write_text(written)
            elif language == "sh" and written != "aimass serve --accounts\n":
                self.run(written)
            elif not language:
                for line in written.replace(HERE, self.url).splitlines():
                    assert " ".join(line.split()) in self.said, f"{line!r} is not in {self.said!r}"

    def run(self, written: str) -> None:
        whose = re.match(r"# (\w+)\n", written)
        who = whose[1] if whose else "ada"
        text = written.replace(LINK, self.link).replace(HERE, self.url).replace(
            HERE.removeprefix("http://"), self.url.removeprefix("http://")).replace(
            "inv_...", self.invited.get(who, ""))
        text = re.sub(r"^(aimass login .*)$", r"\1 --password-stdin", text, flags=re.MULTILINE)
        done = subprocess.run(["sh", "-e", "-c", text], cwd=self.folder, capture_output=True, text=True, timeout=120,
                              env=self.env | {"XDG_CONFIG_HOME": str(self.folder / who)}, input=f"{PASSWORD}\n",
                              check=False)
        assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
        names = re.findall(r"users create (\w+)", text)
        self.invited |= dict(zip(names, done.stdout.split(), strict=True)) if names else {}
        self.said, self.ran = " ".join(done.stdout.split()), self.ran + 1

    def json(self, who: str, command: str) -> list[dict[str, object]]:
        done = subprocess.run(["sh", "-e", "-c", f"{command} --json"], cwd=self.folder, capture_output=True, text=True,
                              env=self.env | {"XDG_CONFIG_HOME": str(self.folder / who)}, timeout=120, check=True)
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found


def test_every_step_does_what_is_said(tmp_path: Path) -> None:
    with served("--accounts") as (url, process):
        log = Path(f"/proc/{process.pid}/fd/1").read_text()
        walk = Walk(tmp_path, url, next(word for word in log.split() if word.startswith(f"{url}/sign-up#")))
        walk.take("your-own-model.md")
        assert walk.ran == 11
        walk.take("from-a-model-to-an-app.md")
        assert walk.ran == 22
        assert (tmp_path / "seen.jpg").read_bytes()[:2] == b"\xff\xd8"
        deadline = time.monotonic() + 60
        while len(used := walk.json("ada", "aimass usage --by key")) < 4:  # ada's two keys, bob's, carl's
            assert time.monotonic() < deadline, used
        assert sorted((row["requests"], row["sessions"]) for row in used) == [(0, 1), (0, 1), (2, 0), (2, 0)]
