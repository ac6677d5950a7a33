"""The meter, the sessions and the ledger together, with the task that writes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .meter import Meter
from .sessions import Seen, Sessions
from .used import SPANS

if TYPE_CHECKING:
    from ..store.database import Database
    from .ledger import Ledger

log = logging.getLogger(__name__)

EVERY = 5.0  # s between two writings: what a killed process loses
HOURS_KEPT = 32 * 86400.0  # s that hours are kept; what is longer is kept as the settings say
SWEEP = 3600.0  # s


class Usage:
    """`open` it with the database, `close` it before the database."""

    def __init__(self, sessions: Callable[[], Iterable[Seen]] = tuple, *, every: float = EVERY,
                 keep_days: float = 800) -> None:
        self.meter = Meter()
        self._seen, self._sessions = sessions, Sessions(self.meter)
        self._every, self._keep = every, keep_days * 86400
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None
        self._swept = -SWEEP

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None, "open it first"
        return self._ledger

    async def open(self, database: Database) -> None:
        from .ledger import Ledger  # imports SQLAlchemy

        self._ledger = Ledger(database)
        self._task = asyncio.create_task(self._run(), name="usage")

    async def close(self) -> None:
        """Write what was counted last."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self.write()

    def ended(self, there: Iterable[Seen]) -> None:
        """Sessions, as they were at their end."""
        for seen in there:
            self._sessions.ended(seen, time.monotonic())

    async def write(self) -> None:
        """Look at the sessions, and put everything that was counted into the database."""
        self._sessions.look(self._seen(), time.monotonic())
        taken = self.meter.take()
        if not taken:
            return
        try:
            await self.ledger.add(taken, time.time())
        except BaseException as error:
            self.meter.give_back(taken)
            if not isinstance(error, Exception):
                raise
            log.warning("usage can't be written, and is kept for later: %s", error)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.write()
            if time.monotonic() - self._swept > SWEEP:
                self._swept = time.monotonic()
                try:
                    await self._sweep()
                except Exception as error:  # of a database that will be there again
                    log.warning("old usage could not be deleted, and is later: %s", error)

    async def _sweep(self) -> None:
        """What is older than the settings say; a stretch goes when the last of its days does."""
        now = time.time()
        for span in SPANS:
            await self.ledger.forget(span, now - (min(HOURS_KEPT, self._keep) if span == "hour" else self._keep))
