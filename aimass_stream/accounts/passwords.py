"""Passwords by Argon2id (RFC 9106), with the memory of its second recommended option and one lane.

One hash takes 64 MiB and about a tenth of a second: they are made one after the other in a thread of their own, which
gives way to everything else where the system lets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from ..errors import Busy

TIME_COST, MEMORY_KIB = 3, 64 * 1024
WAITING = 32  # hashes at once; more are refused
NICE = 10


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1)
        self._thread = ThreadPoolExecutor(1, "passwords", initializer=_give_way)
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Raises `Busy`."""
        return await self._run(password, None)

    async def verify(self, password: str, known: str | None) -> bool:
        """Takes as long where nobody is known by the name. Raises `Busy`."""
        if known is None:
            if self._nobody is None:
                self._nobody = await self.hash("nobody has this one")
            await self._run(password, self._nobody)
            return False
        return bool(await self._run(password, known))

    def outdated(self, known: str) -> bool:
        return self._hasher.check_needs_rehash(known)

    async def _run(self, password: str, known: str | None) -> str:
        if self._waiting >= WAITING:
            raise Busy("too many people sign in at this moment", retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, password, known)
        finally:
            self._waiting -= 1

    def _work(self, password: str, known: str | None) -> str:
        if known is None:
            return self._hasher.hash(password.encode())
        try:
            self._hasher.verify(known, password.encode(errors="replace"))  # half a character is in no password
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return ""
        return known

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _give_way() -> None:
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
