"""Teams, and what is left of people who go."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.accounts.tables import AUDIT_LEAST
from aimass_stream.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from aimass_stream.ports import Caller
from tests.support.accounts import OWNER, PASSWORD, Clock, caller_of, opened, person

pytestmark = pytest.mark.anyio


async def test_what_one_of_a_team_makes_is_everybodys_in_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        teams, keys, directory = accounts.parts.teams, accounts.parts.keys, accounts.directory
        ada, bob, eve = [await person(accounts, name) for name in ("ada", "bob", "eve")]
        team = await teams.make(ada, "Engines", "Ada's <i>engines</i>")
        await teams.put(ada, team.id, "Bob", "member")
        ada, bob = [caller_of(accounts, directory.users[one.user]) for one in (ada, bob)]
        key, secret = await keys.make(bob, "the team's", team=team.id)
        caller = accounts.authorize(None, token=secret)
        assert (caller.name, caller.team, caller.owner) == ("@engines", team.id, team.id)
        assert [caller.owns(owner) for owner in (team.id, bob.user, ada.user, "")] == [True, False, False, False]
        assert [one.owns(team.id) for one in (ada, bob, eve, OWNER)] == [True, True, False, True]
        assert [found.id for found in await keys.find(ada)] == [key.id]
        assert teams.find(eve) == []
        for act in (teams.put(eve, team.id, "eve", "owner"), teams.end(eve, team.id), keys.make(eve, team=team.id)):
            with pytest.raises(NotFound):
                await act
        with pytest.raises(Forbidden):
            await teams.put(bob, team.id, "eve", "member")
        await teams.remove(bob, team.id, bob.user)  # who leaves takes their keys with them
        with pytest.raises(Unauthorized):
            accounts.authorize(None, token=secret)


async def test_a_team_has_an_owner_until_it_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        teams, directory = accounts.parts.teams, accounts.directory
        ada, bob = [await person(accounts, name) for name in ("ada", "bob")]
        team = await teams.make(ada, "engines")
        ada = caller_of(accounts, directory.users[ada.user])
        await teams.put(ada, team.id, bob.user, "member")
        for act in (teams.remove(ada, team.id, ada.user), teams.put(ada, team.id, "ada", "member"),
                    accounts.parts.privacy.erase(ada, directory.users[ada.user])):
            with pytest.raises(Conflict, match="no owner"):
                await act
        for wrong in ("king", "' OR 1=1", ""):
            with pytest.raises(InvalidInput):
                await teams.put(ada, team.id, "bob", wrong)
        with pytest.raises(NotFound):
            await teams.put(ada, team.id, "'; DROP TABLE users; --", "member")
        with pytest.raises(Conflict, match="already"):
            await teams.make(bob, "ENGINES")
        await teams.put(ada, team.id, "bob", "owner")
        await teams.remove(ada, team.id, ada.user)
        bob = caller_of(accounts, directory.users[bob.user])
        with pytest.raises(Forbidden):  # what a team may use is an admin's to say
            await teams.change(bob, team.id, quotas={"requests": 10**6})
        assert dict((await teams.change(OWNER, team.id, quotas={"requests": 7})).quotas) == {"requests": 7}
        await teams.end(bob, team.id)
        assert teams.find(OWNER) == []
        await teams.make(ada, "engines")  # its name is free again


class Album:
    """Something else that keeps what is people's."""

    def __init__(self) -> None:
        self.pictures: dict[str, list[str]] = {}

    async def export(self, user: str) -> Any:
        return self.pictures.get(user, [])

    async def erase(self, user: str) -> None:
        self.pictures.pop(user, None)


async def test_what_is_a_persons_own_is_given_to_them_and_erased(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        people, privacy, album = accounts.parts.people, accounts.parts.privacy, Album()
        accounts.personal["album"] = album
        user = await people.sign_up("ada@example.org", PASSWORD, "Ada Lovelace", address="203.0.113.77")
        done = await people.sign_in("ada@example.org", PASSWORD, address="203.0.113.77", agent="Her Browser/1.0")
        ada = accounts.authorize(None, address="203.0.113.77", cookie=f"aimass_session={done.cookie}", reads=True)
        album.pictures[user.id] = ["a face"]
        key, secret = await accounts.parts.keys.make(ada, "her own key")
        team = await accounts.parts.teams.make(ada, "engines")
        told = json.loads(json.dumps(await privacy.export(ada, user)))
        assert told["user"]["name"] == "ada@example.org"
        assert [one["prefix"] for one in told["keys"]] == [key.prefix]
        assert told["sign_ins"][0]["agent"] == "Her Browser/1.0"
        assert told["teams"] == [{"id": team.id, "name": "engines", "role": "owner"}]
        assert told["album"] == ["a face"]
        assert {entry["what"] for entry in told["audit"]} == {"user.created", "user.signed_in", "key.made",
                                                             "team.made"}
        assert secret not in str(told)
        assert "argon2" not in str(told)
        await privacy.erase(ada, user)
        assert album.pictures == {}
        with pytest.raises(Unauthorized):
            accounts.authorize(None, token=secret)
        with pytest.raises(Unauthorized):
            await people.sign_in("ada@example.org", PASSWORD, address="203.0.113.77")
        with pytest.raises(NotFound):
            people.get(user.id)
        (entry,) = await accounts.parts.audit.find(what="user.erased")
        assert (entry.who, entry.object) == (user.id, user.id)
        await people.sign_up("ada@example.org", PASSWORD, address="203.0.113.78")
    connection = sqlite3.connect(tmp_path / "accounts.db")
    rest = str([connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (user.id,)).fetchall()
                for table, column in (("users", "id"), ("keys", "user"), ("sign_ins", "user"), ("members", "user"))])
    connection.close()
    for word in ("ada@", "Ada", "Her Browser", "203.0.113.77", "argon2", "her own key"):
        assert word not in rest


async def test_the_log_says_who_did_what_from_where_and_no_secrets(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        audit = accounts.parts.audit
        ada = await person(accounts, "ada")
        key, secret = await accounts.parts.keys.make(ada, "mine")
        await accounts.parts.keys.revoke(accounts.authorize(None, token=secret, address="198.51.100.3"), key.id)
        (revoked,) = await audit.find(what="key.revoked")
        assert (revoked.who, revoked.key, revoked.address, revoked.object) == (ada.user, key.id, "198.51.100.3", key.id)
        assert [entry.what for entry in await audit.find(object=key.id)] == ["key.revoked", "key.made"]
        assert {entry.what for entry in await audit.find(what="key.")} == {"key.revoked", "key.made"}
        assert await audit.find(who=ada.user, words="REVOKED 198.51") == [revoked]
        assert await audit.find(words="198%51") == await audit.find(words="' OR 1=1 --") == []
        assert await audit.find(since=revoked.at + 1) == await audit.find(until=0) == []
        every = await audit.find()
        assert await audit.find(before=every[1].id) == every[2:]
        assert await audit.find(limit=2) == every[:2]
        assert secret not in str(every)
        assert PASSWORD not in str(every)
        hostile = "'; DROP TABLE audit; -- <script>\0"
        await audit.write(Caller("api-key"), "test.done", hostile[:-1], text=hostile, long="x" * 10_000)
        (entry,) = await audit.find(what="test.done")
        assert (entry.object, entry.details) == (hostile[:-1], {"too_long": True})


async def test_the_log_can_only_be_added_to(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as accounts:
        clock.ahead = -AUDIT_LEAST - 40 * 86400
        await accounts.parts.audit.write(OWNER, "test.old")
        clock.ahead = -AUDIT_LEAST + 86400
        await accounts.parts.audit.write(OWNER, "test.young")
        clock.ahead = 0
        await accounts.parts.audit.write(OWNER, "test.new")
        path = tmp_path / "accounts.db"
        connection = sqlite3.connect(path)
        for statement in ("UPDATE audit SET who = 'nobody'", "DELETE FROM audit WHERE what = 'test.young'",
                          "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
            connection.rollback()
        connection.close()
        await accounts.parts.privacy.sweep(audit_days=1, keep_days=1)  # not younger than the least
        assert [entry.what for entry in await accounts.parts.audit.find()] == ["test.new", "test.young"]


async def test_what_is_of_no_use_is_let_go_of(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as accounts:
        ada = await person(accounts, "ada")
        await accounts.parts.people.signed_in(accounts.directory.users[ada.user], address="203.0.113.1")
        revoked, _ = await accounts.parts.keys.make(ada)
        kept, secret = await accounts.parts.keys.make(ada)
        await accounts.parts.keys.revoke(ada, revoked.id)
        await accounts.parts.people.link(OWNER, ada.user)
        clock.ahead = 200 * 86400.0
        await accounts.parts.privacy.sweep(audit_days=365, keep_days=90)
        assert await accounts.parts.keys.find(ada) == [kept]
        assert accounts.authorize(None, token=secret).user == ada.user
        assert (accounts.directory.sign_ins, accounts.directory.cookies) == ({}, {})
    connection = sqlite3.connect(tmp_path / "accounts.db")
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
              for table in ("keys", "sign_ins", "invitations")]
    connection.close()
    assert counts == [1, 0, 0]
