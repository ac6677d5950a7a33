"""What is a person's own: given to them, erased when they say so, and let go when it has been kept for long enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, or_, select, update

from ..errors import Conflict
from ..ports import Caller, Personal
from .directory import User
from .ledger import Change, Ledger
from .tables import INVITATIONS, KEYS, MEMBERS, SIGN_INS, TEAMS, USERS
from .text import ERASED

ENTRIES = 10_000  # of the audit log that are exported
AT_ONCE = 1000  # looked at before others have their turn


class Privacy:
    """`others` keep what is people's in places of their own: they are asked, too, when somebody wants it or goes."""

    def __init__(self, ledger: Ledger, others: dict[str, Personal], *,
                 clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._others, self._clock = ledger, others, clock

    async def export(self, caller: Caller, user: User) -> dict[str, Any]:
        """All that is theirs, as JSON; no secrets, and no hashes of them."""
        directory = self._ledger.directory
        async with self._ledger.database.read() as connection:
            sign_ins = (await connection.execute(select(SIGN_INS).where(SIGN_INS.c.user == user.id)
                                                 .order_by(SIGN_INS.c.created))).all()
        found = {
            "user": {"id": user.id, "name": user.name, "title": user.title, "role": user.role, "state": user.state,
                     "quotas": dict(user.quotas), "created": user.created, "seen": user.seen},
            "keys": [{"id": key.id, "prefix": key.prefix, "title": key.title, "team": key.team,
                      "scopes": sorted(key.scopes), "quotas": dict(key.quotas), "created": key.created,
                      "expires": key.expires, "revoked": key.revoked, "used": key.used}
                     for key in directory.keys.values() if key.user == user.id],
            "sign_ins": [{"id": row.id, "address": row.address, "agent": row.agent, "created": row.created,
                          "expires": row.expires, "ended": row.ended} for row in sign_ins],
            "teams": [{"id": team.id, "name": team.name, "role": team.members[user.id]}
                      for team in directory.teams.values() if user.id in team.members],
            "audit": [{"at": entry.at, "address": entry.address, "what": entry.what, "object": entry.object,
                       "details": entry.details}
                      for entry in await self._ledger.audit.find(who=user.id, limit=ENTRIES)],
        }
        for name, other in self._others.items():
            found[name] = await other.export(user.id)
        await self._ledger.audit.write(caller, "user.exported", user.id)
        return found

    async def erase(self, caller: Caller, user: User) -> None:
        """What is left is the number that the audit log knows them by. Raises `Conflict` where others need them."""
        self._check(user)
        for other in self._others.values():
            await other.erase(user.id)
        async with self._ledger.change() as change:
            await self._check_admins(change, user)
            for team in self._ledger.directory.teams_of(user.id):
                await self._leave(change, team, alone=len(self._ledger.directory.teams[team].members) == 1)
            await change.connection.execute(delete(MEMBERS).where(MEMBERS.c.user == user.id))
            await change.connection.execute(delete(INVITATIONS).where(INVITATIONS.c.user == user.id))
            await change.connection.execute(update(KEYS).where(KEYS.c.user == user.id).values(
                title="", revoked=self._clock(), version=change.version))
            await change.connection.execute(update(SIGN_INS).where(SIGN_INS.c.user == user.id).values(
                address="", agent="", ended=self._clock(), version=change.version))
            await change.connection.execute(update(USERS).where(USERS.c.id == user.id).values(
                name=ERASED + user.id, title="", password=None, state="erased", role="user", quotas={}, seen=None,
                version=change.version))
            await self._ledger.audit.add(change.connection, caller, "user.erased", user.id)

    async def _leave(self, change: Change, team: str, *, alone: bool) -> None:
        """A team of nobody is none."""
        gone = {"state": "erased", "name": ERASED + team, "title": ""} if alone else {}
        await change.connection.execute(update(TEAMS).where(TEAMS.c.id == team).values(**gone, version=change.version))

    def _check(self, user: User) -> None:
        teams = self._ledger.directory.teams
        for team in [teams[one] for one in self._ledger.directory.teams_of(user.id)]:
            others = [role for member, role in team.members.items() if member != user.id]
            if team.members.get(user.id) == "owner" and others and "owner" not in others:
                raise Conflict(f"the team {team.name} would have no owner: make somebody else one first, or end it",
                               team=team.id)

    async def _check_admins(self, change: Change, user: User) -> None:
        if user.role == "admin" and (await change.connection.execute(select(USERS.c.id).where(
                USERS.c.role == "admin", USERS.c.state == "active", USERS.c.id != user.id))).first() is None:
            raise Conflict("this is the last admin: make another one first")

    async def sweep(self, *, audit_days: float, keep_days: float) -> None:
        """Let go of the log's oldest part, and of keys, cookie sessions and links that have been of no use for long."""
        await self._ledger.audit.forget(audit_days)
        moment = self._clock()
        before = moment - keep_days * 86400
        async with self._ledger.database.begin() as connection:
            await connection.execute(delete(INVITATIONS).where(INVITATIONS.c.expires < moment))
            await connection.execute(delete(KEYS).where(or_(KEYS.c.revoked < before, KEYS.c.expires < before)))
            await connection.execute(delete(SIGN_INS).where(or_(SIGN_INS.c.ended < before,
                                                                SIGN_INS.c.expires < before)))
        directory = self._ledger.directory
        for kept in (directory.keys, directory.sign_ins):
            ids = list(kept)
            for begin in range(0, len(ids), AT_ONCE):
                directory.forget(ids[begin : begin + AT_ONCE], before)
                await asyncio.sleep(0)  # there may be very many
