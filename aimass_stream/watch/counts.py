"""Requests of each version: counted in memory, written every few seconds by the minute and by the day."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import AimassError
from ..store.database import Database
from ..usage.meter import BOUNDS, BUCKETS, percentile
from .tables import COUNTS

MINUTE, DAY = 60, 86400  # s
SPANS = {"minute": MINUTE, "day": DAY}
MINUTES_KEPT = 2 * DAY  # s; alerts look back a day at most
MOST = 20_000  # versions and minutes between two writings; what comes beyond is not counted
SUMMED = ("requests", "errors", "refused", "seconds", *(f"b{number}" for number in range(BUCKETS)))
KEYS = ("version", "span", "start")
# as text, as use is written: SQLAlchemy's own takes long for so many columns
ADD = text(f"""
    INSERT INTO watch_counts ({", ".join(f'"{name}"' for name in (*KEYS, *SUMMED))})
    VALUES ({", ".join(f":{name}" for name in (*KEYS, *SUMMED))})
    ON CONFLICT ({", ".join(f'"{name}"' for name in KEYS)})
    DO UPDATE SET {", ".join(f'"{name}" = watch_counts."{name}" + excluded."{name}"' for name in SUMMED)}
""")


@dataclass(slots=True)
class Count:
    requests: int = 0
    errors: int = 0  # the model's, or the server's
    refused: int = 0  # what the caller sent was not right, or too much
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, other: Count) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.refused += other.refused
        self.seconds += other.seconds
        for place, value in enumerate(other.buckets):
            self.buckets[place] += value

    def ms(self, share: float) -> float | None:
        seconds = percentile(self.buckets, share)
        return None if seconds is None else round(seconds * 1000, 3)

    def json(self) -> dict[str, Any]:
        return {"requests": self.requests, "errors": self.errors, "refused": self.refused,
                "latency_ms": {f"p{round(share * 100)}": self.ms(share) for share in (0.5, 0.95, 0.99)}}


class Counts:
    """`request` is called on the loop, for each; the others now and then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fresh: dict[tuple[str, int], Count] = {}  # by the version's name in the engine, and the minute

    def request(self, served: str, seconds: float, error: BaseException | None) -> None:
        """One was answered, or came to nothing. Takes a microsecond or two."""
        if error is not None and not isinstance(error, Exception):
            return  # its caller left
        key = (served, int(self._clock()) // MINUTE * MINUTE)
        count = self._fresh.get(key)
        if count is None:
            if len(self._fresh) >= MOST:
                return
            count = self._fresh[key] = Count()
        count.requests += 1
        if error is not None:
            if isinstance(error, AimassError) and error.status < 500:
                count.refused += 1
            else:
                count.errors += 1
        else:
            count.seconds += seconds
            count.buckets[bisect_left(BOUNDS, seconds)] += 1

    def take(self) -> dict[tuple[str, int], Count]:
        taken, self._fresh = self._fresh, {}
        return taken

    def give_back(self, taken: Mapping[tuple[str, int], Count]) -> None:
        """They could not be written."""
        for key, count in taken.items():
            if key in self._fresh or len(self._fresh) < MOST:
                self._fresh.setdefault(key, Count()).add(count)


async def write(connection: AsyncConnection, taken: Mapping[tuple[str, int], Count], ids: Mapping[str, str]) -> None:
    """`ids` of the versions there are, by their names in the engine."""
    rows = await asyncio.to_thread(_rows, taken, ids)
    if rows:
        await connection.execute(ADD, rows)


def _rows(taken: Mapping[tuple[str, int], Count], ids: Mapping[str, str]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, int], Count] = {}
    for (served, minute), count in taken.items():
        if served in ids:
            for span, seconds in SPANS.items():
                found.setdefault((ids[served], span, minute // seconds * seconds), Count()).add(count)
    return [dict(zip(KEYS, key, strict=True)) | {
        "requests": count.requests, "errors": count.errors, "refused": count.refused, "seconds": count.seconds,
        **{f"b{number}": value for number, value in enumerate(count.buckets)}} for key, count in sorted(found.items())]


async def within(connection: AsyncConnection, versions: Sequence[str], since: float) -> Count:
    """What became of requests of these versions, from the minute of that moment on."""
    asked = select(*(func.sum(COUNTS.c[name]) for name in SUMMED)).where(
        COUNTS.c.version.in_(versions), COUNTS.c.span == "minute", COUNTS.c.start >= int(since) // MINUTE * MINUTE)
    return _count((await connection.execute(asked)).one())


async def days(database: Database, version: str, since: float) -> dict[int, Count]:
    """By the day's begin."""
    asked = select(COUNTS.c.start, *(COUNTS.c[name] for name in SUMMED)).where(
        COUNTS.c.version == version, COUNTS.c.span == "day", COUNTS.c.start >= int(since) // DAY * DAY).order_by(
            COUNTS.c.start)
    async with database.read() as connection:
        return {row[0]: _count(row[1:]) for row in await connection.execute(asked)}


async def forget(connection: AsyncConnection, now: float, keep_days: float) -> None:
    for span, kept in (("minute", MINUTES_KEPT), ("day", keep_days * DAY)):
        await connection.execute(delete(COUNTS).where(COUNTS.c.span == span, COUNTS.c.start < now - kept))


def _count(row: Sequence[Any]) -> Count:
    requests, errors, refused, seconds, *buckets = row
    return Count(int(requests or 0), int(errors or 0), int(refused or 0), float(seconds or 0),
                 [int(each or 0) for each in buckets])
