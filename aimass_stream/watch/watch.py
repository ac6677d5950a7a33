"""How versions of models do, as a whole: `app.state.watch`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import metrics
from ..hub.catalogue import owned, version_in
from ..hub.hub import Hub
from ..hub.tables import MODELS, VERSIONS
from ..inference import Batch
from ..ports import SCOPES, Auditor, Caller
from ..store.database import Database
from . import counts, drift, feedback
from .alerts import Alerts, Post
from .clock import Clock
from .counts import DAY, Counts
from .feedback import Feedback
from .sampling import Sampler, Taken

log = logging.getLogger(__name__)

EVERY = 10.0  # s between two writings, and two looks at the rules
SWEEP = 3600.0  # s
SERVER = Caller("server", role="admin", scopes=SCOPES)  # who the audit log says has seen it


@dataclass(frozen=True, slots=True)
class Kept:
    """How long, in days."""

    baseline: float = 7  # that others are compared with, from a version's first request on
    feedback: float = 90
    days: float = 800  # of requests by the day


class Watch:
    """Made when the database and the hub are open; `start` and `close` it between theirs."""

    def __init__(self, database: Database, hub: Hub, auditor: Auditor, post: Post, kept: Kept | None = None,
                 clock: Clock | None = None) -> None:
        self._database, self._hub, self._kept = database, hub, kept or Kept()
        self.clock = clock or Clock()
        self.counts = Counts(self.clock)
        self.sampler = Sampler()
        self.feedback = Feedback(database, self.clock)
        self.alerts = Alerts(database, self.clock, auditor, SERVER, post)
        self._task: asyncio.Task[None] | None = None
        self._swept = time.monotonic()
        self._writing = asyncio.Lock()

    def start(self) -> None:
        """Have the engine's answers seen, beside who saw them before."""
        before: Callable[[str, Batch, Batch], None] | None = self._hub.engine.answered
        seen = self.sampler.answered

        def answered(model: str, inputs: Batch, outputs: Batch) -> None:
            if before is not None:
                before(model, inputs, outputs)
            seen(model, inputs, outputs)

        self._hub.engine.answered = answered
        self._task = asyncio.create_task(self._run(), name="watch")

    async def close(self) -> None:
        """Write what was seen last."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            try:
                await self.write()
            except Exception:  # nobody is left who could try again
                log.exception("what versions did last was not written")

    async def look(self) -> None:
        """Write what was seen, and look at the rules."""
        self.clock.look()
        await self.write()
        await self.alerts.look()
        if time.monotonic() - self._swept > SWEEP:
            self._swept = time.monotonic()
            await self.sweep()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
            except Exception:  # of a database that will be there again
                log.exception("versions could not be looked at")

    async def write(self) -> None:
        """What was counted and sampled. What can't be written is kept for the next time, but for samples."""
        async with self._writing:
            taken, samples = self.counts.take(), self.sampler.take()
            metrics.WATCHED.labels("taken").inc(self.sampler.taken)
            metrics.WATCHED.labels("left_out").inc(self.sampler.left_out)
            self.sampler.taken = self.sampler.left_out = 0
            if not taken and not samples:
                return
            try:
                async with self._database.begin() as connection:
                    ids = await _ids(connection, {*samples, *(served for served, _ in taken)})
                    await counts.write(connection, taken, ids)
            except BaseException:
                self.counts.give_back(taken)
                raise
            for served, seen in samples.items():
                if served in ids:
                    await self._write(ids[served], seen)

    async def _write(self, version: str, samples: list[list[Taken]]) -> None:
        async with self._database.begin() as connection:  # one for each: other writers come between
            if await connection.scalar(select(VERSIONS.c.id).where(VERSIONS.c.id == version)) is not None:
                await drift.write(connection, version, samples, self.clock(), self._kept.baseline)

    async def sweep(self) -> None:
        """Forget what is old."""
        now = self.clock()
        async with self._database.begin() as connection:
            await counts.forget(connection, now, self._kept.days)
            await drift.forget(connection, now)
            await feedback.forget(connection, now, self._kept.feedback)

    async def of(self, caller: Caller, name: str, number: int, days: int = 30) -> dict[str, Any]:
        """All that is known of a version, for the model's owner."""
        await self.write()
        now = self.clock()
        async with self._database.read() as connection:
            version = await version_in(connection, await owned(connection, caller, name), number)
            drifted = await drift.of(connection, version.id, now)
            given = await feedback.counted(connection, version.id)
        by_day = await counts.days(self._database, version.id, now - (days - 1) * DAY)
        total = counts.Count()
        for count in by_day.values():
            total.add(count)
        return {"model": version.served, **total.json(),
                "days": [{"day": day, **count.json()} for day, count in by_day.items()],
                "drift": None if drifted is None else drifted.json(), "feedback": given}

    async def begin_anew(self, caller: Caller, name: str, number: int) -> None:
        """Forget a version's baseline: the next week is one."""
        await self.write()
        async with self._database.read() as connection:
            version = await version_in(connection, await owned(connection, caller, name), number)
        await drift.begin_anew(self._database, version.id)


async def _ids(connection: AsyncConnection, served: Collection[str]) -> dict[str, str]:
    """Of versions by their names in the engine; models that are built in have one, and no number."""
    names = {each.partition("@")[0] for each in served}
    rows = await connection.execute(select(VERSIONS.c.id, VERSIONS.c.number, MODELS.c.name, MODELS.c.built_in).join(
        MODELS, MODELS.c.id == VERSIONS.c.model).where(MODELS.c.name.in_(names)))
    found = {row.name if row.built_in else f"{row.name}@{row.number}": row.id for row in rows}
    return {each: found[each] for each in served if each in found}
