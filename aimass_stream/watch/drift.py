"""Whether inputs became others than in the first week of a version: its baseline, and histograms by the hour."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..store.database import Database
from .histogram import Histogram, psi
from .sampling import Taken, features
from .tables import BASELINES, HOURS

DAY, HOUR = 86400, 3600  # s
RECENT = DAY  # s that are compared with the baseline
KEPT = 8 * DAY  # s
FEATURES = 64  # of a version; further ones are left out
LEAST = 100  # samples that a baseline has, however long that takes
NAMES = 80  # characters

Features = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Feature:
    """One number that describes an input, now and in the baseline."""

    name: str
    before: Histogram
    now: Histogram
    apart: bool = True  # else what is recent is in the baseline itself: there is nothing to compare

    @property
    def psi(self) -> float | None:
        return psi(self.before, self.now) if self.apart else None

    @property
    def shift(self) -> float | None:
        """How far the mean went, in standard deviations of the baseline."""
        if not self.apart or not self.before.count or not self.now.count:
            return None
        apart = self.now.mean - self.before.mean
        return apart / self.before.std if self.before.std else 0.0 if apart == 0 else None

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "psi": _round(self.psi), "shift": _round(self.shift), **_described(self.now),
                "edges": self.before.edges, "first_week": _described(self.before)}


@dataclass(frozen=True, slots=True)
class Drift:
    since: float  # s since the epoch: the first sample
    until: float  # of the baseline
    complete: bool
    samples: int  # that the baseline has
    recent: int  # samples of the last day; once it is complete, those after it alone
    features: tuple[Feature, ...]

    @property
    def psi(self) -> float | None:
        """Of the feature that is furthest away."""
        return max((value for feature in self.features if (value := feature.psi) is not None), default=None)

    def json(self) -> dict[str, Any]:
        return {"since": self.since, "until": self.until, "complete": self.complete, "samples": self.samples,
                "recent": self.recent, "psi": _round(self.psi), "inputs": [each.json() for each in self.features]}


async def write(connection: AsyncConnection, version: str, samples: Sequence[Sequence[Taken]], now: float,
                baseline_days: float) -> None:
    """Add what was seen of a version's inputs."""
    row = (await connection.execute(select(BASELINES).where(BASELINES.c.version == version))).first()
    since = now if row is None else row.since
    until = now + baseline_days * DAY if row is None else row.until
    seen = 0 if row is None else row.samples
    start = int(now) // HOUR * HOUR
    mine = (HOURS.c.version == version, HOURS.c.start == start)
    hour = (await connection.execute(select(HOURS).where(*mine))).first()
    growing = now < until or seen < LEAST
    baseline, recent = await asyncio.to_thread(
        _written, "{}" if row is None else row.features, "{}" if hour is None else hour.features, samples, growing)
    if growing:
        until = max(until, now)  # with few samples it lasts longer
    if growing or (row is not None and baseline != row.features):
        values = {"since": since, "until": until, "samples": seen + len(samples) * growing, "features": baseline}
        await connection.execute(
            insert(BASELINES).values(version=version, **values) if row is None else
            update(BASELINES).where(BASELINES.c.version == version).values(values))
    count = len(samples) + (0 if hour is None else hour.samples)
    await connection.execute(
        insert(HOURS).values(version=version, start=start, samples=count, features=recent) if hour is None else
        update(HOURS).where(*mine).values(samples=count, features=recent))


def _written(before: str, hour: str, samples: Sequence[Sequence[Taken]], growing: bool) -> tuple[str, str]:
    baseline, recent = _added(json.loads(before), json.loads(hour), samples, growing)
    return json.dumps(baseline), json.dumps(recent)


def _added(before: Features, hour: Features, samples: Sequence[Sequence[Taken]], growing: bool
           ) -> tuple[Features, Features]:
    before, hour = dict(before), dict(hour)
    for name, values in features(samples).items():
        if name in before:
            base = Histogram.of(before[name], before[name].get("edges"))
        elif growing and len(before) < FEATURES:
            base = Histogram()
        else:
            continue
        if growing:
            base.add(values)
        base.learn(values if growing else values[:0], len(samples), now=not growing)
        recent = Histogram.of(hour[name], base.edges) if name in hour else base.like()
        if len(recent.bins) != len(base.bins):  # they were learned just now
            recent.bins = [0] * len(base.bins)
        recent.add(values)
        before[name] = base.json() | {"edges": base.edges}
        hour[name] = recent.json()
        time.sleep(0)  # the loop goes first
    return before, hour


async def of(connection: AsyncConnection, version: str, now: float, seconds: float = RECENT) -> Drift | None:
    """None of a version that nobody asked."""
    row = (await connection.execute(select(BASELINES).where(BASELINES.c.version == version))).first()
    if row is None:
        return None
    complete = now >= row.until and row.samples >= LEAST
    begin = int(now - seconds) // HOUR * HOUR
    if complete:  # an hour in which it ended has inputs of both
        begin = max(begin, math.ceil(row.until))
    hours = (await connection.execute(select(HOURS.c.samples, HOURS.c.features).where(
        HOURS.c.version == version, HOURS.c.start >= begin))).all()
    found = await asyncio.to_thread(_read, row.features, [hour.features for hour in hours], complete)
    return Drift(row.since, row.until, complete, row.samples,
                 sum(hour.samples for hour in hours), found)


def _read(before: str, hours: Sequence[str], complete: bool) -> tuple[Feature, ...]:
    return _compared(json.loads(before), [json.loads(hour) for hour in hours], complete)


def _compared(before: Mapping[str, Any], hours: Sequence[Mapping[str, Any]], complete: bool = True
              ) -> tuple[Feature, ...]:
    found = []
    for name, told in before.items():
        time.sleep(0)  # the loop goes first
        base = Histogram.of(told, told.get("edges"))
        now = base.like()
        for hour in hours:
            if name in hour:
                now.merge(Histogram.of(hour[name], base.edges))
        found.append(Feature(name, base, now, complete))
    return tuple(found)


async def begin_anew(database: Database, version: str) -> None:
    """Have the next week be the one that others are compared with."""
    async with database.begin() as connection:
        await connection.execute(delete(BASELINES).where(BASELINES.c.version == version))
        await connection.execute(delete(HOURS).where(HOURS.c.version == version))


async def forget(connection: AsyncConnection, now: float) -> None:
    await connection.execute(delete(HOURS).where(HOURS.c.start < now - KEPT))


def _described(histogram: Histogram) -> dict[str, Any]:
    whole = histogram.count + histogram.missing
    known = bool(histogram.count)
    return {"mean": histogram.mean if known else None, "std": histogram.std if known else None,
            "count": histogram.count, "missing": _round(histogram.missing / whole) if whole else 0.0,
            "bins": histogram.bins}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
