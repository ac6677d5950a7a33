"""`aimass` as a person runs it: in a process of its own, or in this one where that makes no difference."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from aimass_stream.cli.main import COMMANDS, build

NOWHERE = {"XDG_CONFIG_HOME": "/nowhere"}
# where Python may not write bytecode beside its sources, each process would compile all that it imports
BYTECODE = {"PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(Path(__file__).parents[2] / ".pytest_cache" / "bytecode")}


def clean() -> dict[str, str]:
    """The environment without our own settings, and without what `aimass login` keeps for whoever runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith("AIMASS_")} | NOWHERE | BYTECODE


def aimass(*arguments: str, seconds: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "aimass_stream", *arguments], capture_output=True, text=True,
                          timeout=seconds, env=clean() | env, check=False)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def here(*arguments: str, typed: str | None = None, **env: str) -> Done:
    """The command in this process, with what is typed into it: starting one takes seconds on a busy machine."""
    settings = {name: None for name in os.environ if name.startswith("AIMASS_")} | {"COLUMNS": "160"} | NOWHERE | env
    done = CliRunner().invoke(build(list(COMMANDS)), list(arguments), env=settings, prog_name="aimass", input=typed)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Done(done.exit_code, done.stdout, done.stderr)
