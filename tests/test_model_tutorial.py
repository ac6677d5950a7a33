"""The walk-through of a model of one's own works as it stands there, with accounts and without a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.accounts import PASSWORD
from tests.support.command import clean
from tests.support.server import served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "your-own-model.md"
HERE = "http://127.0.0.1:8000"
LINK = f"{HERE}/sign-up#adm_..."


def blocks() -> list[tuple[str, str]]:
    """Its blocks in their order, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    """With `aimass` and `python` as what is tested, and a home of its own."""
    programs = folder / "programs"
    programs.mkdir()
    for name, what in (("aimass", f"{sys.executable} -m aimass_stream"), ("python", sys.executable)):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {what} "$@"\n')
        program.chmod(0o755)
    return clean() | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "XDG_CONFIG_HOME": str(folder / "home"),
                      "COLUMNS": "160", "PYTHONPATH": str(TUTORIAL.parents[2])}


def test_every_step_does_what_is_said(tmp_path: Path) -> None:
    steps, said = blocks(), ""
    assert steps[0] == ("sh", "aimass serve --accounts\n")
    with served("--accounts") as (url, process):
        log = Path(f"/proc/{process.pid}/fd/1").read_text()
        link = next(word for word in log.split() if word.startswith(f"{url}/sign-up#"))
        env, ran = environment(tmp_path), 0
        for language, written in steps[1:]:
            text = written.replace(LINK, link).replace(HERE, url)
            if language == "python":
                (tmp_path / "fahrenheit.py").write_text(text)
            elif language == "sh":
                text = text.replace(" --name ada", " --name ada --password-stdin")
                done = subprocess.run(["sh", "-e", "-c", text], cwd=tmp_path, env=env, capture_output=True, text=True,
                                      timeout=120, input=f"{PASSWORD}\n", check=False)
                assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
                said, ran = " ".join(done.stdout.split()), ran + 1
            else:
                for line in text.splitlines():
                    assert " ".join(line.split()) in said, f"{line!r} is not in {said!r}"
        assert ran == 11
