"""API keys: ``aim_``, eight characters that name the key, ``_``, and 256 random bits that are kept as a hash only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from ..errors import Conflict, InvalidInput, NotFound
from ..ports import Caller
from .directory import Directory, Key
from .ledger import Ledger, later
from .secret import hash_of, key_of, named
from .tables import KEYS
from .text import quotas_of, scopes_of, title_of

MOST = 100  # good ones of one owner
LONGEST = 3653 * 86400  # s


class Keys:
    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._clock = ledger, clock
        self._directory: Directory = ledger.directory

    async def find(self, caller: Caller, *, team: str | None = None, after: tuple[float, str] | None = None,
                   limit: int = 50) -> list[Key]:
        """Those that the caller may look at, the newest first; those after that moment and id."""
        query = select(KEYS.c.id).order_by(KEYS.c.created.desc(), KEYS.c.id).limit(limit)
        if "admin" not in caller.scopes:
            own = and_(KEYS.c.user == caller.user, KEYS.c.team.is_(None))
            query = query.where(KEYS.c.team == caller.team if caller.team
                                else or_(own, KEYS.c.team.in_(self._directory.teams_of(caller.user))))
        if team is not None:
            query = query.where(KEYS.c.team == team)
        if after is not None:
            query = query.where(later(KEYS, after))
        async with self._ledger.database.read() as connection:
            found = (await connection.execute(query)).scalars().all()
        return [self._directory.keys[key] for key in found if key in self._directory.keys]

    def get(self, caller: Caller, key_id: str) -> Key:
        """Raises `NotFound`."""
        key = self._directory.keys.get(key_id)
        if key is None or not self._theirs(caller, key):
            raise NotFound(f"there is no key {key_id[:64]!r}", field="id")
        return key

    def _theirs(self, caller: Caller, key: Key) -> bool:
        return caller.owns(key.team or key.user)

    async def make(self, caller: Caller, title: str = "", *, scopes: Iterable[str] | None = None, team: str = "",
                   seconds: float | None = None, quotas: Mapping[str, int | None] | None = None) -> tuple[Key, str]:
        """A key that may do no more than its maker, and the secret, which nobody can be told again.

        Raises `InvalidInput`, `NotFound` for a team that they are not in, or `Conflict` at too many keys.
        """
        team = team or caller.team
        if team and team not in self._directory.teams_of(caller.user):
            raise NotFound(f"you are in no team {team[:64]!r}", field="team")
        if seconds is not None and not 1 <= seconds <= LONGEST:
            raise InvalidInput(f"a key is good for a second at least, and {LONGEST // 86400} days at most",
                               field="expires_in")
        may = caller.scopes if scopes is None else scopes_of(scopes, caller.scopes)
        bounds = self._bounds(caller, quotas_of(quotas or {}))
        title, moment, user = title_of(title), self._clock(), caller.user or None
        prefix, secret = named(), secrets.token_urlsafe(32)
        found = f"key_{secrets.token_urlsafe(12)}"
        async with self._ledger.change() as change:
            count = (await change.connection.execute(select(func.count()).select_from(KEYS).where(
                KEYS.c.user.is_(None) if user is None else KEYS.c.user == user, KEYS.c.revoked.is_(None)))).scalar_one()
            if count >= MOST:
                raise Conflict(f"you have {MOST} keys, which is the limit: revoke one first")
            await change.connection.execute(insert(KEYS).values(
                id=found, prefix=prefix, hash=hash_of(secret), title=title, user=user,
                team=team or None, scopes=sorted(may), quotas=bounds, created=moment,
                expires=None if seconds is None else moment + seconds, version=change.version))
            await self._ledger.audit.add(change.connection, caller, "key.made", found, scopes=sorted(may), team=team)
        return self._directory.keys[found], key_of(prefix, secret)

    def _bounds(self, caller: Caller, quotas: dict[str, int]) -> dict[str, int]:
        """A key made by a key has no more than that one."""
        maker = self._directory.keys.get(caller.id)
        if maker is None:
            return quotas
        return {name: min(most for most in (quotas.get(name), maker.quotas.get(name)) if most is not None)
                for name in quotas.keys() | maker.quotas.keys()}

    async def change(self, caller: Caller, key_id: str, *, title: str | None = None,
                     quotas: Mapping[str, int | None] | None = None, seen: int | None = None) -> Key:
        """Raises `NotFound` or `InvalidInput`, and `Stale` where `seen` is not the version that it is of."""
        key = self.get(caller, key_id)
        values: dict[str, object] = {} if title is None else {"title": title_of(title)}
        if quotas is not None:
            values["quotas"] = self._bounds(caller, quotas_of(quotas))
        async with self._ledger.change() as change:
            await change.still(KEYS, key.id, seen)
            await change.connection.execute(update(KEYS).where(KEYS.c.id == key.id).values(
                **values, version=change.version))
            await self._ledger.audit.add(change.connection, caller, "key.changed", key.id, fields=sorted(values))
        return self._directory.keys[key.id]

    async def revoke(self, caller: Caller, key_id: str) -> Key:
        """It is good for nothing from now on, and what it has opened is closed. Raises `NotFound`."""
        key = self.get(caller, key_id)
        if key.revoked is None:
            async with self._ledger.change() as change:
                await change.connection.execute(update(KEYS).where(KEYS.c.id == key.id, KEYS.c.revoked.is_(None))
                                                .values(revoked=self._clock(), version=change.version))
                await self._ledger.audit.add(change.connection, caller, "key.revoked", key.id)
        return self._directory.keys[key.id]


    async def note(self) -> None:
        """Write down when keys were last used."""
        used = {key: self._directory.keys[key].used for key in self._directory.used if key in self._directory.keys}
        self._directory.used.clear()
        if not used:
            return
        async with self._ledger.database.begin() as connection:
            await connection.execute(update(KEYS).where(KEYS.c.id == bindparam("key")).values(
                used=bindparam("moment")), [{"key": key, "moment": at} for key, at in used.items()])
