"""Users: how they come, sign in, change and go."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerSecond
from sqlalchemy import delete, insert, or_, select, update

from ..errors import Busy, Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from ..ports import Caller
from .allowance import Counters, network
from .directory import Directory, SignIn, User
from .ledger import Change, Ledger, later
from .passwords import Passwords
from .secret import COOKIE, LINK, hash_of, made
from .tables import INVITATIONS, SIGN_INS, USERS
from .text import name_of, password_of, quotas_of, role_of, title_of

INVITED_SECONDS = 7 * 86400
AGENT = 200  # characters of a browser's name that are kept

TRIES = RateLimitItemPerSecond(10, 300, namespace="sign_in")  # of one name from one address
TRIES_NAME = RateLimitItemPerSecond(50, 3600, namespace="sign_in_name")
TRIES_ADDRESS = RateLimitItemPerSecond(60, 300, namespace="sign_in_address")
SIGN_UPS = RateLimitItemPerSecond(20, 3600, namespace="sign_up")  # of one address


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    cookie: str
    sign_in: SignIn


class People:
    """`first` is the token of the one-time link that makes the first admin, while there is none."""

    def __init__(self, ledger: Ledger, passwords: Passwords, counters: Counters, *, sign_in_days: float,
                 clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._passwords, self._counters = ledger, passwords, counters
        self._directory: Directory = ledger.directory
        self._days, self._clock = sign_in_days, clock
        self.first: str | None = None

    def get(self, user_id: str) -> User:
        """Raises `NotFound`."""
        user = self._directory.users.get(user_id)
        if user is None or user.state == "erased":
            raise NotFound(f"there is no user {user_id[:64]!r}", field="id")
        return user

    async def find(self, word: str = "", *, after: tuple[float, str] | None = None, limit: int = 50) -> list[User]:
        """Who has the word in their name or title; the newest first, those after that moment and id."""
        query = (select(USERS.c.id).where(USERS.c.state != "erased").order_by(USERS.c.created.desc(), USERS.c.id)
                 .limit(limit))
        if word:
            query = query.where(or_(*(column.icontains(word, autoescape=True) for column in (
                USERS.c.name, USERS.c.title))))
        if after is not None:
            query = query.where(later(USERS, after))
        async with self._ledger.database.read() as connection:
            found = (await connection.execute(query)).scalars().all()
        return [self._directory.users[user] for user in found if user in self._directory.users]

    # coming ----------------------------------------------------------------------------------------

    async def sign_up(self, name: str, password: str, title: str = "", *, address: str) -> User:
        """Somebody new, who asked for it themselves. Raises `InvalidInput`, `Conflict` or `Busy`."""
        await self._limited(SIGN_UPS, network(address))
        return await self._make(name, password, title, "user", address)

    async def begin(self, token: str, name: str, password: str, title: str = "", *, address: str) -> User:
        """The first admin, by the link that the server printed. Raises `Unauthorized`, `InvalidInput`, `Busy`."""
        if self.first is None or not secrets.compare_digest(token.encode(errors="replace"), self.first.encode()):
            raise _no_link()
        user = await self._make(name, password, title, "admin", address)
        self.first = None
        return user

    async def _make(self, name: str, password: str, title: str, role: str, address: str) -> User:
        name, title = name_of(name), title_of(title)
        hashed = await self._passwords.hash(password_of(password, name))
        async with self._ledger.change() as change:
            if role == "admin" and (await change.connection.execute(select(USERS.c.id).where(
                    USERS.c.role == "admin", USERS.c.state == "active"))).first() is not None:
                raise _no_link()
            user = await self._insert(change, name, title, role, hashed)
            await self._ledger.audit.add(change.connection, Caller("", address, user=user), "user.created", user,
                                         role=role)
        return self.get(user)

    async def invite(self, caller: Caller, name: str, role: str, title: str = "") -> tuple[User, str]:
        """Somebody who sets their password by a link. Raises `InvalidInput` or `Conflict`."""
        name, title, role = name_of(name), title_of(title), role_of(role)
        async with self._ledger.change() as change:
            user = await self._insert(change, name, title, role, None)
            token = await self._link(change, user)
            await self._ledger.audit.add(change.connection, caller, "user.invited", user, role=role)
        return self.get(user), token

    async def link(self, caller: Caller, user_id: str) -> str:
        """A link by which they can set a new password; older ones are no longer good. Raises `NotFound`."""
        self.get(user_id)
        async with self._ledger.change() as change:
            token = await self._link(change, user_id)
            await self._ledger.audit.add(change.connection, caller, "user.linked", user_id)
        return token

    async def accept(self, token: str, password: str, *, address: str) -> User:
        """Set the password by such a link; who was signed in before is signed out. Raises as `begin`."""
        await self._limited(TRIES_ADDRESS, network(address))
        wanted = INVITATIONS.c.hash == hash_of(token)
        async with self._ledger.database.read() as connection:
            row = (await connection.execute(select(INVITATIONS).where(wanted))).first()
        if row is None or row.expires <= self._clock():
            raise _no_link()
        user = self.get(row.user)
        hashed = await self._passwords.hash(password_of(password, user.name))
        async with self._ledger.change() as change:
            if not (await change.connection.execute(delete(INVITATIONS).where(wanted))).rowcount:
                raise _no_link()
            state = "active" if user.state == "invited" else user.state
            await self._set(change, user.id, password=hashed, state=state)
            await self._end_all(change, user.id)
            await self._ledger.audit.add(change.connection, Caller("", address, user=user.id), "user.accepted", user.id)
        return self.get(user.id)

    async def _link(self, change: Change, user: str) -> str:
        token = made(LINK)
        await change.connection.execute(delete(INVITATIONS).where(INVITATIONS.c.user == user))
        await change.connection.execute(insert(INVITATIONS).values(
            hash=hash_of(token), user=user, created=self._clock(), expires=self._clock() + INVITED_SECONDS))
        return token

    async def _insert(self, change: Change, name: str, title: str, role: str, password: str | None) -> str:
        if (await change.connection.execute(select(USERS.c.id).where(USERS.c.name == name))).first() is not None:
            raise Conflict(f"there is a user {name!r} already", field="name")
        user = f"usr_{secrets.token_urlsafe(12)}"
        await change.connection.execute(insert(USERS).values(
            id=user, name=name, title=title, role=role, password=password, state="active" if password else "invited",
            quotas={}, created=self._clock(), version=change.version))
        return user

    # signing in and out ----------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str, *, address: str, agent: str = "") -> SignedIn:
        """Raises `Unauthorized`, `Forbidden` for one who is disabled, or `Busy` after too many tries."""
        try:
            name = name_of(name)
        except InvalidInput:
            name = ""
        place = network(address)
        await self._limited(TRIES_ADDRESS, place)
        await self._limited(TRIES_NAME, name)
        await self._limited(TRIES, name, place)
        user, known = await self._password_of(name)
        if not await self._passwords.verify(password, known) or user is None or known is None:
            if user is not None:
                await self._ledger.audit.write(Caller("", address, user=user.id), "user.refused", user.id)
            raise Unauthorized("the name or the password is wrong")
        if user.state != "active":
            raise Forbidden("this account is disabled")
        await self._counters.clear(TRIES, _joined(name, place))
        fresh = await self._passwords.hash(password) if self._passwords.outdated(known) else None
        return await self._signed_in(user, address, agent, fresh)

    async def _password_of(self, name: str) -> tuple[User | None, str | None]:
        user = self._directory.users.get(self._directory.names.get(name, ""))
        if user is None:
            return None, None
        async with self._ledger.database.read() as connection:
            return user, (await connection.execute(select(USERS.c.password).where(USERS.c.id == user.id))).scalar()

    async def signed_in(self, user: User, *, address: str, agent: str = "") -> SignedIn:
        """A cookie session for one who has just shown who they are."""
        return await self._signed_in(user, address, agent, None)

    async def _signed_in(self, user: User, address: str, agent: str, password: str | None) -> SignedIn:
        cookie, found, moment = made(COOKIE), f"ses_{secrets.token_urlsafe(12)}", self._clock()
        agent = agent.encode(errors="replace").decode().replace("\0", "")[:AGENT]
        async with self._ledger.change() as change:
            await change.connection.execute(insert(SIGN_INS).values(
                id=found, hash=hash_of(cookie), user=user.id, address=address, agent=agent, created=moment,
                expires=moment + self._days * 86400, version=change.version))
            await self._set(change, user.id, seen=moment, **({"password": password} if password else {}))
            await self._ledger.audit.add(change.connection, Caller("", address, found, user.id), "user.signed_in",
                                         user.id)
        return SignedIn(self.get(user.id), cookie, self._directory.sign_ins[found])

    async def sign_out(self, caller: Caller, sign_in: str) -> None:
        """End a cookie session of the caller's. Raises `NotFound`."""
        found = self._directory.sign_ins.get(sign_in)
        if found is None or found.user != caller.user or not found.good(self._clock()):
            raise NotFound(f"you have no cookie session {sign_in[:64]!r}", field="id")
        async with self._ledger.change() as change:
            await change.connection.execute(update(SIGN_INS).where(SIGN_INS.c.id == sign_in).values(
                ended=self._clock(), version=change.version))
            await self._ledger.audit.add(change.connection, caller, "user.signed_out", caller.user, session=sign_in)

    def sign_ins(self, user: str) -> list[SignIn]:
        """Those that are good, the newest first."""
        moment = self._clock()
        return sorted((one for one in self._directory.sign_ins_of(user) if one.good(moment)),
                      key=lambda one: -one.created)

    # changes ---------------------------------------------------------------------------------------

    async def set_password(self, caller: Caller, old: str, new: str) -> None:
        """Their own; every other cookie session of theirs ends. Raises `Forbidden`, `InvalidInput` or `Busy`."""
        user = self.get(caller.user)
        await self.prove(caller, old, "old")
        hashed = await self._passwords.hash(password_of(new, user.name, "new"))
        async with self._ledger.change() as change:
            await self._set(change, user.id, password=hashed)
            await self._end_all(change, user.id, but=caller.id)
            await self._ledger.audit.add(change.connection, caller, "user.password", user.id)

    async def prove(self, caller: Caller, password: str, field: str = "password") -> None:
        """That it is they who sit there. Raises `Forbidden` or `Busy`."""
        await self._limited(TRIES, caller.user, network(caller.address))
        _, known = await self._password_of(self.get(caller.user).name)
        if not await self._passwords.verify(password, known):
            raise Forbidden("the password is wrong", field=field)

    async def change(self, caller: Caller, user_id: str, *, title: str | None = None, role: str | None = None,
                     state: str | None = None, quotas: Mapping[str, int | None] | None = None,
                     seen: int | None = None) -> User:
        """Raises `NotFound`, `InvalidInput`, `Conflict` where no admin would be left, `Stale` where `seen` is not the
        version that it is of."""
        user = self.get(user_id)
        values: dict[str, Any] = {}
        if title is not None:
            values["title"] = title_of(title)
        if role is not None:
            values["role"] = role_of(role)
        if state is not None:
            values["state"] = "invited" if state == "active" and user.state == "invited" else state
        if quotas is not None:
            values["quotas"] = quotas_of(quotas)
        async with self._ledger.change() as change:
            await change.still(USERS, user.id, seen)
            await self._set(change, user.id, **values)
            await self._some_admin(change, user)
            if state == "disabled":
                await self._end_all(change, user.id)
            shown = {key: value for key, value in values.items() if key != "title"}
            await self._ledger.audit.add(change.connection, caller, "user.changed", user.id, **shown)
        return self.get(user.id)

    async def _set(self, change: Change, user: str, **values: Any) -> None:
        await change.connection.execute(update(USERS).where(USERS.c.id == user).values(
            **values, version=change.version))

    async def _some_admin(self, change: Change, user: User) -> None:
        if user.role == "admin" and user.state == "active" and (await change.connection.execute(select(
                USERS.c.id).where(USERS.c.role == "admin", USERS.c.state == "active"))).first() is None:
            raise Conflict("this is the last admin: make another one first")

    async def _end_all(self, change: Change, user: str, but: str = "") -> None:
        await change.connection.execute(update(SIGN_INS).where(
            SIGN_INS.c.user == user, SIGN_INS.c.ended.is_(None), SIGN_INS.c.id != but).values(
            ended=self._clock(), version=change.version))

    async def _limited(self, item: RateLimitItemPerSecond, *who: str) -> None:
        wait = await self._counters.hit(item, _joined(*who), 1)
        if wait:
            raise Busy("too many tries", retry_after=wait)


def _joined(*who: str) -> str:
    return "|".join(who)


def _no_link() -> Unauthorized:
    return Unauthorized("this link was used, has expired, or was never made here")
