"""Who there is, in memory: what every request asks is answered from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from ..ports import ROLES, SCOPES, Caller, Role

State: TypeAlias = Literal["invited", "active", "disabled", "erased"]
TeamRole: TypeAlias = Literal["owner", "member"]

KEY, SIGN_IN = "key_", "ses_"  # how ids begin


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    title: str
    role: Role
    state: State
    quotas: Mapping[str, int]
    created: float  # s since the epoch
    seen: float | None
    version: int = 0  # of the change that made them what they are


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str
    title: str
    state: Literal["active", "erased"]
    quotas: Mapping[str, int]
    created: float
    members: Mapping[str, TeamRole]  # by user's id
    version: int = 0  # as a user's


@dataclass(slots=True)
class Key:
    id: str
    prefix: str
    hash: bytes
    title: str
    user: str  # "": the server's own
    team: str
    scopes: frozenset[str]
    quotas: Mapping[str, int]
    created: float
    expires: float | None
    revoked: float | None
    used: float | None
    version: int = 0  # as a user's

    def good(self, now: float) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A cookie session."""

    id: str
    hash: bytes
    user: str
    address: str
    agent: str
    created: float
    expires: float
    ended: float | None

    def good(self, now: float) -> bool:
        return self.ended is None and now < self.expires


@dataclass(slots=True)
class Directory:
    """`ended` is called with the ids of users, keys and cookie sessions that are no longer good."""

    ended: Callable[[set[str]], None] = lambda ids: None
    users: dict[str, User] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # of users, to ids
    keys: dict[str, Key] = field(default_factory=dict)
    prefixes: dict[str, Key] = field(default_factory=dict)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)
    cookies: dict[bytes, SignIn] = field(default_factory=dict)  # by hash
    teams: dict[str, Team] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)  # ids of keys whose use has not been written down
    _sign_ins_of: dict[str, set[str]] = field(default_factory=dict)
    _teams_of: dict[str, frozenset[str]] = field(default_factory=dict)

    # rows of the database -------------------------------------------------------------------------

    def put_user(self, row: Any) -> None:
        before = self.users.get(row.id)
        user = User(row.id, row.name, row.title, cast(Role, row.role), cast(State, row.state), row.quotas, row.created,
                    row.seen, row.version)
        if before is not None:
            self.names.pop(before.name, None)
        self.users[user.id] = user
        self.names[user.name] = user.id
        if before is not None and before.state == "active" and (user.state != "active" or ROLES[before.role]
                                                                > ROLES[user.role]):
            self.ended({user.id})

    def put_team(self, row: Any, members: Mapping[str, str]) -> None:
        before = self.teams.get(row.id)
        team = Team(row.id, row.name, row.title, row.state, row.quotas, row.created,
                    cast(Mapping[str, TeamRole], members) if row.state == "active" else {}, row.version)
        self.teams[team.id] = team
        for user in set(before.members if before is not None else ()) | set(team.members):
            mine = self._teams_of.get(user, frozenset())
            self._teams_of[user] = mine | {team.id} if user in team.members else mine - {team.id}

    def put_key(self, row: Any) -> None:
        before = self.keys.get(row.id)
        used = max((at for at in (row.used, before.used if before is not None else None) if at is not None),
                   default=None)
        key = Key(row.id, row.prefix, row.hash, row.title, row.user or "", row.team or "",
                  frozenset(row.scopes) & SCOPES, row.quotas, row.created, row.expires, row.revoked, used,
                  row.version)
        self.keys[key.id] = self.prefixes[key.prefix] = key
        if before is not None and before.revoked is None and key.revoked is not None:
            self.ended({key.id})

    def put_sign_in(self, row: Any) -> None:
        before = self.sign_ins.get(row.id)
        found = SignIn(row.id, row.hash, row.user, row.address, row.agent, row.created, row.expires, row.ended)
        self.sign_ins[found.id] = self.cookies[found.hash] = found
        self._sign_ins_of.setdefault(found.user, set()).add(found.id)
        if before is not None and before.ended is None and found.ended is not None:
            self.ended({found.id})

    def forget(self, ids: Iterable[str], before: float) -> None:
        """Those of these keys and cookie sessions that have been of no use since then."""
        for one in ids:
            if (key := self.keys.get(one)) is not None and min(key.revoked or before, key.expires or before) < before:
                del self.keys[key.id], self.prefixes[key.prefix]
            elif (old := self.sign_ins.get(one)) is not None and min(old.ended or before, old.expires) < before:
                del self.sign_ins[old.id], self.cookies[old.hash]
                self._sign_ins_of[old.user].discard(old.id)

    # questions -------------------------------------------------------------------------------------

    def called(self, one: str) -> str:
        """What people call a user, a team, a key or a cookie session, by its id; "" for what is none."""
        if (who := self.users.get(one) or self.teams.get(one)) is not None:
            return who.name
        if (key := self.keys.get(one)) is not None:
            return key.title or f"aim_{key.prefix}…"
        sign_in = self.sign_ins.get(one)
        return f"{self.called(sign_in.user)}, in a browser" if sign_in is not None else ""

    def sign_ins_of(self, user: str) -> list[SignIn]:
        return [self.sign_ins[one] for one in self._sign_ins_of.get(user, ())]

    def teams_of(self, user: str) -> frozenset[str]:
        return self._teams_of.get(user, frozenset())

    def active(self, user: str) -> User | None:
        found = self.users.get(user)
        return found if found is not None and found.state == "active" else None

    def admins(self) -> list[User]:
        """Those that can sign in."""
        return [user for user in self.users.values() if user.role == "admin" and user.state == "active"]

    def by_key(self, key: Key, address: str, now: float) -> Caller | None:
        """None where it is no longer good."""
        if not key.good(now):
            return None
        if not key.user:
            return Caller("server", address, key.id, "", key.team, "admin", key.scopes)
        user = self.active(key.user)
        if user is None:
            return None
        name = user.name
        if key.team:
            team = self.teams.get(key.team)
            if team is None or user.id not in team.members:
                return None
            name = f"@{team.name}"
        return Caller(name, address, key.id, user.id, key.team, user.role, ROLES[user.role] & key.scopes,
                      self.teams_of(user.id))

    def by_sign_in(self, found: SignIn, address: str, now: float) -> Caller | None:
        user = self.active(found.user) if found.good(now) else None
        if user is None:
            return None
        return Caller(user.name, address, found.id, user.id, "", user.role, ROLES[user.role], self.teams_of(user.id))

    def again(self, caller: Caller, now: float) -> Caller | None:
        """Someone who was let in before, as they are now."""
        if caller.id.startswith(KEY):
            key = self.keys.get(caller.id)
            return None if key is None else self.by_key(key, caller.address, now)
        if caller.id.startswith(SIGN_IN):
            found = self.sign_ins.get(caller.id)
            return None if found is None else self.by_sign_in(found, caller.address, now)
        return caller
