"""Who may come in, and what they may do: asked by every request, answered from memory.

SQLAlchemy and `limits` take a while to import, so everything that needs them is imported by `open`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import Busy, Forbidden, Unauthorized
from ..ports import ROLES, SCOPES, Caller, Personal, Role
from ..settings import Settings
from .directory import Directory
from .secret import CONNECT, COOKIE, FIRST, KEY, fits, hash_of, made, split
from .tokens import LONGEST, ConnectTokens

if TYPE_CHECKING:
    from ..store.database import Database
    from .allowance import Counters
    from .parts import Parts

log = logging.getLogger(__name__)

COOKIES = ("__Host-aimass_session", "aimass_session")  # the first over TLS
LOOK = 2.0  # s between looks for what other processes have changed
COUNT = 10  # s of live sessions that are counted at a time
NOTE = 60.0  # s between notes of when keys were last used
SWEEP = 3600.0  # s between looks for what is too old to be kept
WRONG = 30  # wrong server keys a minute from one address; then it waits, right or wrong


class Accounts:
    """Implements `ports.Authorizer`. `open` it before the first request, and `close` it at the end.

    `live` says whose sessions run, and `end` ends those of callers that a function picks; `personal` has who else keeps
    what is people's own. They are set by who builds the server.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.live: Callable[[], Iterable[Caller]] = lambda: ()
        self.end: Callable[[Callable[[Caller], bool], str], None] = lambda those, reason: None
        self.personal: dict[str, Personal] = {}
        self.directory = Directory(self._ended)
        self.tokens = ConnectTokens()
        self.parts: Parts
        self._clock = clock
        self._open = settings.api_key is None and not settings.accounts
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, database: Database) -> None:
        """Raises `InvalidInput` or `Unavailable`."""
        make, counters = await asyncio.to_thread(prepare, self.settings.limit_store)
        self.parts = make(self.settings, database, self.directory, self.personal, counters, self._clock)
        await self.parts.ledger.refresh()
        if self.settings.accounts and not self.directory.admins():
            self.parts.people.first = made(FIRST)
        self._tasks = [asyncio.create_task(self._look(), name="accounts"),
                       asyncio.create_task(self._count(), name="session minutes"),
                       asyncio.create_task(self._keep(), name="retention")]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await self.parts.close()

    @property
    def first(self) -> str | None:
        """The part of the one-time link that makes the first admin, while there is none."""
        return self.parts.people.first if hasattr(self, "parts") else None

    # ports.Authorizer ------------------------------------------------------------------------------

    def authorize(self, authorization: str | None, *, address: str = "", token: str | None = None,
                  cookie: str | None = None, csrf: str | None = None, reads: bool = False) -> Caller:
        scheme, _, given = (authorization or "").partition(" ")
        secret = given.strip() if scheme.lower() == "bearer" else token
        if secret:
            return self._by_secret(secret, address)
        shown = session_cookie(cookie)
        if shown is not None and (caller := self._by_cookie(shown, address)) is not None:
            if not reads and not hmac.compare_digest(csrf_of(shown).encode(), (csrf or "").encode(errors="replace")):
                raise Forbidden("a page that is signed in sends the header X-CSRF-Token with what it changes")
            return caller
        if self._open:
            return self._anyone(address)
        if shown is not None:
            raise Unauthorized("your session has ended: sign in again")
        raise Unauthorized("this server needs an API key: send 'Authorization: Bearer KEY'")

    def confirm(self, caller: Caller) -> Caller:
        found = self.directory.again(caller, self._clock())
        if found is None:
            raise Unauthorized("the key or the session that this began with is no longer good")
        return found

    def _by_secret(self, secret: str, address: str) -> Caller:
        if secret.startswith(KEY):
            return self._by_key(secret, address)
        if secret.startswith(CONNECT):
            found = self.confirm(self.tokens.take(secret))
            return Caller(found.name, address, found.id, found.user, found.team, found.role, found.scopes, found.teams)
        if self.settings.api_key is not None and self._is_servers(secret, self.settings.api_key, address):
            return Caller("api-key", address, role="admin", scopes=SCOPES)
        if self._open:
            return self._anyone(address)
        raise Unauthorized("the key or token is wrong")

    def _is_servers(self, secret: str, known: str, address: str) -> bool:
        """Raises `Busy`: this key was made by people, and may be short enough to be guessed."""
        wrong = self.parts.wrong if hasattr(self, "parts") else None
        if wrong is not None and wrong.get(address) >= WRONG:
            raise Busy("too many wrong keys came from this address", retry_after=max(1, round(wrong.left(address))))
        if hmac.compare_digest(secret.encode(errors="replace"), known.encode()):
            return True
        if wrong is not None:
            wrong.incr(address, 60)
        return False

    def _by_key(self, secret: str, address: str) -> Caller:
        prefix, rest = split(secret)
        key = self.directory.prefixes.get(prefix)
        if key is None or not fits(key.hash, rest):
            raise Unauthorized("the key or token is wrong")
        moment = self._clock()
        caller = self.directory.by_key(key, address, moment)
        if caller is None:
            raise Unauthorized("the API key was revoked or has expired")
        key.used = moment
        self.directory.used.add(key.id)
        return caller

    def _by_cookie(self, shown: str, address: str) -> Caller | None:
        found = self.directory.cookies.get(hash_of(shown))
        return None if found is None else self.directory.by_sign_in(found, address, self._clock())

    def _anyone(self, address: str) -> Caller:
        """On this machine, its owner; where `insecure` lets the world in, somebody."""
        return _somebody(address) if self.settings.public else _owner(address)

    async def own(self, name: str, role: Role, title: str) -> Caller | None:
        """An account of the server's own, which nobody can sign in to; None where the name is somebody else's."""
        people, server = self.parts.people, Caller("server", role="admin", scopes=SCOPES)
        found = self.directory.users.get(self.directory.names.get(name, ""))
        if found is None:
            found, _ = await people.invite(server, name, role, title)
        if found.state == "invited" and found.title == title and found.role == role:
            found = await people.change(server, found.id, state="disabled")
        if found.state != "disabled" or found.title != title or found.role != role:
            return None
        return Caller(name, "", "", found.id, "", role, ROLES[role])

    # tokens ----------------------------------------------------------------------------------------

    def connect_token(self, caller: Caller, seconds: float = LONGEST) -> str:
        """Good for one session, once, within a minute."""
        return self.tokens.make(caller, seconds)

    # sessions --------------------------------------------------------------------------------------

    async def admit(self, caller: Caller) -> None:
        """Whether the caller may have one more session. Raises `Forbidden` or `Busy`."""
        caller.need("media")
        await self.parts.allowance.session(caller, self.live)

    def _ended(self, ids: set[str]) -> None:
        self.end(lambda caller: caller.id in ids or caller.user in ids, "its key is no longer good")

    # beside everything -----------------------------------------------------------------------------

    async def _look(self) -> None:
        noted = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.parts.ledger.refresh()
                if time.monotonic() - noted > NOTE:
                    noted = time.monotonic()
                    await self.parts.keys.note()
            except Exception:  # of a database that will be there again
                log.exception("who may come in can't be read; what is known goes on")

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT)
            try:
                await self.count(COUNT)
            except Exception:
                log.exception("minutes of sessions were not counted")

    async def count(self, seconds: int) -> None:
        """So many seconds of the sessions that run; ends those whose time, or whose key's, is over."""
        good: list[Caller] = []
        over: set[str] = set()
        for caller in self.live():
            try:
                self.confirm(caller)
            except Unauthorized:
                over.add(caller.id)
            else:
                good.append(caller)
        if over:
            self._ended(over)
        spent = set(await self.parts.allowance.minutes(good, seconds))
        if spent:
            self.end(lambda caller: caller in spent, "the minutes of sessions for today are used up")

    async def _keep(self) -> None:
        while True:
            try:
                await self.parts.privacy.sweep(audit_days=self.settings.audit_days, keep_days=self.settings.keep_days)
            except Exception:
                log.exception("what is too old was not let go of")
            await asyncio.sleep(SWEEP)


@lru_cache(1024)
def _somebody(address: str) -> Caller:
    return Caller("anyone", address, role="user", scopes=ROLES["user"])


@lru_cache(1024)
def _owner(address: str) -> Caller:
    return Caller("anyone", address, role="admin", scopes=SCOPES)


def prepare(limit_store: str) -> tuple[type[Parts], Counters]:
    """Imports, in a thread. Raises `InvalidInput` or `Unavailable`."""
    from .allowance import counters_of
    from .parts import Parts

    return Parts, counters_of(limit_store)


def session_cookie(header: str | None) -> str | None:
    """The cookie of a session, in a Cookie header."""
    if not header:
        return None
    found = {}
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name in COOKIES and value.startswith(COOKIE):
            found[name] = value
    return next((found[name] for name in COOKIES if name in found), None)


def csrf_of(cookie: str) -> str:
    """The token that belongs to a cookie session: who only makes a browser send the cookie doesn't know it."""
    return hash_of(f"csrf {cookie}").hex()
