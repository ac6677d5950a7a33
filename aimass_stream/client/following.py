"""What a server tells of one thing as server-sent events, for as long as it takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from ..errors import Unavailable
from .connection import Connection

SILENT = 60.0  # s without a sign of life, which comes every 10 s
TRIES = 5  # of following on, without news between them
WAIT = 0.2  # s before the first of them; twice as long before each further one


async def events(connection: Connection, path: Callable[[], str], what: str) -> AsyncGenerator[dict[str, Any]]:
    """Each event as JSON, without an end; a line that breaks is taken up again at what `path` then says.

    Raises `Unavailable` where nothing more is told of `what`, and the server's refusal.
    """
    failures = 0
    while True:
        try:
            async with connection.streamed(path(), seconds=SILENT) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        failures = 0
                        yield json.loads(line[5:])
        except Unavailable:
            if failures >= TRIES:
                raise
        failures += 1
        if failures > TRIES:
            raise Unavailable(f"nothing more is told of {what}")
        await asyncio.sleep(WAIT * 2**failures)
