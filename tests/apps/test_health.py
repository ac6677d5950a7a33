"""Probes, runs, and what is counted of sessions: who fails too often is suspended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.apps.apps import Rules
from aimass_stream.apps.catalogue import Search
from aimass_stream.apps.examples import Input
from aimass_stream.apps.running import shown
from aimass_stream.errors import Forbidden, InvalidInput, NotFound
from aimass_stream.inference import Engine, installed
from aimass_stream.node import Node
from aimass_stream.ports import AppCall
from aimass_stream.spec import PipelineSpec
from tests.support.accounts import Clock
from tests.support.apps import ADA, BOB, REVIEWER, STAGES, Centre, manifest, opened, published
from tests.support.options import settings
from tests.support.session import Collector, Idle

pytestmark = pytest.mark.anyio

FAILING = {"expect": {"says": "what nobody says"}, "within": 0.1}


@asynccontextmanager
async def running(folder: Path, **rules: Any) -> AsyncIterator[tuple[Centre, Node]]:
    engine = Engine(installed())
    node = Node(settings(), STAGES, engine)
    await node.start()
    async with opened(folder, Rules(**rules)) as centre:
        centre.apps.open(node)
        try:
            yield centre, node
        finally:
            await node.close()
            await centre.apps.close()
            await engine.close()


async def test_a_probe_runs_the_example_and_checks_the_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (centre, node):
        apps = centre.apps
        app = await published(apps)
        assert apps.probes is not None
        assert await apps.probes.round() == 1
        assert node.sessions() == []
        found = await apps.health.of(app)
        assert (found["probe"]["passed"], found["probe"]["detail"]) == (True, "")
        assert (found["probes"], found["failed"]) == (1, 0)
        await apps.catalogue.begin_version(ADA, app, manifest(example=manifest()["example"] | FAILING))
        passed, detail, _ = await apps.probe(ADA, app, 2)
        assert not passed
        assert "nobody said" in detail
        with pytest.raises(Forbidden):
            await apps.probe(BOB, app, None)


@pytest.mark.parametrize(("expect", "missing"), [
    ({"video": 40}, "of 40 video frames"), ({"audio": 1}, "0 of 1 audio"), ({"changed": True}, "as it was"),
    ({"events": [{"type": "motion.started"}]}, "no event motion.started"), ({"says": "resume_token"}, "nobody said")])
async def test_what_a_probe_misses(tmp_path: Path, expect: dict[str, Any], missing: str) -> None:
    async with running(tmp_path) as (centre, _):
        example = {"input": {"picture": {"draw": "A"}, "count": 2, "fps": 30}, "expect": expect, "within": 0.5}
        app, _ = await centre.apps.catalogue.create(ADA, manifest(
            pipeline=[{"stage": "fps", "id": "f"}], parameters={}, example=example))
        passed, detail, _ = await centre.apps.probe(ADA, app.id, 1)
        assert not passed
        assert missing in detail


async def test_an_app_that_fails_too_often_is_suspended_and_can_be_resumed(tmp_path: Path) -> None:
    async with running(tmp_path, error_rate=0.5, least=4) as (centre, _):
        apps = centre.apps
        app = await published(apps, example=manifest()["example"] | FAILING)
        await published(apps, slug="other")
        for failed in (False, False, True):
            apps.health.note(app, "sessions", failed=failed, by="usr_bob")
        await apps.health.flush()
        await apps.start(BOB, AppCall(app))  # one of three
        assert apps.probes is not None
        assert await apps.probes.round() == 2  # and fails at one of them
        await apps.health.flush()
        with pytest.raises(NotFound):
            await apps.start(BOB, AppCall(app))
        assert [each.slug for each in await apps.catalogue.find(BOB, Search(), 9)] == ["other"]
        (entry,) = await centre.audit.find(what="app.suspended")
        assert (entry.who, entry.details["reason"]) == ("server", "2 of its last 4 sessions failed")
        await apps.review.resume(REVIEWER, app)
        apps.health.note(app, "sessions", failed=True)
        await apps.health.flush()
        await apps.start(BOB, AppCall(app))  # it begins anew


async def test_failures_of_drafts_and_of_long_ago_suspend_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, Rules(least=2), clock) as centre:
        app = await published(centre.apps)
        for _ in range(9):
            for by in ("usr_ada", "usr_bob"):
                centre.apps.health.note(app, "sessions", failed=True, public=False, by=by)
            centre.apps.health.note(app, "sessions", failed=True, by="usr_ada")
            clock.ahead += 4000
        await centre.apps.health.flush()
        await centre.apps.start(BOB, AppCall(app))


async def test_one_caller_alone_has_nothing_suspended(tmp_path: Path) -> None:
    async with opened(tmp_path, Rules(least=2)) as centre:
        app = await published(centre.apps)
        for _ in range(20):
            centre.apps.health.note(app, "sessions", failed=True, by="usr_eve")
        await centre.apps.health.flush()
        await centre.apps.start(BOB, AppCall(app))
        centre.apps.health.note(app, "sessions", failed=True, by="usr_bob")
        await centre.apps.health.flush()
        with pytest.raises(NotFound):
            await centre.apps.start(BOB, AppCall(app))


async def test_probes_that_fail_one_after_the_other_suspend(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        app, health = await published(centre.apps), centre.apps.health
        for passed in (False, False, True, False, False):
            await health.probed(app, passed, "nothing came", 1.0)
        await health.flush()
        await centre.apps.start(BOB, AppCall(app))
        await health.probed(app, False, "nothing came", 1.0)
        await health.flush()
        with pytest.raises(NotFound):
            await centre.apps.start(BOB, AppCall(app))
        assert (await centre.apps.catalogue.get(ADA, app)).reason == (
            "its example failed 3 times in a row: nothing came")


async def test_sessions_are_counted_with_their_latency(tmp_path: Path) -> None:
    async with running(tmp_path) as (centre, node):
        apps = centre.apps
        app = await published(apps)
        for _ in range(2):
            session = await node.open(PipelineSpec(), caller=BOB, transport="test", app=AppCall(app))
            await session.attach(Idle(), Collector())
            session.meter.hop("video-0", "video", "total", 0.04)
            await session.close("done")
        await apps.health.flush()
        session = await node.open(PipelineSpec(), caller=ADA, transport="test", app=AppCall(app))
        session.failures = 1
        await session.close("done")
        found = await apps.health.of(app)  # also what is not written yet
        assert (found["sessions"], found["failed"], found["error_rate"]) == (3, 1, 0.3333)
        assert found["latency_ms"] == {"p50": 45.0, "p95": 45.0, "p99": 45.0}
        await apps.health.flush()
        assert (await apps.catalogue.get(BOB, app)).used == 3
        assert (await apps.health.of(app)) == found
        await published(apps, slug="other")
        assert [each.slug for each in await apps.catalogue.find(BOB, Search(sort="used"), 9)] == ["soft-focus", "other"]


async def test_an_app_asked_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (centre, node):
        app = await published(centre.apps, pipeline=[
            {"stage": "blur", "id": "soft"}, {"stage": "level", "id": "meter"}], parameters={
            "rate": {"path": "meter.rate"}})
        came = await centre.apps.run(BOB, AppCall(app, {"rate": 20}), {
            "picture": {"draw": "A"}, "count": 3, "sound": {"tone": 300, "seconds": 0.2}}, 3)
        answer = shown(came)
        assert answer["frames"]["video"] == 3
        assert answer["frames"]["audio"] >= 10
        assert answer["picture"]
        assert "audio.level" in {event["type"] for event in answer["events"]}
        assert "session.created" not in {event["type"] for event in answer["events"]}
        assert node.sessions() == []
        await centre.apps.health.flush()
        assert (await centre.apps.health.of(app))["runs"] == 1
        others: tuple[object, ...] = ({}, {"text": 3}, {"picture": {"url": "data:image/png;base64,AAAA"}}, [])
        for wrong in others:
            with pytest.raises(InvalidInput):
                await centre.apps.run(BOB, AppCall(app), wrong, 3)
        assert Input.parse({"text": "a"}).text == ("a",)


async def test_what_is_being_written_is_not_lost_from_sight(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        health, app = centre.apps.health, await published(centre.apps)
        for number in range(1, 21):
            health.note(app, "runs", failed=False)
            _, *seen = await asyncio.gather(health.flush(), *(health.of(app) for _ in range(4)))
            assert [each["runs"] for each in seen] == [number] * 4
