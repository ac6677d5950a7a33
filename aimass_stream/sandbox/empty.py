"""What runs in a cell that is only to be looked at: it says how it is closed, in 200 bytes of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any


def main(told: dict[str, Any], seal: Callable[[int], None]) -> None:
    seal(64 << 20)
    os.write(1, json.dumps(told["ways"]).encode().ljust(200))
