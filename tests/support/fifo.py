"""A named pipe: opening it to read waits for somebody who writes, so that a test says when it is done."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import until


async def writer(fifo: Path) -> int:
    """Number of the end to write to, once somebody opens the other one; to be closed."""
    found: list[int] = []

    def reads() -> bool:
        with suppress(OSError):
            found.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    await until(reads)
    return found[0]


def unread(number: int) -> bool:
    """Nobody has the other end open."""
    try:
        os.write(number, b"{}")
    except BrokenPipeError:
        return True
    return False
