"""How apps do: sessions, failures and latency by day, and who fails too often is suspended."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, NotFound
from ..session import Session
from ..store.database import Database
from .records import SERVER, who
from .review import Review
from .tables import APPS, DAYS, PROBES

log = logging.getLogger(__name__)

BUCKETS = (5, 10, 20, 30, 45, 65, 100, 150, 250, 500, 1000, 2500)  # ms; the last count is of what is above
DAY = 86400
RECENT = 3600.0  # s that count for the rate of errors
IN_A_ROW = 3  # probes that fail
LAST = 100  # ends of sessions that are looked at

What: TypeAlias = Literal["sessions", "runs", "probes"]


@dataclass(slots=True)
class Count:
    sessions: int = 0
    runs: int = 0
    probes: int = 0
    failed: int = 0
    seconds: float = 0.0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def add(self, other: Count) -> None:
        self.sessions += other.sessions
        self.runs += other.runs
        self.probes += other.probes
        self.failed += other.failed
        self.seconds += other.seconds
        self.latencies = [mine + more for mine, more in zip(self.latencies, other.latencies, strict=True)]

    def percentile(self, share: float) -> float | None:
        """ms, the upper end of the bucket where that share of sessions is reached."""
        total, reached = sum(self.latencies), 0
        for bucket, count in zip((*BUCKETS, BUCKETS[-1]), self.latencies, strict=True):
            reached += count
            if total and reached >= share * total:
                return float(bucket)
        return None

    def json(self) -> dict[str, Any]:
        all_ = self.sessions + self.runs + self.probes
        return {"sessions": self.sessions, "runs": self.runs, "probes": self.probes, "failed": self.failed,
                "error_rate": round(self.failed / all_, 4) if all_ else None, "seconds": round(self.seconds, 1),
                "latency_ms": {f"p{round(share * 100)}": self.percentile(share) for share in (0.5, 0.95, 0.99)}}


class Health:
    """`note` is called for each session that ends, on the loop; `flush` now and then."""

    def __init__(self, database: Database, review: Review, *, error_rate: float, least: int,
                 clock: Callable[[], float] = time.time) -> None:
        """From `error_rate` on, of at least so many within an hour, an app is suspended; 0: none is."""
        self._database, self._review, self._clock = database, review, clock
        self._rate, self._least = error_rate, least
        self._fresh: dict[tuple[str, int], Count] = {}
        self._moving = asyncio.Lock()  # what is fresh is here or in the database, for who looks meanwhile
        self._ends: dict[str, deque[tuple[float, bool, str]]] = {}  # of each app that is published
        self._missed: dict[str, int] = {}  # probes that failed, one after the other
        self._bad: dict[str, str] = {}  # why

    def ended(self, session: Session) -> None:
        """For `Node.ended`."""
        app = session.app
        if app is None or session.transport == "probe":
            return
        totals = [sorted(hops["total"]) for hops in session.meter.hops.values() if hops.get("total")]
        latency = max((values[len(values) // 2] for values in totals), default=None)
        seconds = max(0.0, self._clock() - session.created)  # a clock may jump
        self.note(app.id, "runs" if session.transport == "rest" else "sessions", failed=session.failures > 0,
                  seconds=seconds, latency=latency, public=bool(getattr(app, "published", False)),
                  by=who(session.caller))

    def note(self, app: str, what: What, *, failed: bool, seconds: float = 0.0, latency: float | None = None,
             public: bool = True, by: str = "") -> None:
        """`public`: it was of the version that everybody has. `latency` in s. One caller alone, `by`, can have
        nothing suspended, however often what they send makes it fail."""
        moment = self._clock()
        count = Count(failed=int(failed), seconds=seconds)
        setattr(count, what, 1)
        if latency is not None:
            count.latencies[bisect_left(BUCKETS, latency * 1000)] = 1
        self._fresh.setdefault((app, int(moment // DAY)), Count()).add(count)
        if public:
            ends = self._ends.setdefault(app, deque(maxlen=LAST))
            ends.append((moment, failed, by))
            recent = [(bad, caller) for at, bad, caller in ends if at > moment - RECENT]
            if failed and self._rate and len(recent) >= self._least and self._fails(recent):
                self._bad[app] = f"{sum(bad for bad, _ in recent)} of its last {len(recent)} sessions failed"

    def _fails(self, recent: list[tuple[bool, str]]) -> bool:
        failed = [caller for bad, caller in recent if bad]
        return len(failed) >= self._rate * len(recent) and len(set(failed)) > 1

    async def flush(self) -> None:
        """Write what was counted, and suspend what fails too often."""
        async with self._moving:
            await self._write()
        bad, self._bad = self._bad, {}
        for app, reason in bad.items():
            self._ends.pop(app, None)
            self._missed.pop(app, None)
            try:
                await self._review.suspend(SERVER, app, reason)
                log.warning("app %s is suspended: %s", app, reason)
            except (NotFound, Conflict):
                log.info("app %s failed too often, and nobody can use it any more", app)

    async def _write(self) -> None:
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        try:
            async with self._database.begin() as connection:
                for (app, day), count in fresh.items():
                    await _write(connection, app, day, count)
        except BaseException:
            for key, count in fresh.items():
                self._fresh.setdefault(key, Count()).add(count)
            raise

    async def of(self, app: str, days: int = 30) -> dict[str, Any]:
        """What came of its sessions in the last days, each day and all together, and of its last probe."""
        first = int(self._clock() // DAY) - days + 1
        async with self._moving:
            async with self._database.read() as connection:
                rows = (await connection.execute(select(DAYS).where(DAYS.c.app == app, DAYS.c.day >= first)
                                                 .order_by(DAYS.c.day))).all()
                probe = (await connection.execute(select(PROBES).where(PROBES.c.app == app))).first()
            counts = {row.day: Count(row.sessions, row.runs, row.probes, row.failed, row.seconds, list(row.latencies))
                      for row in rows}
            for (of, day), count in self._fresh.items():
                if of == app and day >= first:
                    counts.setdefault(day, Count()).add(count)
        total = Count()
        for count in counts.values():
            total.add(count)
        return total.json() | {
            "days": [{"day": day * DAY, **counts[day].json()} for day in sorted(counts)],
            "probe": None if probe is None else {"at": probe.at, "passed": bool(probe.passed),
                                                 "detail": probe.detail, "seconds": probe.seconds}}

    async def probed(self, app: str, passed: bool, detail: str, seconds: float) -> None:
        """Keep what came of a probe; it counts as a session does, and `IN_A_ROW` of them that fail are enough."""
        self._missed[app] = 0 if passed else self._missed.get(app, 0) + 1
        self.note(app, "probes", failed=not passed, by=who(SERVER))
        if self._rate and self._missed[app] >= IN_A_ROW:
            self._bad[app] = f"its example failed {IN_A_ROW} times in a row: {detail[:500]}"
        async with self._database.begin() as connection:
            if (await connection.execute(select(APPS.c.id).where(APPS.c.id == app))).first() is None:
                return  # it was deleted meanwhile
            await connection.execute(delete(PROBES).where(PROBES.c.app == app))
            await connection.execute(insert(PROBES).values(
                app=app, at=self._clock(), passed=int(passed), detail=detail[:1000], seconds=seconds))


async def _write(connection: AsyncConnection, app: str, day: int, count: Count) -> None:
    mine = (DAYS.c.app == app, DAYS.c.day == day)
    used = count.sessions + count.runs
    if not (await connection.execute(update(APPS).where(APPS.c.id == app).values(used=APPS.c.used + used))).rowcount:
        return  # it was deleted meanwhile
    row = (await connection.execute(select(DAYS).where(*mine))).first()
    if row is not None:
        count.add(Count(row.sessions, row.runs, row.probes, row.failed, row.seconds, list(row.latencies)))
        await connection.execute(delete(DAYS).where(*mine))
    await connection.execute(insert(DAYS).values(
        app=app, day=day, sessions=count.sessions, runs=count.runs, probes=count.probes, failed=count.failed,
        seconds=count.seconds, latencies=count.latencies))
