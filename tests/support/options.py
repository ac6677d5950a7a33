"""Settings for tests."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from aimass_stream.settings import Settings

_HOME = Path(tempfile.mkdtemp(prefix="aimass-tests-"))
_numbers = itertools.count()
atexit.register(shutil.rmtree, _HOME, True)


def settings(**options: Any) -> Settings:
    """A free port, an empty folder, no refusal because the test machine is busy, and no weights from the internet."""
    given: dict[str, Any] = {"port": 0, "max_load": 1, "max_loop_lag": 10, "fetch": False, "warm": False,
                             "builtin_apps": False, "data_dir": _HOME / str(next(_numbers))}
    made = Settings(**(given | options))
    if "data_dir" not in options:
        made.data_dir.mkdir()
    return made
