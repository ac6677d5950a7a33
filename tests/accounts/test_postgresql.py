"""The same on PostgreSQL: what is asked of the database in words of its own."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aimass_stream.accounts.tables import AUDIT_LEAST
from aimass_stream.errors import Conflict, Unauthorized
from tests.support import postgres
from tests.support.accounts import OWNER, PASSWORD, Clock, opened, person

pytestmark = pytest.mark.anyio


@pytest.fixture
def place() -> str:
    url = postgres.emptied()
    importlib.import_module("sqlalchemy.dialects.postgresql.asyncpg")  # before the loop runs: it takes long
    return url


async def test_people_keys_and_teams_on_postgresql(place: str) -> None:
    async with opened(place) as one, opened(place) as two:
        people, keys = one.parts.people, one.parts.keys
        made = await asyncio.gather(*(people.invite(OWNER, "same", "user") for _ in range(4)), return_exceptions=True)
        assert [type(each) for each in made].count(Conflict) == 3
        ada = await person(one, "ada", "developer")
        team = await one.parts.teams.make(ada, "engines", "'; DROP TABLE teams; --")
        key, secret = await keys.make(ada, team=team.id)
        await two.parts.ledger.refresh()
        assert two.authorize(None, token=secret).owner == team.id
        await two.parts.keys.note()
        done = await people.sign_in("ada", PASSWORD, address="203.0.113.1")
        caller = one.authorize(None, cookie=f"aimass_session={done.cookie}", reads=True)
        assert len((await one.parts.privacy.export(caller, done.user))["keys"]) == 1
        await two.parts.teams.end(OWNER, team.id)
        await one.parts.ledger.refresh()
        with pytest.raises(Unauthorized):
            one.authorize(None, token=secret)
        await one.parts.privacy.erase(caller, done.user)
        assert [entry.what for entry in await one.parts.audit.find(object=key.id)] == ["key.made"]
        assert [entry.what for entry in await one.parts.audit.find(words="ERASED usr_")] == ["user.erased"]


async def test_the_log_can_only_be_added_to_there_as_well(place: str) -> None:
    clock = Clock()
    async with opened(place, clock=clock) as accounts:
        clock.ahead = -AUDIT_LEAST - 40 * 86400
        await accounts.parts.audit.write(OWNER, "test.old", text="名前")
        clock.ahead = 0
        await accounts.parts.audit.write(OWNER, "test.new")
        for statement in ("UPDATE audit SET who = 'nobody'", "DELETE FROM audit"):
            with pytest.raises(DBAPIError, match="append-only"):
                async with accounts.parts.ledger.database.begin() as connection:
                    await connection.execute(text(statement))
        await accounts.parts.privacy.sweep(audit_days=1, keep_days=1)
        assert [entry.what for entry in await accounts.parts.audit.find()] == ["test.new"]
