"""Waiting for what may never end: a run in a thread that nobody can stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

R = TypeVar("R")

# patience is looked at in so many parts: a process that was stopped for a while wakes up to one that is over
PARTS = 5


class Hangs(Exception):
    """A run that does not end."""


async def watched(work: Awaitable[R], patience: float, begun: Callable[[], bool]) -> R:
    """Raises `Hangs` when it has not ended so many seconds after it was begun; what runs in a thread is left there."""
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)
    timer: asyncio.TimerHandle

    def look(parts: int) -> None:
        nonlocal timer
        parts += begun()
        if parts < PARTS:
            timer = loop.call_later(patience / PARTS, look, parts)
        else:
            limit.reschedule(loop.time())

    timer = loop.call_later(patience / PARTS, look, 0)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise Hangs from None
        raise
    finally:
        timer.cancel()
