"""Models that nobody uses give their memory back: after a while, and sooner where memory is short.

A model that is needed again is loaded on demand. Those that live sessions have are never taken from them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import psutil

from ..errors import NotFound
from ..inference import Engine

log = logging.getLogger(__name__)

EVERY = 5.0  # s
IDLE = 900.0  # s without a run after which a version is unloaded
FRESH = 10.0  # s that it stays in any case
SHORT = 0.1  # share of the machine's memory that is free, below which the longest unused ones go


def memory_is_short() -> bool:
    memory = psutil.virtual_memory()
    return bool(memory.available < SHORT * memory.total)


class Cold:
    def __init__(self, engine: Engine, in_use: Callable[[], Mapping[str, list[str]]], *, idle: float = IDLE,
                 clock: Callable[[], float] = time.monotonic, short: Callable[[], bool] = memory_is_short) -> None:
        """`in_use` are the versions that live sessions have, with the sessions."""
        self._engine, self._in_use, self._idle, self._clock, self._short = engine, in_use, idle, clock, short
        self._last: dict[str, tuple[int, float]] = {}  # runs, and when there were more than before

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> list[str]:
        """Unload what is due; answers what that was."""
        now = self._clock()
        loaded = {name: each for name, each in self._engine.statistics().items() if "@" in name}
        self._last = {name: self._last[name] if name in self._last and self._last[name][0] == each.runs
                      else (each.runs, now) for name, each in loaded.items()}
        busy = self._in_use()
        idle = sorted((since, name) for name, (_, since) in self._last.items()
                      if name not in busy and not loaded[name].waiting and now - since >= FRESH)
        due = [name for since, name in idle if now - since >= self._idle]
        if not due and idle and self._short():
            due = [idle[0][1]]  # one at a time: it may be enough
        for name in due:
            try:
                await self._engine.unload(name)
            except NotFound:
                continue
            log.info("model %s was not used and is unloaded", name)
        return due
