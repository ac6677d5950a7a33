"""What a person gets and what goes when they ask for it, on each kind of database."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest

from aimass_stream.apps.catalogue import Search
from aimass_stream.errors import NotFound
from aimass_stream.ports import AppCall
from tests.support import postgres
from tests.support.apps import ADA, BOB, REVIEWER, TEAM, manifest, opened, published

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "sqlite":
        return tmp_path
    url = postgres.emptied()
    importlib.import_module("sqlalchemy.dialects.postgresql.asyncpg")  # before the loop runs: it takes long
    return url


async def test_export_and_erasure(place: Path | str) -> None:
    async with opened(place) as centre:
        apps = centre.apps
        mine = await published(apps, name="实时 \U0001f600")
        theirs = await published(apps, TEAM, REVIEWER, "theirs")
        apps.health.note(mine, "sessions", failed=False, latency=0.02)
        await apps.health.flush()
        await apps.health.probed(mine, True, "", 1.0)
        await asyncio.gather(*(apps.requests.ask(ADA, "other", f"{number}", "") for number in range(3)))
        assert len(await apps.requests.find(ADA, "open", False, 9)) == 3
        assert [app.id for app in await apps.catalogue.find(BOB, Search(sort="used"), 9)] == [mine, theirs]
        assert [app.id for app, _ in await apps.find(BOB, "实时", False, "new", 9)] == [mine]
        await apps.catalogue.begin_version(ADA, mine, manifest())
        found = await apps.personal.export(ADA.user)
        assert [version["version"] for version in found["apps"][0]["versions"]] == [1, 2]
        assert len(found["requests"]) == 3
        await apps.personal.erase(ADA.user)
        assert await apps.personal.export(ADA.user) == {"apps": [], "requests": []}
        with pytest.raises(NotFound):
            await apps.start(BOB, AppCall(mine))
        await apps.start(BOB, AppCall(theirs))
        apps.health.note(mine, "sessions", failed=False)  # of one that ended after it
        await apps.health.flush()
