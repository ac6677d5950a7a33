"""Settings for tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from aimass_stream.settings import Settings


def settings(**options: Any) -> Settings:
    """A free port, no refusal because the test machine is busy, and no weights from the internet."""
    given: dict[str, Any] = {"port": 0, "max_load": 1, "max_loop_lag": 10, "fetch": False, "warm": False,
                             "data_dir": Path(tempfile.gettempdir())}
    return Settings(**(given | options))
