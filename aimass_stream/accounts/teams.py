"""Teams: people who share models, apps, keys and what they may use."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from ..errors import Conflict, Forbidden, InvalidInput, NotFound
from ..ports import Caller
from .directory import Directory, Team
from .ledger import Change, Ledger
from .tables import KEYS, MEMBERS, TEAMS
from .text import ERASED, name_of, quotas_of, title_of

MOST = 50  # that one person is in
MEMBERS_MOST = 500


class Teams:
    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._clock = ledger, clock
        self._directory: Directory = ledger.directory

    def find(self, caller: Caller) -> list[Team]:
        """Those that the caller is in; all, for an admin."""
        teams = self._directory.teams
        mine = teams if "admin" in caller.scopes else self._directory.teams_of(caller.user)
        return sorted((teams[one] for one in mine if _shows(teams[one], caller)), key=lambda team: team.name)

    def get(self, caller: Caller, team_id: str) -> Team:
        """Raises `NotFound`."""
        team = self._directory.teams.get(team_id)
        if team is None or not _shows(team, caller):
            raise NotFound(f"there is no team {team_id[:64]!r}", field="id")
        return team

    def _led(self, caller: Caller, team_id: str) -> Team:
        """Raises `NotFound` or `Forbidden`."""
        team = self.get(caller, team_id)
        if "admin" not in caller.scopes and team.members.get(caller.user) != "owner":
            raise Forbidden(f"only an owner of {team.name} may do that")
        return team

    async def make(self, caller: Caller, name: str, title: str = "") -> Team:
        """Raises `InvalidInput` or `Conflict`; `Forbidden` for who has no account."""
        if not caller.user:
            raise Forbidden("a team is made by one of its members: sign in first")
        name, title, team = name_of(name), title_of(title), f"team_{secrets.token_urlsafe(12)}"
        async with self._ledger.change() as change:
            if (await change.connection.execute(select(TEAMS.c.id).where(TEAMS.c.name == name))).first() is not None:
                raise Conflict(f"there is a team {name!r} already", field="name")
            await change.connection.execute(insert(TEAMS).values(
                id=team, name=name, title=title, state="active", quotas={}, created=self._clock(),
                version=change.version))
            await self._add(change, team, caller.user, "owner")
            await self._ledger.audit.add(change.connection, caller, "team.made", team)
        return self._directory.teams[team]

    async def change(self, caller: Caller, team_id: str, *, title: str | None = None,
                     quotas: Mapping[str, int | None] | None = None, seen: int | None = None) -> Team:
        """Quotas are the admins' to set. Raises `NotFound`, `Forbidden` or `InvalidInput`, and `Stale` where `seen` is
        not the version that it is of."""
        team = self._led(caller, team_id)
        values: dict[str, Any] = {} if title is None else {"title": title_of(title)}
        if quotas is not None:
            caller.need("admin")
            values["quotas"] = quotas_of(quotas)
        async with self._ledger.change() as change:
            await change.still(TEAMS, team.id, seen)
            await self._touch(change, team.id, **values)
            await self._ledger.audit.add(change.connection, caller, "team.changed", team.id, fields=sorted(values))
        return self._directory.teams[team.id]

    async def put(self, caller: Caller, team_id: str, user: str, role: str) -> Team:
        """Add a user, by name or id, or give them another role. Raises as `change`, and `Conflict`."""
        team = self._led(caller, team_id)
        if role not in ("owner", "member"):
            raise InvalidInput("in a team one is 'owner' or 'member'", field="role")
        found = self._directory.active(user) or self._directory.active(self._directory.names.get(user.casefold(), ""))
        if found is None:
            raise NotFound(f"there is no user {user[:64]!r}", field="user")
        async with self._ledger.change() as change:
            await self._take(change, team.id, found.id)
            await self._add(change, team.id, found.id, role)
            await self._led_by_one(change, team)
            await self._touch(change, team.id)
            await self._ledger.audit.add(change.connection, caller, "team.member", team.id, user=found.id, role=role)
        return self._directory.teams[team.id]

    async def remove(self, caller: Caller, team_id: str, user: str) -> Team:
        """Everybody may leave; owners send others away. The team's keys that they made are revoked."""
        team = self.get(caller, team_id) if user == caller.user else self._led(caller, team_id)
        if user not in team.members:
            raise NotFound(f"{user[:64]!r} is not in this team", field="user")
        async with self._ledger.change() as change:
            await self._take(change, team.id, user)
            await self._led_by_one(change, team)
            await self._revoke(change, KEYS.c.team == team.id, KEYS.c.user == user)
            await self._touch(change, team.id)
            await self._ledger.audit.add(change.connection, caller, "team.left", team.id, user=user)
        return self._directory.teams[team.id]

    async def end(self, caller: Caller, team_id: str) -> None:
        """The team is no more, and its keys are revoked. Raises `NotFound` or `Forbidden`."""
        team = self._led(caller, team_id)
        async with self._ledger.change() as change:
            await change.connection.execute(delete(MEMBERS).where(MEMBERS.c.team == team.id))
            await self._revoke(change, KEYS.c.team == team.id)
            await self._touch(change, team.id, state="erased", name=ERASED + team.id, title="")
            await self._ledger.audit.add(change.connection, caller, "team.ended", team.id)

    async def _add(self, change: Change, team: str, user: str, role: str) -> None:
        for column, value, most in ((MEMBERS.c.user, user, MOST), (MEMBERS.c.team, team, MEMBERS_MOST)):
            count = (await change.connection.execute(select(func.count()).select_from(MEMBERS).where(
                column == value))).scalar_one()
            if count >= most:
                raise Conflict(f"a person is in at most {MOST} teams, and a team has at most {MEMBERS_MOST} people")
        await change.connection.execute(insert(MEMBERS).values(team=team, user=user, role=role, since=self._clock()))

    async def _take(self, change: Change, team: str, user: str) -> None:
        await change.connection.execute(delete(MEMBERS).where(MEMBERS.c.team == team, MEMBERS.c.user == user))

    async def _led_by_one(self, change: Change, team: Team) -> None:
        if (await change.connection.execute(select(MEMBERS.c.user).where(
                MEMBERS.c.team == team.id, MEMBERS.c.role == "owner"))).first() is None:
            raise Conflict(f"{team.name} would have no owner: make somebody else one first, or end the team",
                           team=team.id)

    async def _touch(self, change: Change, team: str, **values: Any) -> None:
        await change.connection.execute(update(TEAMS).where(TEAMS.c.id == team).values(
            **values, version=change.version))

    async def _revoke(self, change: Change, *which: Any) -> None:
        await change.connection.execute(update(KEYS).where(*which, KEYS.c.revoked.is_(None)).values(
            revoked=self._clock(), version=change.version))


def _shows(team: Team, caller: Caller) -> bool:
    if team.state != "active":
        return False
    if caller.team and "admin" not in caller.scopes:
        return caller.team == team.id
    return "admin" in caller.scopes or caller.user in team.members
