"""Sixteen days in one: exactly what their days are, wherever a question begins and ends, and however old they are."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aimass_stream.ports import Caller
from aimass_stream.store.database import Database
from aimass_stream.usage import SPANS, Meter, Sum
from aimass_stream.usage.ledger import Ledger, _pieces

pytestmark = pytest.mark.anyio

ADA = Caller("ada", id="key_1", user="usr_ada")
DAY, STRETCH = SPANS["day"], SPANS["stretch"]
FIRST = 1000 * STRETCH  # s since the epoch


async def filled(ledger: Ledger, days: int = 70) -> dict[int, dict[str, int]]:
    """A day to how often each of three models was asked on it."""
    chance, kept = random.Random(1), {}
    for day in range(0, days, 3):
        meter = Meter()
        kept[day] = {model: chance.randrange(4) for model in ("ant", "bee", "cat")}
        for model, count in kept[day].items():
            for _ in range(count):
                meter.request(ADA, model, 0.001 * chance.randrange(1, 900), failed=chance.random() < 0.3)
        await ledger.add(meter.take(), FIRST + day * DAY + 60)
    return kept


def test_days_around_as_many_stretches_as_there_are() -> None:
    assert list(_pieces(DAY, STRETCH)) == [("day", DAY, STRETCH)]
    assert list(_pieces(0, 2 * STRETCH)) == [("stretch", 0, 2 * STRETCH)]
    assert list(_pieces(DAY, 3 * STRETCH + DAY)) == [
        ("day", DAY, STRETCH), ("stretch", STRETCH, 3 * STRETCH), ("day", 3 * STRETCH, 3 * STRETCH + DAY)]


async def test_any_question_over_days_is_answered_exactly(place: Path | str) -> None:
    async with Database(place) as database:
        ledger = Ledger(database)
        kept = await filled(ledger)
        chance = random.Random(2)
        for _ in range(25):
            begin, end = sorted(chance.sample(range(75), 2))
            of_day = [day for day in kept if begin <= day < end]
            wanted = {model: total for model in ("ant", "bee", "cat")
                      if (total := sum(kept[day][model] for day in of_day))}
            found = await ledger.read("usr_ada", "model", "day", FIRST + begin * DAY, FIRST + end * DAY)
            assert {each.value: each.sums["request"].count for each in found} == wanted, (begin, end)
            assert all(sum(each.sums["request"].buckets) == each.sums["request"].count for each in found)
            times = await ledger.read("", "time", "day", FIRST + begin * DAY, FIRST + end * DAY)
            used = [day for day in of_day if any(kept[day].values())]
            assert [int(each.value) for each in times] == [FIRST + day * DAY for day in used]


async def test_pages_of_a_long_time_are_whole_and_in_order(place: Path | str) -> None:
    async with Database(place) as database:
        ledger = Ledger(database)
        await filled(ledger)
        end = FIRST + 80 * DAY
        [whole] = [await ledger.read("", "model", "day", FIRST, end)]
        pages, after = [], ""
        while page := await ledger.read("", "model", "day", FIRST, end, after=after, limit=1):
            pages += page
            after = page[-1].value
        assert pages == whole
        assert [each.value for each in whole] == ["ant", "bee", "cat"]


async def test_a_stretch_is_kept_as_long_as_its_last_day(place: Path | str) -> None:
    async with Database(place) as database:
        ledger = Ledger(database)
        await filled(ledger, 30)
        for span in SPANS:
            await ledger.forget(span, FIRST + 15 * DAY)
        assert len(await ledger.read("", "total", "day", FIRST, FIRST + STRETCH)) == 1
        assert await ledger.forget("stretch", FIRST + STRETCH) > 0
        assert await ledger.read("", "total", "day", FIRST, FIRST + STRETCH) == []


async def test_what_was_kept_before_is_added_up(place: Path | str) -> None:
    revision: Any = importlib.import_module("aimass_stream.store.migrations.versions.0008_usage_stretches")
    async with Database(place) as database:
        ledger = Ledger(database)
        await filled(ledger)

        async def kept() -> list[Any]:
            async with database.read() as connection:
                rows = await connection.execute(text("SELECT * FROM usage WHERE span = 'stretch'"))
                return sorted(tuple(map(str, row)) for row in rows)

        written = await kept()
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM usage WHERE span = 'stretch'"))
            await connection.execute(text(revision.STRETCHES))
        assert [row[:6] for row in await kept()] == [row[:6] for row in written]
        assert len(written) > 10
        [total] = await ledger.read("", "total", "day", FIRST, FIRST + 5 * STRETCH)
        days = await ledger.read("", "time", "day", FIRST, FIRST + 5 * STRETCH)
        summed = Sum()
        for each in days:
            summed.add(each.sums["request"])
        assert (total.sums["request"].count, total.sums["request"].errors, total.sums["request"].buckets) == (
            summed.count, summed.errors, summed.buckets)
