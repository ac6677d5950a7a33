"""The way of an app from a draft to everybody, who may do which step, and that each is written down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aimass_stream.apps.catalogue import Search
from aimass_stream.errors import Conflict, Forbidden, InvalidInput, NotFound
from aimass_stream.ports import AppCall, Caller
from tests.support.apps import ADA, ADMIN, BOB, REVIEWER, TEAM, Centre, manifest, opened, published

pytestmark = pytest.mark.anyio

NASTY = "x'; DROP TABLE apps; -- <script>alert(1)</script> %_\\"


async def test_the_whole_way_of_an_app(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        apps, review = centre.apps, centre.apps.review
        app, version = await apps.catalogue.create(ADA, manifest())
        assert (app.slug, version.state) == ("soft-focus", "draft")
        for stranger in (BOB, TEAM.__class__("x", user="usr_x")):
            with pytest.raises(NotFound):
                await apps.catalogue.get(stranger, app.slug)
        await review.submit(ADA, app.id, 1)
        with pytest.raises(Conflict, match="only drafts"):
            await apps.catalogue.revise(ADA, app.id, 1, manifest())
        assert [each.id for each, _ in await apps.catalogue.queue()] == [app.id]
        with pytest.raises(InvalidInput, match="say why"):
            await review.reject(REVIEWER, app.id, 1, " ")
        assert (await review.reject(REVIEWER, app.id, 1, "the name")).reason == "the name"
        changed = await apps.catalogue.revise(ADA, app.id, 1, manifest(name="Softer"))
        assert (changed.state, changed.revision) == ("draft", 2)
        await review.submit(ADA, app.id, 1)
        await review.approve(REVIEWER, app.id, 1, "good")
        with pytest.raises(NotFound):
            await apps.catalogue.get(BOB, app.slug)  # not yet
        await review.publish(ADA, app.id, 1)
        assert (await apps.catalogue.get(BOB, app.slug)).name == "Softer"
        await review.suspend(REVIEWER, app.id, "it fails")
        with pytest.raises(NotFound):
            await apps.start(BOB, AppCall(app.slug))
        with pytest.raises(Forbidden):
            await review.resume(ADA, app.id)
        await review.resume(REVIEWER, app.id, "mended")
        await apps.start(BOB, AppCall(app.slug))
        await review.unpublish(ADA, app.id)
        await apps.catalogue.delete(ADA, app.id)
        assert await centre.steps(app.id) == [
            "app.created", "app.submitted", "app.rejected", "app.changed", "app.submitted", "app.approved",
            "app.published", "app.suspended", "app.resumed", "app.unpublished", "app.deleted"]
        assert {entry.who for entry in await centre.audit.find(what="app.approved")} == {"usr_rita"}


@pytest.mark.parametrize("maker", [REVIEWER, ADMIN, TEAM, Caller("anyone", scopes=ADMIN.scopes, role="admin")])
async def test_nobody_approves_their_own(tmp_path: Path, maker: Caller) -> None:
    async with opened(tmp_path) as centre:
        review = centre.apps.review
        app, _ = await centre.apps.catalogue.create(maker, manifest())
        await review.submit(maker, app.id, 1)
        for decide in (review.approve, review.reject):
            with pytest.raises(Forbidden, match="their own"):
                await decide(maker, app.id, 1, "it is good")
        if maker is TEAM:  # what one of a team makes is everybody's in it
            mate = Caller("dora", user="usr_dora", role="reviewer", scopes=TEAM.scopes, teams=TEAM.teams)
            with pytest.raises(Forbidden, match="their own"):
                await review.approve(mate, app.id, 1)
        other = REVIEWER if maker is not REVIEWER else ADMIN
        with pytest.raises(Forbidden):
            await review.approve(ADA, app.id, 1)  # who is no reviewer
        await review.approve(other, app.id, 1)
        await review.publish(maker, app.id, 1)
        await review.suspend(other, app.id, "a reason")
        with pytest.raises(Forbidden, match="their own"):
            await review.resume(maker, app.id)
        with pytest.raises(Forbidden):
            await review.feature(maker, app.id, True)


async def test_another_version_while_one_is_published(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        apps, review = centre.apps, centre.apps.review
        app = await published(apps)
        version = await apps.catalogue.begin_version(ADA, app, manifest(name="Second"))
        assert version.number == 2
        with pytest.raises(Conflict, match="one at a time"):
            await apps.catalogue.begin_version(ADA, app)
        started, _, _ = await apps.start(BOB, AppCall(app))
        assert (started.version, started.published) == (1, True)
        with pytest.raises(NotFound):
            await apps.start(BOB, AppCall(f"{app}@2"))
        draft, _, _ = await apps.start(ADA, AppCall(f"{app}@2"))
        assert (draft.version, draft.published) == (2, False)
        assert [each.number for each in (await apps.catalogue.versions(BOB, app))[1]] == [1]
        await review.submit(ADA, app, 2)
        await review.approve(REVIEWER, app, 2)
        await review.publish(ADA, app, 2)
        assert (await apps.start(BOB, AppCall("soft-focus")))[0].version == 2
        assert [each.state for each in (await apps.catalogue.versions(ADA, app))[1]] == ["published", "retired"]


async def test_of_two_that_decide_at_once_one_does(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        app, _ = await centre.apps.catalogue.create(ADA, manifest())
        await centre.apps.review.submit(ADA, app.id, 1)
        done = await asyncio.gather(*(centre.apps.review.approve(each, app.id, 1) for each in (REVIEWER, ADMIN)),
                                    return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["Conflict", "Version"]
        assert (await centre.steps(app.id)).count("app.approved") == 1


async def test_who_is_asked_for_what_is_missing(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        apps = centre.apps
        app, _ = await apps.catalogue.create(ADA, manifest(example=None))
        with pytest.raises(InvalidInput, match="has an example"):
            await apps.review.submit(ADA, app.id, 1)
        with pytest.raises(InvalidInput, match="no parameter"):
            await apps.catalogue.create(ADA, manifest(example=manifest()["example"] | {"parameters": {"x": 1}}))
        for act in (apps.review.submit, apps.review.withdraw, apps.review.publish):
            with pytest.raises(Forbidden):
                await act(REVIEWER, app.id, 1)
        with pytest.raises(Conflict, match="meanwhile"):
            await apps.catalogue.revise(ADA, app.id, 1, manifest(), revision=7)
        for version in (0, 2):
            with pytest.raises(NotFound):
                await apps.catalogue.version(ADA, app.id, version)


@pytest.mark.parametrize("slug", ["", "A", "a b", "../a", "app_1", "a" * 49, "queue", "-a", "a--b", "ä"])
async def test_slugs_that_are_none(tmp_path: Path, slug: str) -> None:
    async with opened(tmp_path) as centre:
        with pytest.raises(InvalidInput) as refused:
            await centre.apps.catalogue.create(ADA, manifest(), slug)
        assert refused.value.field == "slug"


async def names(centre: Centre, caller: Caller = BOB, **search: object) -> list[str]:
    return [app.slug for app in await centre.apps.catalogue.find(caller, Search(**search), 100)]  # type: ignore[arg-type]


async def test_lists(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        apps = centre.apps
        first = await published(apps, slug="first", name=NASTY)
        await published(apps, slug="second", name="实时字幕", tags=["captions"])
        await apps.catalogue.create(ADA, manifest(), "third")
        assert await names(centre) == ["second", "first"]
        assert await names(centre, sort="name") == ["first", "second"]
        assert await names(centre, words="字幕") == ["second"]
        assert await names(centre, words="drop table <script>") == ["first"]
        assert await names(centre, words="%") == ["first"]
        assert await names(centre, words="captions drop") == []
        assert await names(centre, ADA, mine=True) == ["third", "second", "first"]
        assert await names(centre, sort="featured") == []
        await apps.review.feature(REVIEWER, first, True)
        assert await names(centre, sort="featured") == ["first"]
        await apps.review.suspend(REVIEWER, first, "reason")
        assert await names(centre) == ["second"]
        app, _ = await apps.catalogue.create(ADA, manifest(name="声音"))
        assert app.slug.startswith("a-")
        with pytest.raises(Conflict, match="taken"):
            await apps.catalogue.create(BOB, manifest(), "first")


async def test_a_parameter_that_its_stage_refuses_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        app = await published(centre.apps, parameters={"softness": {"path": "soft.sigma"}})
        for parameters in ({"softness": 1e9}, {"softness": "much"}, {"softness": None}):
            with pytest.raises(InvalidInput) as refused:
                await centre.apps.start(BOB, AppCall(app, parameters))
            assert refused.value.field == "parameters.softness"
        others: tuple[object, ...] = ([], "x", {"other": 1})
        for wrong in others:
            with pytest.raises(InvalidInput):
                await centre.apps.start(BOB, AppCall(app, wrong))
        with pytest.raises(Forbidden):
            await centre.apps.start(Caller("key", scopes=frozenset({"media"})), AppCall(app))
