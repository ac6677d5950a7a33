"""Cells: what they are closed with is told, and none outlives whoever started it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from aimass_stream.cli.cells import cells as doctor
from aimass_stream.errors import SandboxError, SandboxTimeout, Unavailable
from aimass_stream.sandbox import cells
from aimass_stream.sandbox.cells import Cell, CellLimits, ways
from aimass_stream.settings import Settings

ROOT = Path(__file__).parent.parent
UNNEEDED = shutil.ignore_patterns("tests", "__pycache__", "f2py", "distutils", "include", "*.pyi", "*.a")
SLEEPS = """
import os, time

def main(told, seal):
    seal(1 << 20)
    os.write(1, b"here")
    time.sleep(600)
"""
SERVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from aimass_stream.sandbox.cells import Cell
cell = Cell(Path(sys.argv[2]), {})
answer = bytearray(4)
cell.receive(memoryview(answer), time.monotonic() + 60)
print(answer.decode(), flush=True)
time.sleep(600)
"""


ELSEWHERE = """
import json, os, sys
os.umask(0o077)
sys.path.insert(0, sys.argv[1])
from aimass_stream.cli.cells import cells
from aimass_stream.sandbox.cells import libraries, look
found = cells(None)
print(json.dumps([found.state, found.detail, libraries(), look(["numpy"])[1]]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "sleeps.py").write_text(SLEEPS)
    return tmp_path / "sleeps.py"


def test_it_says_how_it_is_closed() -> None:
    told = ways()
    assert "seccomp" in told
    assert {"mounts", "landlock"} & set(told)
    assert {"user", "user namespace"} & set(told)


def test_python_may_lie_where_a_cell_has_its_scratch() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        prefix = Path(folder) / "venv"
        packages = prefix / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        packages.mkdir(parents=True)
        (prefix / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
        (prefix / "bin").mkdir()
        (prefix / "bin/python").symlink_to(sys.executable)
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if path.suffix != ".pth" and not path.name.startswith(("numpy", "torch")):
                (packages / path.name).symlink_to(path)
        shutil.copytree(Path(np.__file__).parent, packages / "numpy", symlinks=True, ignore=UNNEEDED)
        libs = Path(np.__file__).parent.parent / "numpy.libs"  # of its wheel
        if libs.exists():
            shutil.copytree(libs, packages / libs.name)
        done = subprocess.run([prefix / "bin/python", "-c", ELSEWHERE, str(ROOT)], capture_output=True,
                              text=True, check=False)
    assert done.returncode == 0, done.stderr
    state, detail, folders, imported = json.loads(done.stdout)
    assert folders[0] == str(packages)
    assert imported == {"numpy": [np.__version__]}
    assert state == "ok"
    assert f"numpy {np.__version__} in there, no torch" in detail


def test_what_a_cell_does_not_see_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "libraries", list)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = doctor(Settings())
    assert found.state == "warn"
    assert "within a cell numpy can't be imported (ModuleNotFoundError" in found.detail
    assert "will be refused" in found.advice


def test_what_is_missing_is_said_and_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "touches.py"
    script.write_text(f"open({str(tmp_path / 'touched')!r}, 'w')\n")
    monkeypatch.setattr(cells, "shown", lambda: [str(tmp_path)])
    tmp_path.chmod(0o700)  # which a user of its own can't read: there are neither mounts nor a way to Python
    cell = Cell(script, {}, CellLimits(namespaces=False))
    with pytest.raises(Unavailable, match="code can't be run safely on this machine: a user of its own"):
        cell.receive(memoryview(bytearray(1)), time.monotonic() + 60)
    cell.close()
    assert not (tmp_path / "touched").exists()


def test_a_deadline_and_an_end(script: Path) -> None:
    cell = Cell(script, {}, name="fish@1")
    answer = bytearray(4)
    cell.receive(memoryview(answer), time.monotonic() + 60)
    assert answer == b"here"
    with pytest.raises(SandboxTimeout):
        cell.receive(memoryview(answer), time.monotonic() + 0.05)
    with pytest.raises(SandboxTimeout):
        cell.send([bytes(1 << 22)], time.monotonic() + 0.2)  # which it does not read
    family = psutil.Process(cell._process.pid).children(recursive=True)
    assert family
    cells.close_named("fish@1")
    assert psutil.wait_procs(family, 30)[1] == []
    with pytest.raises(SandboxError, match="ended"):
        cell.receive(memoryview(answer), time.monotonic() + 60)
    cell.close()


def test_a_killed_server_takes_its_cells_along(script: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER, str(ROOT), str(script)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"here\n"
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) >= 2
        server.kill()
    assert psutil.wait_procs(family, 30)[1] == []
