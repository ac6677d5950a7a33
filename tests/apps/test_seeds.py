"""The apps to start from: published by submission and review at the start, once, and each does what it says."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.accounts import Accounts
from aimass_stream.apps.apps import Apps
from aimass_stream.apps.catalogue import Search
from aimass_stream.apps.seeds import AUTHOR, REVIEWER, Seeds, builtin
from aimass_stream.errors import Conflict, Forbidden, Unauthorized
from tests.support import accounts as accounts_support
from tests.support.apps import ADMIN, BOB, STAGES, manifest
from tests.support.session import opened_node

pytestmark = pytest.mark.anyio

GIVEN = builtin()
SLUGS = ["live-captions", "meeting-greeter", "painted-webcam", "shop-counter", "text-reader", "voice-assistant"]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Apps, Accounts]]:
    async with accounts_support.opened(folder) as accounts:
        yield Apps(accounts.parts.ledger.database, STAGES, accounts.parts.audit), accounts


def seeds(apps: Apps, accounts: Accounts) -> Seeds:
    return Seeds(apps.catalogue, apps.review, accounts.own)


async def test_they_go_the_way_of_every_app_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (apps, accounts):
        assert await apps.sow(accounts.own) == SLUGS
        assert [app.slug for app in await apps.catalogue.find(BOB, Search(sort="name"), 9)] == SLUGS
        assert len(await apps.catalogue.find(BOB, Search(sort="featured"), 9)) == 3
        author, reviewer = (accounts.directory.users[accounts.directory.names[name]] for name in (AUTHOR, REVIEWER))
        audit = accounts.parts.audit
        for what, who in (("submitted", author), ("approved", reviewer), ("published", author)):
            assert {entry.who for entry in await audit.find(what=f"app.{what}")} == {who.id}
        for user in (author, reviewer):
            assert user.state == "disabled"
            link = await accounts.parts.people.link(ADMIN, user.id)
            await accounts.parts.people.accept(link, accounts_support.PASSWORD, address="203.0.113.1")
            with pytest.raises((Forbidden, Unauthorized)):
                await accounts.parts.people.sign_in(user.name, accounts_support.PASSWORD, address="203.0.113.1")
        assert await apps.sow(accounts.own) == []


async def test_a_newer_one_is_a_version_and_what_was_taken_back_stays_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as (apps, accounts):
        given: dict[str, Any] = {"one": manifest(), "two": manifest(), "three": manifest()}
        await apps.catalogue.create(BOB, manifest(), "three")  # somebody was first
        assert await seeds(apps, accounts).sow(copy.deepcopy(given)) == ["one", "two"]
        await apps.review.unpublish(ADMIN, "two")
        changed = {slug: manifest(name="Newer") for slug in given}
        assert await seeds(apps, accounts).sow(changed) == ["one"]
        app = await apps.catalogue.get(BOB, "one")
        assert (app.name, app.live) == ("Newer", 2)
        given["broken"] = manifest(pipeline=[{"stage": "not-installed"}])
        assert await seeds(apps, accounts).sow({"broken": given["broken"]}) == []


async def test_a_start_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (apps, accounts):
        author = await accounts.own(AUTHOR, "developer", "AI Mass Stream: apps to start from")
        assert author is not None
        app, _ = await apps.catalogue.create(author, manifest(), "one")
        await apps.review.submit(author, app.id, 1)
        assert await seeds(apps, accounts).sow({"one": manifest()}) == ["one"]


async def test_a_name_that_is_somebodys_is_not_taken_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as (apps, accounts):
        await accounts_support.person(accounts, REVIEWER)
        assert await apps.sow(accounts.own) == []
        with pytest.raises(Conflict):
            await accounts.parts.people.invite(ADMIN, AUTHOR, "user")


@pytest.mark.parametrize("slug", SLUGS)
async def test_each_does_what_it_says(tmp_path: Path, slug: str) -> None:
    """Its own example, through a real session."""
    async with opened(tmp_path) as (apps, accounts), opened_node(STAGES) as node:
        apps.open(node)
        try:
            assert await seeds(apps, accounts).sow({slug: GIVEN[slug]}) == [slug]
            passed, detail, _ = await apps.probe(ADMIN, slug, None)
            assert passed, detail
        finally:
            await node.close()
            await apps.close()
