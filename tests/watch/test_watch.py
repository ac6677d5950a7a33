"""Versions that are watched over weeks: requests by the day, inputs that become others, feedback, alerts."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401
from sqlalchemy import func, insert, select, text

from aimass_stream.errors import Busy, Conflict, Forbidden, InvalidInput, ModelFailed, NotFound, TooLarge
from aimass_stream.hub.records import Change, Deployment
from aimass_stream.ports import ROLES, Caller
from aimass_stream.watch import feedback
from aimass_stream.watch.alerts import MOST, Rule
from aimass_stream.watch.clock import SETTLES
from aimass_stream.watch.counts import DAY
from aimass_stream.watch.feedback import Verdict
from aimass_stream.watch.tables import ALERTS, BASELINES, COUNTS, FEEDBACK, HOURS
from tests.support.model_files import linear
from tests.support.model_hub import ADA, ADMIN, BOB, submitted
from tests.support.watched import BEGIN, Watched, watched

pytestmark = pytest.mark.anyio

RANDOM = np.random.default_rng(2)
HOOK = "https://hooks.example/fish"
ANYBODY = Caller("anybody", scopes=ROLES["user"])  # where nobody signed in


async def fish(at: Watched) -> None:
    """A model with a version that everybody may use."""
    await submitted(at.hub, "fish", {"model.onnx": linear()})
    await at.hub.deployments.deploy(ADA, "fish", Deployment("production", 1))
    await at.hub.catalogue.change(ADA, "fish", Change(visibility="public"))


async def ask(at: Watched, mean: float, times: int = 400) -> None:
    """As a session or REST does, so often that each is looked at."""
    for _ in range(times // 8):
        at.watch.sampler._due.clear()
        rows = RANDOM.normal(mean, 1, (8, 3)).astype(np.float32)
        await at.hub.engine.submit("fish@1", {"x": rows}, session="test")
    await at.watch.write()


async def test_requests_by_the_day(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        count = at.watch.counts.request
        for ms in range(1, 101):
            count("fish@1", ms / 1000, None)
        count("fish@1", 1, ModelFailed("it broke"))
        count("fish@1", 1, ValueError("so did we"))
        count("fish@1", 1, InvalidInput("no"))
        count("fish@1", 1, asyncio.CancelledError())
        count("gone@1", 1, None)
        await at.watch.write()
        at.time.goes_on(DAY)
        count("fish@1", 0.02, None)
        found = await at.watch.of(ADA, "fish", 1)
        assert (found["requests"], found["errors"], found["refused"]) == (104, 2, 1)
        for share, ms in (("p50", 50), ("p95", 95), ("p99", 99)):
            assert found["latency_ms"][share] == pytest.approx(ms, rel=0.3)
        today = math.floor(BEGIN / DAY) * DAY
        assert [(day["day"], day["requests"]) for day in found["days"]] == [(today, 103), (today + DAY, 1)]
        assert [day["requests"] for day in (await at.watch.of(ADA, "fish", 1, 1))["days"]] == [1]
        assert (found["drift"], found["feedback"]) == (None, {"right": 0, "wrong": 0})
        with pytest.raises(Forbidden):
            await at.watch.of(BOB, "fish", 1)
        with pytest.raises(NotFound):
            await at.watch.of(ADA, "fish", 2)


async def test_what_cannot_be_written_is_kept(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        async with at.database.begin() as connection:
            await connection.execute(text("ALTER TABLE watch_counts RENAME TO away"))
        at.watch.counts.request("fish@1", 0.01, None)
        with pytest.raises(Exception, match="watch_counts"):
            await at.watch.write()
        async with at.database.begin() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO watch_counts"))
        at.watch.counts.request("fish@1", 0.01, None)
        assert (await at.watch.of(ADA, "fish", 1))["requests"] == 2


async def test_inputs_that_become_others_after_the_first_week(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        await at.watch.alerts.put(ADA, "fish", [Rule("drift_psi", 0.25, 3600, 20)])
        await ask(at, 0, 2400)
        drift = (await at.watch.of(ADA, "fish", 1))["drift"]
        assert (drift["complete"], drift["samples"], drift["recent"]) == (False, 300, 300)
        assert drift["psi"] is None  # inputs are not compared with themselves
        assert {(each["psi"], each["shift"]) for each in drift["inputs"]} == {(None, None)}
        at.time.goes_on(7 * DAY - 1)
        await ask(at, 0, 8)
        at.time.goes_on(60)
        drift = (await at.watch.of(ADA, "fish", 1))["drift"]
        assert (drift["complete"], drift["samples"], drift["recent"], drift["psi"]) == (True, 301, 0, None)
        at.time.goes_on(DAY)
        await ask(at, 0)
        drift = (await at.watch.of(ADA, "fish", 1))["drift"]
        assert (drift["complete"], drift["since"], drift["until"]) == (True, BEGIN, BEGIN + 7 * DAY)
        assert drift["psi"] < 0.1
        assert await at.watch.alerts.look() == 0
        at.time.goes_on(2 * DAY)
        await ask(at, 2)
        found = await at.watch.of(ADA, "fish", 1)
        [one, *others] = found["drift"]["inputs"]
        assert [one["name"], *(each["name"] for each in others)] == ["x[0]", "x[1]", "x[2]"]
        assert one["psi"] > 0.5
        assert one["shift"] == pytest.approx(2, abs=0.4)
        assert one["mean"] == pytest.approx(2, abs=0.4)
        assert one["first_week"]["mean"] == pytest.approx(0, abs=0.2)
        assert sum(one["first_week"]["bins"]) > 1500
        assert sum(one["bins"]) == 400
        assert await at.watch.alerts.look() == 1
        [alert] = await at.watch.alerts.of(ADA, "fish")
        assert alert.state == "firing"
        assert alert.value == pytest.approx(found["drift"]["psi"], abs=1e-3)
        await at.watch.begin_anew(ADA, "fish", 1)
        assert (await at.watch.of(ADA, "fish", 1))["drift"] is None


async def test_a_clock_that_jumps(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        await ask(at, 0)
        at.watch.counts.request("fish@1", 0.01, None)
        await at.watch.look()
        at.time.day += 1000 * DAY  # for a moment
        await at.watch.look()
        await at.watch.sweep()
        await ask(at, 0)
        at.time.day -= 2000 * DAY  # and to stay
        await at.watch.look()
        at.time.goes_on(SETTLES + 1)
        await at.watch.look()
        at.watch.counts.request("fish@1", 0.01, None)
        await ask(at, 0)
        await at.watch.look()
        await at.watch.sweep()
        drift = (await at.watch.of(ADA, "fish", 1))["drift"]
        assert (drift["since"], drift["samples"], drift["complete"]) == (BEGIN, 150, False)
        assert (await at.watch.of(ADA, "fish", 1, 800))["requests"] == 2


async def test_what_is_old_is_forgotten_and_what_is_deleted_too(place: Path | str, tmp_path: Path) -> None:
    async with watched(place, tmp_path) as at:
        await fish(at)
        await ask(at, 0)
        at.watch.counts.request("fish@1", 0.01, None)
        await at.watch.feedback.give(BOB, "fish", 1, "right")
        await at.watch.alerts.put(ADA, "fish", [Rule("error_rate", 0.1)])
        await at.watch.write()

        async def rows() -> list[int]:
            async with at.database.read() as connection:
                return [int(await connection.scalar(select(func.count()).select_from(table)) or 0)
                        for table in (COUNTS, BASELINES, HOURS, FEEDBACK, ALERTS)]

        assert await rows() == [2, 1, 1, 1, 1]
        at.time.goes_on(30 * DAY)
        await at.watch.sweep()
        assert await rows() == [1, 1, 0, 1, 1]
        at.time.goes_on(900 * DAY)
        await at.watch.sweep()
        assert await rows() == [0, 1, 0, 0, 1]
        await at.hub.deployments.withdraw(ADA, "fish", "production")
        at.watch.counts.request("fish@1", 0.01, None)
        await at.hub.delete(ADA, "fish")
        await at.watch.write()
        assert await rows() == [0, 0, 0, 0, 0]


# alerts ------------------------------------------------------------------------------------------------


async def test_an_alert_is_told_once_when_it_fires_and_once_when_it_is_well(place: Path | str, tmp_path: Path) -> None:
    async with watched(place, tmp_path) as at:
        await fish(at)
        look, count = at.watch.look, at.watch.counts.request
        rules = [Rule("error_rate", 0.1, 300, 10, None, HOOK), Rule("p95_ms", 100, 300, 10, 1, HOOK)]
        await at.watch.alerts.put(ADA, "fish", rules)

        async def minutes(good: int, bad: int, seconds: float = 0.01) -> None:
            at.time.goes_on(600)
            for _ in range(good):
                count("fish@1", seconds, None)
            for _ in range(bad):
                count("fish@1", seconds, ModelFailed("it broke"))
            await look()

        await minutes(1, 8)
        assert at.posted.got == []  # too few
        await minutes(40, 10)
        await look()
        await minutes(40, 10)
        [(url, told, message)] = at.posted.got
        assert (url, told["type"]) == (HOOK, "model.alert.firing")
        assert told["data"] | {"alert": ""} == {
            "alert": "", "model": "fish", "version": None, "metric": "error_rate", "state": "firing", "value": 0.2,
            "above": 0.1, "over_s": 300}
        assert message is not None
        await minutes(905, 95)  # below the limit, and not a tenth
        assert len(at.posted.got) == 1
        await minutes(40, 0, 0.2)
        assert [told["type"] for _, told, _ in at.posted.got[1:]] == ["model.alert.well", "model.alert.firing"]
        assert [told["data"]["metric"] for _, told, _ in at.posted.got[1:]] == ["error_rate", "p95_ms"]
        at.time.goes_on(3600)
        await look()  # nobody asks: nothing is known
        assert len(at.posted.got) == 3
        states = [each.state for each in await at.watch.alerts.of(ADA, "fish")]
        assert states == ["well", "firing"]
        kept = await at.watch.alerts.put(ADA, "fish", [rules[1], Rule("wrong_share", 0.5, 3600, 2)])
        assert [each.state for each in kept] == ["firing", "well"]
        for _ in range(3):
            await at.watch.feedback.give(BOB, "fish", 1, "wrong")
        await look()  # one who says it three times is one
        assert [each.state for each in await at.watch.alerts.of(ADA, "fish")] == ["firing", "well"]
        await at.watch.feedback.give(ADA, "fish", 1, "wrong")
        await look()
        assert [each.state for each in await at.watch.alerts.of(ADA, "fish")] == ["firing", "firing"]
        assert len(at.posted.got) == 3  # this one has no webhook
        log = [(each.what, each.who) for each in await at.audit.find(what="model.alert.", limit=50)]
        assert len(log) == 4
        assert {who for _, who in log} == {"server"}


async def test_a_webhook_that_was_not_taken_is_posted_again(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        at.posted.answer = ("too many are on their way", 0)
        await at.watch.alerts.put(ADA, "fish", [Rule("error_rate", 0.1, 300, 1, None, HOOK)])
        at.watch.counts.request("fish@1", 1, ModelFailed("it broke"))
        await at.watch.look()
        await at.watch.look()
        assert len(at.posted.got) == 1
        at.posted.answer = ("it is in a private network", 1)
        at.time.goes_on(601)
        await at.watch.look()
        assert len(at.posted.got) == 2
        assert at.posted.got[0][2] == at.posted.got[1][2]  # the same message
        [alert] = await at.watch.alerts.of(ADA, "fish")
        assert (alert.state, alert.detail) == ("firing", "it is in a private network")
        at.time.goes_on(3600)
        await at.watch.look()
        assert len(at.posted.got) == 2


async def test_of_several_servers_one_tells(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        await at.watch.alerts.put(ADA, "fish", [Rule("error_rate", 0.1, 300, 1, None, HOOK)])
        at.watch.counts.request("fish@1", 1, ModelFailed("it broke"))
        await at.watch.write()
        assert sum(await asyncio.gather(*(at.watch.alerts.look() for _ in range(4)))) == 1
        assert len(at.posted.got) == 1


async def test_rules_that_make_no_sense(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        put = at.watch.alerts.put
        with pytest.raises(InvalidInput, match="at most"):
            await put(ADA, "fish", [Rule("p95_ms", ms) for ms in range(MOST + 1)])
        with pytest.raises(InvalidInput, match="twice"):
            await put(ADA, "fish", [Rule("p95_ms", 1), Rule("p95_ms", 1)])
        with pytest.raises(NotFound, match="no version 7"):
            await put(ADA, "fish", [Rule("p95_ms", 1, version=7)])
        with pytest.raises(Forbidden):
            await put(BOB, "fish", [Rule("p95_ms", 1)])
        with pytest.raises(Forbidden):
            await at.watch.alerts.of(BOB, "fish")
        assert await at.watch.alerts.of(ADA, "fish") == []


# feedback ----------------------------------------------------------------------------------------------


async def test_feedback_with_samples_where_both_want_that(place: Path | str, tmp_path: Path) -> None:
    async with watched(place, tmp_path) as at:
        await fish(at)
        give, find = at.watch.feedback.give, at.watch.feedback.find
        assert not await at.watch.feedback.collects(BOB, "fish")
        assert (await give(BOB, "fish", 1, "wrong", input=[[1, 2, 3]])).sample is None
        with pytest.raises(Forbidden):
            await at.watch.feedback.collect(BOB, "fish", True)
        await at.watch.feedback.collect(ADA, "fish", True)
        at.time.goes_on(1)
        said = "<script>alert(1)</script>'; DROP TABLE watch_feedback; --"
        kept = await give(BOB, "fish", 1, "wrong", said, input={"x": "a\x00é"}, expected=None)
        assert kept.sample == {"input": {"x": "a\x00é"}, "expected": None}
        at.time.goes_on(1)
        await give(BOB, "fish", 1, "right")
        found = await find(ADA, "fish", 1, 10)
        assert [(each.verdict, each.comment, each.sample) for each in found] == [
            ("right", "", None), ("wrong", said, kept.sample), ("wrong", "", None)]
        assert [each.id for each in await find(ADA, "fish", 1, 10, samples=True)] == [kept.id]
        assert len(await find(ADA, "fish", 1, 10, verdict="wrong", after=(found[1].at, found[1].id))) == 1
        assert (await at.watch.of(ADA, "fish", 1))["feedback"] == {"right": 1, "wrong": 2}
        with pytest.raises(Forbidden):
            await find(BOB, "fish", 1, 10)
        assert len((await at.watch.feedback.export("usr_bob"))["feedback"]) == 3
        await at.watch.feedback.erase("usr_bob")
        assert await find(ADMIN, "fish", 1, 10) == []


async def test_what_is_no_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        await at.watch.feedback.collect(ADA, "fish", True)
        give = at.watch.feedback.give
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        for wrong in (math.nan, [math.inf], deep, "\ud800"):
            with pytest.raises(InvalidInput, match="JSON"):
                await give(BOB, "fish", 1, "wrong", input=wrong)
        with pytest.raises(TooLarge):
            await give(BOB, "fish", 1, "wrong", expected="x" * 300_000)
        with pytest.raises(InvalidInput):
            await give(BOB, "fish", 1, "wrong", "a\x00b")
        with pytest.raises(NotFound):
            await give(BOB, "fish", 9, "wrong")
        await at.hub.catalogue.change(ADA, "fish", Change(visibility="private"))
        for of in (give(BOB, "fish", 1, "right"), at.watch.feedback.collects(BOB, "fish"),
                   at.watch.feedback.delete(BOB, "fish", 1), at.watch.of(BOB, "fish", 1)):
            with pytest.raises(NotFound):
                await of
        broken = await submitted(at.hub, "fish", {"model.onnx": linear()[:-9]})
        with pytest.raises(Conflict, match="refused"):
            await give(ADA, "fish", broken.number, "right")
        monkeypatch.setattr(feedback, "SAMPLES", 40)
        await give(ADA, "fish", 1, "right", input="x" * 20)
        with pytest.raises(Conflict, match="samples"):
            await give(ADA, "fish", 1, "right", input="x" * 20)
        monkeypatch.setattr(feedback, "MOST_A_DAY", 1)
        with pytest.raises(Busy):
            await give(ADA, "fish", 1, "right")
        monkeypatch.setattr(feedback, "MOST", 1)
        with pytest.raises(Conflict, match="limit"):
            await give(ADMIN, "fish", 1, "right")


async def test_who_may_delete_what_was_said(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        delete = at.watch.feedback.delete
        mine, ada = [await at.watch.feedback.give(who, "fish", 1, "right") for who in (BOB, ADA)]
        with pytest.raises(Forbidden):
            await delete(BOB, "fish", 1, ada.id)
        with pytest.raises(Forbidden):
            await delete(BOB, "fish", 1)
        with pytest.raises(NotFound):
            await delete(BOB, "fish", 1, "fbk_\x00")
        assert await delete(BOB, "fish", 1, mine.id) == 1
        assert await delete(ADA, "fish", 1) == 1


async def test_rows_of_a_server_that_was_killed_between_two_states(tmp_path: Path) -> None:
    async with watched(tmp_path / "kept.db", tmp_path) as at:
        await fish(at)
        model = await at.hub.catalogue.get(ADA, "fish")
        row: dict[str, Any] = {
            "id": "alr_1", "model": model.id, "place": 0, "version": None, "metric": "p95_ms", "above": 5.0,
            "over_s": 60, "min_requests": 1, "webhook": HOOK, "state": "firing", "value": 9.0, "since": BEGIN,
            "told": 0, "detail": ""}
        async with at.database.begin() as connection:
            await connection.execute(insert(ALERTS).values(row))
        at.time.goes_on(601)
        await at.watch.look()
        await at.watch.look()
        assert [told["data"]["value"] for _, told, _ in at.posted.got] == [9.0]


async def test_everybody_counts_once_with_what_they_said_last(place: Path | str, tmp_path: Path) -> None:
    async with watched(place, tmp_path) as at:
        await fish(at)
        await at.watch.alerts.put(ADA, "fish", [Rule("wrong_share", 0.5, 3600, 3)])
        keys = [replace(BOB, id=f"key_{number}") for number in range(20)]
        said: list[tuple[Caller, Verdict]] = [(ADA, "right"), *((key, "wrong") for key in keys), (ANYBODY, "right")]
        for caller, verdict in said:
            await at.watch.feedback.give(caller, "fish", 1, verdict)
            at.time.goes_on(1)
        await at.watch.look()
        [alert] = await at.watch.alerts.of(ADA, "fish")
        assert (alert.state, alert.value) == ("well", None)  # a third, and 20 of 22 verdicts
        await at.watch.feedback.give(ANYBODY, "fish", 1, "wrong")
        await at.watch.look()
        [alert] = await at.watch.alerts.of(ADA, "fish")
        assert (alert.state, round(alert.value or 0, 3)) == ("firing", 0.667)
        at.time.goes_on(1)
        for caller in (BOB, ANYBODY):
            await at.watch.feedback.give(caller, "fish", 1, "right")
        await at.watch.look()
        [alert] = await at.watch.alerts.of(ADA, "fish")
        assert (alert.state, alert.value) == ("well", 0.0)
