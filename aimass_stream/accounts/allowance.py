"""How much a caller may use: requests, sessions, minutes of them, bytes sent, and sessions at one moment.

What one person's or one team's keys and cookie sessions use counts together; a key may have less of its own, and one
address has some times what one person has. Who runs the server has no bounds. Counted by `limits` in fixed windows, in
memory or in Redis.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol, TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from ..errors import Busy, InvalidInput, Unavailable
from ..ports import Caller
from ..settings import Settings
from .directory import Directory
from .text import QUOTAS
from .windows import Windows

log = logging.getLogger(__name__)

WORDS = {"requests": "{} requests a minute", "sessions": "{} new sessions a minute",
         "session_minutes": "{} minutes of sessions a day", "upload_bytes": "{} bytes of uploads a day",
         "concurrent_sessions": "{} sessions at once"}
UNITS = {"session_minutes": 60}  # minutes are counted in seconds
REDIS_SECONDS = 0.25  # that Redis may take; then we count by ourselves
REDIS_AGAIN = 10.0  # s until it is asked again
RETRY = 5  # s, where nothing says when there is room

T = TypeVar("T")


class Counters(Protocol):
    async def hit(self, item: RateLimitItem, name: str, cost: int) -> int:
        """Count. Answers 0 where that is within the limit, else how many seconds until it is counted anew."""
        ...

    async def used(self, item: RateLimitItem, name: str) -> int: ...
    async def left(self, item: RateLimitItem, name: str) -> int:
        """s until it is counted anew, at least 1."""
        ...

    async def clear(self, item: RateLimitItem, name: str) -> None: ...
    async def close(self) -> None: ...


class Memory:
    def __init__(self) -> None:
        self._windows = Windows()
        self._limiter = FixedWindowRateLimiter(self._windows)

    async def hit(self, item: RateLimitItem, name: str, cost: int) -> int:
        return 0 if self._limiter.hit(item, name, cost=cost) else await self.left(item, name)

    async def left(self, item: RateLimitItem, name: str) -> int:
        return max(1, math.ceil(self._windows.left(item.key_for(name))))

    async def used(self, item: RateLimitItem, name: str) -> int:
        return self._windows.get(item.key_for(name))

    async def clear(self, item: RateLimitItem, name: str) -> None:
        self._windows.clear(item.key_for(name))

    async def close(self) -> None:
        self._windows.reset()


class Redis:
    """Shared by several servers. While it does not answer, each counts by itself."""

    def __init__(self, url: str) -> None:
        """Raises `Unavailable` without its client."""
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter as AsyncLimiter
        from limits.errors import ConfigurationError

        try:
            storage = RedisStorage(f"async+{url}", implementation="redispy", key_prefix="aimass",
                                   socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
        except (ConfigurationError, ModuleNotFoundError):
            raise Unavailable("limits in Redis need its client: pip install 'aimass-stream[redis]'") from None
        self._storage = storage
        self._limiter = AsyncLimiter(storage)
        self._own = Memory()
        self._silent = -math.inf  # when it did not answer

    async def _asked(self, question: Callable[[], Awaitable[T]], otherwise: Callable[[], Awaitable[T]]) -> T:
        if time.monotonic() - self._silent > REDIS_AGAIN:
            try:
                async with asyncio.timeout(2 * REDIS_SECONDS):
                    return await question()
            except Exception as error:  # whatever its client raises
                self._silent = time.monotonic()
                log.warning("Redis does not answer (%s): limits are counted here until it does", type(error).__name__)
        return await otherwise()

    async def hit(self, item: RateLimitItem, name: str, cost: int) -> int:
        async def ask() -> int:
            return 0 if await self._limiter.hit(item, name, cost=cost) else await self._left(item, name)

        return await self._asked(ask, lambda: self._own.hit(item, name, cost))

    async def _left(self, item: RateLimitItem, name: str) -> int:
        left = await self._storage.get_expiry(item.key_for(name)) - time.time()
        return min(max(1, math.ceil(left)), item.get_expiry())

    async def left(self, item: RateLimitItem, name: str) -> int:
        return await self._asked(lambda: self._left(item, name), lambda: self._own.left(item, name))

    async def used(self, item: RateLimitItem, name: str) -> int:
        return await self._asked(lambda: self._storage.get(item.key_for(name)), lambda: self._own.used(item, name))

    async def clear(self, item: RateLimitItem, name: str) -> None:
        async def nothing() -> None:
            """Of what can't be reached."""

        await self._own.clear(item, name)
        await self._asked(lambda: self._storage.clear(item.key_for(name)), nothing)

    async def close(self) -> None:
        await self._own.close()
        bridge: Any = self._storage.bridge
        await bridge.get_connection().aclose()


def counters_of(url: str) -> Counters:
    """Raises `InvalidInput` or `Unavailable`."""
    if url in ("", "memory"):
        return Memory()
    if not url.startswith(("redis://", "rediss://", "redis+unix://")):
        raise InvalidInput("limits are counted in 'memory' or in redis://HOST:PORT", field="limit_store")
    return Redis(url)


class Allowance:
    def __init__(self, settings: Settings, directory: Directory, counters: Counters) -> None:
        self._directory, self.counters = directory, counters
        self._usual: dict[str, int] = {name: getattr(settings, f"limit_{name}") for name in QUOTAS}
        self._per_address = settings.limit_per_address
        self.at_hand = isinstance(counters, Memory)  # nothing here is waited for

    async def request(self, caller: Caller) -> None:
        """Raises `Busy`."""
        if not self.boundless(caller):
            await self._take("requests", caller, 1)

    def boundless(self, caller: Caller) -> bool:
        """Who runs the server."""
        return caller.role == "admin" and not caller.user and not caller.team and caller.id not in self._directory.keys

    async def upload(self, caller: Caller, size: int) -> None:
        """Bytes that come, or are said to; 0: it is not known yet how many. Raises `Busy`."""
        if not self.boundless(caller):
            await self._take("upload_bytes", caller, size)

    async def session(self, caller: Caller, live: Callable[[], Iterable[Caller]]) -> None:
        """One more, beside those of these callers. Raises `Busy`."""
        await self._take("session_minutes", caller, 0)
        await self._take("sessions", caller, 1)
        bounds = dict(self._bounds("concurrent_sessions", caller))
        if bounds:  # looked at last: nobody else comes between this and the session's beginning
            there = Counter(name for other in live() for name in _names(other))
            for name, most in bounds.items():
                if there[name] >= most:
                    raise _refusal("concurrent_sessions", most, RETRY)

    async def minutes(self, live: Iterable[Caller], seconds: int) -> list[Caller]:
        """These had sessions for so long. Answers those who have used up their minutes."""
        spent = []
        for caller in live:
            try:
                await self._take("session_minutes", caller, seconds)
            except Busy:
                spent.append(caller)
        return spent

    async def report(self, caller: Caller) -> dict[str, dict[str, int | None]]:
        """What the caller's owner may use and has used, of each kind; the limit null: as much as they like."""
        found: dict[str, dict[str, int | None]] = {}
        for kind in QUOTAS:
            bounds = dict(self._bounds(kind, caller))
            name = next((name for name in bounds if name.startswith("owner:")), None)
            if name is None:
                found[kind] = {"limit": None, "used": None}
            elif kind == "concurrent_sessions":
                found[kind] = {"limit": bounds[name], "used": None}
            else:
                used = await self.counters.used(_item(kind, bounds[name]), name)
                found[kind] = {"limit": bounds[name], "used": used // UNITS.get(kind, 1)}
        return found

    async def _take(self, kind: str, caller: Caller, cost: int) -> None:
        for name, most in self._bounds(kind, caller):
            item = _item(kind, most)
            if cost == 0:  # only looked at
                spent = await self.counters.used(item, name) >= item.amount
                wait = await self.counters.left(item, name) if spent else 0
            else:
                wait = await self.counters.hit(item, name, cost)
            if wait:
                raise _refusal(kind, most, wait)

    def _bounds(self, kind: str, caller: Caller) -> Iterator[tuple[str, int]]:
        """Counters and how far each may go."""
        key = self._directory.keys.get(caller.id)
        if key is not None and kind in key.quotas:
            yield f"key:{key.id}", key.quotas[kind]
        if caller.role == "admin" and not caller.user and not caller.team:
            return
        if caller.owner:
            owner = (self._directory.teams if caller.team else self._directory.users).get(caller.owner)
            yield f"owner:{caller.owner}", self._usual[kind] if owner is None else owner.quotas.get(
                kind, self._usual[kind])
        if caller.address:
            yield f"address:{network(caller.address)}", self._usual[kind] * self._per_address


def _names(caller: Caller) -> tuple[str, ...]:
    """Of the counters of `_bounds`."""
    return f"key:{caller.id}", f"owner:{caller.owner}", f"address:{network(caller.address)}"


@lru_cache(4096)
def _item(kind: str, most: int) -> RateLimitItem:
    return RateLimitItemPerSecond(most * UNITS.get(kind, 1), max(1, QUOTAS[kind]), namespace=kind)


@lru_cache(4096)
def network(address: str) -> str:
    """An address as it is counted: of IPv6, whoever has one has 2^64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else str(IPv6Address(int(found) >> 64 << 64))
    return address


def _refusal(kind: str, most: int, wait: int) -> Busy:
    return Busy(f"{WORDS[kind].format(most)} are allowed, and they are used up", retry_after=wait, limit=kind)
