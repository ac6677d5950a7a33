"""People, their keys and teams, and what was done (docs/api/accounts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import NotFound
from .connection import Connection, part
from .records import Entry, Key, Limit, Me, SignIn, Team, User, read

Quotas = Mapping[str, int | None]

HASHED = 30.0  # s that a password may take


class Account:
    """`Client.account`: one's own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def show(self) -> Me:
        return read(Me, await self._connection.request("GET", "/v1/accounts/me"))

    async def limits(self) -> dict[str, Limit]:
        """How much one may use, and has used, of each kind."""
        told = await self._connection.request("GET", "/v1/accounts/me/limits")
        return {name: read(Limit, each) for name, each in told.items()}

    async def export(self) -> dict[str, Any]:
        """All that the server keeps of one."""
        return dict(await self._connection.request("GET", "/v1/accounts/me/export"))

    async def change(self, *, title: str) -> User:
        """What people call one."""
        return read(User, await self._connection.request("PATCH", "/v1/accounts/me", {"title": title}))

    async def set_password(self, old: str, new: str) -> None:
        """Browsers are signed out; keys stay."""
        await self._connection.request("POST", "/v1/accounts/me/password", {"old": old, "new": new}, seconds=HASHED)

    async def sign_ins(self) -> list[SignIn]:
        """Browsers where one is signed in, the newest first."""
        told = await self._connection.request("GET", "/v1/accounts/me/sign-ins")
        return [read(SignIn, each) for each in told["sign_ins"]]

    async def end_sign_in(self, sign_in_id: str) -> None:
        """What was opened from there ends."""
        await self._connection.request("DELETE", f"/v1/accounts/me/sign-ins/{part(sign_in_id)}")

    async def erase(self, password: str) -> None:
        """The account with all that is its own. `Conflict` for the last admin, and for a team's only owner."""
        await self._connection.request("POST", "/v1/accounts/me/erase", {"password": password}, seconds=HASHED)

    async def connect_token(self, seconds: float = 60) -> str:
        """For a page: opens one session, once."""
        made = await self._connection.request("POST", "/v1/connect-tokens", {"expires_in": seconds})
        return str(made["token"])

    async def sign_in(self, name: str, password: str, *, token: str = "", new: bool = False, title: str = "",
                      key_title: str = "") -> Key:
        """A key for who has a password, which the connection uses from then on.

        `token`: of the link that made the server's first admin, or of an invitation, whose name is not asked for;
        `new`: make the account, where the server lets people.
        """
        begin, body = "sign-in", {"name": name, "password": password}
        if token.startswith("adm_") or new:
            begin, body = "sign-up", body | {"title": title} | ({"token": token} if token else {})
        elif token:
            begin, body = "accept", {"token": token, "password": password}
        connection = self._connection
        async with Connection(connection.url, verify=connection.ssl or True) as visitor:  # its cookies end with it
            signed_in = await visitor.checked("POST", f"/v1/accounts/{begin}", json=body, seconds=HASHED)
            headers = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
            made = await visitor.checked("POST", "/v1/keys", json={"title": key_title}, headers=headers)
            await visitor.checked("POST", "/v1/accounts/sign-out", headers=headers)
        key = read(Key, made.json())
        connection.use(key.key)
        return key


class Keys:
    """`Client.keys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, *, team: str | None = None, most: int = 1000) -> list[Key]:
        """One's own and those of one's teams; all, for an admin."""
        return [read(Key, row) for row in await self._connection.pages("/v1/keys", "keys", most, team=team)]

    async def create(self, title: str = "", *, scopes: list[str] | None = None, team: str = "",
                     seconds: float | None = None, quotas: Quotas | None = None) -> Key:
        """Its `key` is never told again. Without `scopes` it may do what its maker may."""
        body = {"title": title, "scopes": scopes, "team": team, "expires_in": seconds, "quotas": dict(quotas or {})}
        return read(Key, await self._connection.request("POST", "/v1/keys", body))

    async def show(self, key_id: str) -> Key:
        return read(Key, await self._connection.request("GET", f"/v1/keys/{part(key_id)}"))

    async def change(self, key_id: str, *, title: str | None = None, quotas: Quotas | None = None) -> Key:
        body = _said(title=title, quotas=quotas)
        return read(Key, await self._connection.request("PATCH", f"/v1/keys/{part(key_id)}", body))

    async def revoke(self, key_id: str) -> Key:
        """Sessions that it has opened end at once."""
        return read(Key, await self._connection.request("DELETE", f"/v1/keys/{part(key_id)}"))


class Users:
    """`Client.users`: everybody's accounts, for admins."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, words: str = "", *, most: int = 1000) -> list[User]:
        """The newest first; `words`: part of a name or title."""
        return [read(User, row) for row in await self._connection.pages("/v1/accounts", "accounts", most, q=words)]

    async def show(self, user: str) -> User:
        """By id or name."""
        if user.startswith("usr_"):
            return read(User, await self._connection.request("GET", f"/v1/accounts/{part(user)}"))
        found = next((each for each in await self.find(user) if each.name == user.casefold()), None)
        if found is None:
            raise NotFound(f"there is no user {user!r}", field="user")
        return found

    async def create(self, name: str, *, role: str = "user", title: str = "") -> User:
        """Invite; whoever it is for sets the password with the `token` of the answer."""
        body = {"name": name, "role": role, "title": title}
        return read(User, await self._connection.request("POST", "/v1/accounts", body))

    async def change(self, user: str, *, title: str | None = None, role: str | None = None, state: str | None = None,
                     quotas: Quotas | None = None) -> User:
        """By id or name. Who becomes `disabled` is signed out, and what they have opened ends."""
        body = _said(title=title, role=role, state=state, quotas=quotas)
        return read(User, await self._connection.request("PATCH", await self._of(user), body))

    async def link(self, user: str) -> User:
        """A new `token` for who has lost the password or the invitation."""
        return read(User, await self._connection.request("POST", f"{await self._of(user)}/link"))

    async def export(self, user: str) -> dict[str, Any]:
        return dict(await self._connection.request("GET", f"{await self._of(user)}/export"))

    async def delete(self, user: str) -> None:
        """Erase the account with all that is its own."""
        await self._connection.request("DELETE", await self._of(user))

    async def _of(self, user: str) -> str:
        return f"/v1/accounts/{part(user if user.startswith('usr_') else (await self.show(user)).id)}"


class Teams:
    """`Client.teams`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self) -> list[Team]:
        """Those that one is in; all, for an admin."""
        return [read(Team, each) for each in (await self._connection.request("GET", "/v1/teams"))["teams"]]

    async def create(self, name: str, *, title: str = "") -> Team:
        return read(Team, await self._connection.request("POST", "/v1/teams", {"name": name, "title": title}))

    async def show(self, team_id: str) -> Team:
        return read(Team, await self._connection.request("GET", _team(team_id)))

    async def change(self, team_id: str, *, title: str | None = None, quotas: Quotas | None = None) -> Team:
        body = _said(title=title, quotas=quotas)
        return read(Team, await self._connection.request("PATCH", _team(team_id), body))

    async def put(self, team_id: str, user: str, role: str = "member") -> Team:
        """Add somebody by name or id, or give them another role: owner or member."""
        path = f"{_team(team_id)}/members/{part(user)}"
        return read(Team, await self._connection.request("PUT", path, {"role": role}))

    async def remove(self, team_id: str, user_id: str) -> Team:
        """Send somebody away, or leave."""
        path = f"{_team(team_id)}/members/{part(user_id)}"
        return read(Team, await self._connection.request("DELETE", path))

    async def delete(self, team_id: str) -> None:
        await self._connection.request("DELETE", _team(team_id))


class Audit:
    """`Client.audit`: who did what, when, from where."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, words: str = "", *, who: str | None = None, what: str | None = None,
                   object: str | None = None, since: float | None = None, until: float | None = None,
                   most: int = 200) -> list[Entry]:
        """The newest first; `what` may be a beginning, such as ``key.``; who is no admin sees their own."""
        rows = await self._connection.pages("/v1/audit", "entries", most, q=words, who=who, what=what, object=object,
                                            since=since, until=until)
        return [read(Entry, row) for row in rows]


def _team(team_id: str) -> str:
    return f"/v1/teams/{part(team_id)}"


def _said(**values: Any) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items() if value is not None}
