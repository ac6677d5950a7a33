"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aimass_stream.frames import now


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Return once `condition()` holds; fails after `seconds`."""
    deadline = now() + seconds
    while not condition():
        assert now() < deadline, f"still not so after {seconds:g} s"
        await asyncio.sleep(0.005)
