"""Counting, percentiles, and what the database keeps of it: by hour and by day, for each who may ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aimass_stream.errors import Unavailable
from aimass_stream.ports import Caller
from aimass_stream.store.database import Database
from aimass_stream.usage import Meter, Seen, Sessions, Sum, Usage
from aimass_stream.usage.ledger import Ledger
from aimass_stream.usage.meter import BOUNDS, MOST, Of, percentile
from aimass_stream.usage.used import SPANS, Kept

pytestmark = pytest.mark.anyio

ADA = Caller("ada", id="key_1", user="usr_ada", team="team_1")
BOB = Caller("bob", id="key_2", user="usr_bob")
DAY = 1_700_006_400.0  # the beginning of one, s since the epoch
HOUR = 3600.0


def metered(*, seconds: float = 0.01, hits: int = 1) -> Meter:
    meter = Meter()
    for _ in range(hits):
        meter.request(ADA, "cats", seconds)
        meter.request(ADA, "dogs", seconds, app="app_1", failed=True)
        meter.request(BOB, "cats", seconds)
    return meter


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.floats(min_value=1e-5, max_value=16), min_size=1, max_size=30), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_within_a_bucket(values: list[float], share: float) -> None:
    meter = Meter()
    for value in values:
        meter.request(ADA, "cats", value)
    [counted] = meter.take().values()
    told = percentile(counted.buckets, share)
    true = sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]
    assert told is not None
    assert true / 1.5 - BOUNDS[0] <= told <= true * 1.5 + BOUNDS[0]


def test_nothing_has_no_percentile() -> None:
    assert percentile(Sum().buckets, 0.5) is None


def test_what_could_not_be_written_is_counted_later_and_there_is_an_end_to_what_is_kept() -> None:
    meter = metered()
    taken = meter.take()
    assert meter.take() == {}
    meter.request(ADA, "cats", 0.01)
    meter.give_back(taken)
    assert sorted(each.count for each in meter.take().values()) == [1, 1, 2]
    for number in range(MOST + 10):
        meter.request(ADA, f"model{number}", 0.01)
    sums = meter.take()
    assert len(sums) == MOST + 1
    assert sum(each.count for each in sums.values()) == MOST + 10


def test_sessions_are_looked_at_now_and_then() -> None:
    meter = Meter()
    sessions = Sessions(meter)
    sessions.look([Seen("s_1", ADA, drops=2)], 100)
    sessions.look([Seen("s_1", ADA, drops=5, delays=(0.02, 0.04)), Seen("s_2", BOB, drops=0)], 130)
    sessions.look([Seen("s_2", BOB, drops=0)], 160)
    sums = {(of.user, of.what): each for of, each in meter.take().items()}
    ada, bob = sums["usr_ada", "session"], sums["usr_bob", "session"]
    assert (ada.count, ada.seconds, ada.drops) == (1, 30, 5)
    assert (bob.count, bob.seconds) == (1, 30)
    assert sums["usr_ada", "frame"].count == 2


def test_first_words_are_counted_once_by_the_model_that_heard_them() -> None:
    meter = Meter()
    sessions = Sessions(meter)
    one, two, three = (0.3, "nano"), (0.5, "nano"), (1.0, "large")
    sessions.look([Seen("s_1", ADA, drops=0, utterances=1, words=(one,))], 100)
    sessions.look([Seen("s_1", ADA, drops=0, utterances=1, words=(one,))], 105)
    sessions.look([Seen("s_1", ADA, drops=0, utterances=9, words=(two, three))], 110)  # more than are kept
    sessions.ended(Seen("s_1", ADA, drops=0, utterances=9, words=(two, three)), 111)
    heard = {of.model: each for of, each in meter.take().items() if of.what == "words"}
    assert {model: each.count for model, each in heard.items()} == {"nano": 2, "large": 1}
    assert percentile(heard["large"].buckets, 0.5) == pytest.approx(1, rel=0.3)


def test_a_session_that_nobody_looked_at_counts_when_it_ends() -> None:
    meter = Meter()
    sessions = Sessions(meter)
    sessions.look([Seen("s_1", ADA, drops=0, age=3)], 100)
    sessions.ended(Seen("s_1", ADA, drops=2, age=5), 102)
    sessions.ended(Seen("s_2", BOB, drops=1, delays=(0.02,), age=2), 103)
    sessions.look([], 105)
    sums = {(of.user, of.what): each for of, each in meter.take().items()}
    assert [(sums[user, "session"].count, sums[user, "session"].seconds, sums[user, "session"].drops)
            for user in ("usr_ada", "usr_bob")] == [(1, 5, 2), (1, 2, 1)]
    assert sums["usr_bob", "frame"].count == 1


async def test_hours_and_days_of_everybody_and_of_each(place: Path | str) -> None:
    async with Database(place) as database:
        ledger = Ledger(database)
        for hour in (0, 1, 1, 30):
            await ledger.add(metered(hits=2).take(), DAY + hour * HOUR + 5)
        total = await ledger.read("", "total", "hour", int(DAY), int(DAY + 2 * HOUR))
        assert [(each.sums["request"].count, each.sums["request"].errors) for each in total] == [(18, 6)]
        models = await ledger.read("usr_ada", "model", "day", int(DAY), int(DAY + 2 * 86400))
        assert [(each.value, each.sums["request"].count) for each in models] == [("cats", 8), ("dogs", 8)]
        assert sum(models[0].sums["request"].buckets) == 8
        keys = await ledger.read("", "key", "day", int(DAY), int(DAY + 86400))
        assert [(each.value, each.sums["request"].count) for each in keys] == [("key_1", 12), ("key_2", 6)]
        assert [each.value for each in await ledger.read("", "key", "day", 0, 1 << 40, after="key_1")] == ["key_2"]
        assert [each.value for each in await ledger.read("", "key", "day", 0, 1 << 40, limit=1)] == ["key_1"]
        apps = await ledger.read("team_1", "app", "hour", int(DAY), int(DAY + HOUR))
        assert [(each.value, each.sums["request"].errors) for each in apps] == [("app_1", 2)]
        times = await ledger.read("usr_bob", "time", "hour", int(DAY), int(DAY + 86400))
        assert [(each.value, each.sums["request"].count) for each in times] == [
            (str(int(DAY)), 2), (str(int(DAY + HOUR)), 4)]
        later = await ledger.read("usr_bob", "time", "hour", 0, 1 << 40, after=str(int(DAY)))
        assert [int(each.value) for each in later] == [DAY + HOUR, DAY + 30 * HOUR]
        assert await ledger.forget("hour", DAY + HOUR) > 0
        assert len(await ledger.read("", "time", "hour", 0, 1 << 40)) == 2
        await ledger.erase("usr_ada")
        assert await ledger.read("usr_ada", "total", "day", 0, 1 << 40) == []


async def test_servers_that_write_at_once_lose_nothing(place: Path | str) -> None:
    async with Database(place) as database:
        ledgers = [Ledger(database) for _ in range(4)]
        await asyncio.gather(*(each.add(metered().take(), DAY) for each in ledgers for _ in range(5)))
        [total] = await ledgers[0].read("", "total", "day", int(DAY), int(DAY) + SPANS["day"])
        assert total.sums["request"].count == 60


async def test_what_is_old_is_deleted_and_a_failure_of_that_ends_nothing(
        place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(place) as database:
        before = Ledger(database)
        await before.add(metered().take(), DAY)  # years ago: hours, days and what they are added up to
        failed = asyncio.Event()
        forget = Ledger.forget

        async def broken(ledger: Ledger, span: Kept, moment: float) -> int:
            if not failed.is_set():
                failed.set()
                raise RuntimeError("the database is away")
            return await forget(ledger, span, moment)

        monkeypatch.setattr(Ledger, "forget", broken)
        monkeypatch.setattr("aimass_stream.usage.usage.SWEEP", 0.02)
        usage = Usage(every=0.01, keep_days=30)
        await usage.open(database)
        usage.meter.request(ADA, "cats", 0.02)

        async def spans() -> Counter[str]:
            async with database.read() as connection:
                return Counter(await connection.scalars(text("SELECT DISTINCT span FROM usage WHERE start < :then"),
                                                        {"then": DAY + SPANS["stretch"]}))

        assert set(await spans()) == set(SPANS)
        while await spans():  # noqa: ASYNC110  it is deleted
            await asyncio.sleep(0.01)
        await usage.close()
        [total] = await before.read("", "total", "day", 0, 1 << 40)
        assert (total.sums["request"].count, failed.is_set()) == (1, True)


async def test_use_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    async with Database(tmp_path / "kept.db") as database:
        usage = Usage(lambda: [Seen("s_1", ADA, drops=1)], every=0.01)
        await usage.open(database)
        usage.meter.request(ADA, "cats", 0.02)
        while not (found := await usage.ledger.read("", "total", "day", 0, 1 << 40)):  # noqa: ASYNC110  it is written
            await asyncio.sleep(0.01)
        assert found[0].sums["session"].count == 1
        usage.meter.request(ADA, "cats", 0.02)
        await usage.close()
        [total] = await usage.ledger.read("", "total", "day", 0, 1 << 40)
        assert total.sums["request"].count == 2


class Full(Ledger):
    """Of a database on a disk that is full for a while."""

    refusing = True

    async def add(self, sums: dict[Of, Sum], now: float) -> None:
        if self.refusing:
            raise Unavailable("the disk is full")
        await super().add(sums, now)


async def test_a_database_that_fails_costs_no_count(tmp_path: Path) -> None:
    async with Database(tmp_path / "kept.db") as database:
        usage = Usage(every=3600)
        await usage.open(database)
        usage._ledger = full = Full(database)
        for caller in (ADA, BOB, ADA):
            usage.meter.request(caller, "cats", 0.02)
            await usage.write()
        full.refusing = False
        await usage.close()
        [total] = await usage.ledger.read("", "total", "day", 0, 1 << 40)
        assert total.sums["request"].count == 3
