"""Accounts on a database of their own, with passwords that are hashed quickly and a clock that can be set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aimass_stream.accounts import Accounts, passwords
from aimass_stream.accounts.accounts import prepare
from aimass_stream.accounts.directory import User
from aimass_stream.ports import SCOPES, Caller
from aimass_stream.store.database import METADATA, Database

from .options import settings

prepare("memory")  # SQLAlchemy and limits are imported before any loop runs
passwords.TIME_COST, passwords.MEMORY_KIB = 1, 1024

PASSWORD = "correct horse 1"
OWNER = Caller("api-key", "127.0.0.1", role="admin", scopes=SCOPES)


class Clock:
    """The time of day, with jumps."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def opened(place: Path | str, *, clock: Clock | None = None, **options: Any) -> AsyncIterator[Accounts]:
    """In a folder, with tables made as they are declared; or at a URL, where migrations make them."""
    accounts = Accounts(settings(**options), clock=clock or Clock())
    # in a thread: SQLAlchemy imports the driver
    made = await asyncio.to_thread(Database, place) if isinstance(place, str) else Database(
        place / "accounts.db", migrations=[METADATA.create_all])
    async with made as database:
        await accounts.open(database)
        try:
            yield accounts
        finally:
            await accounts.close()


async def person(accounts: Accounts, name: str, role: str = "user") -> Caller:
    """A user who is signed in."""
    user, link = await accounts.parts.people.invite(OWNER, name, role)
    await accounts.parts.people.accept(link, PASSWORD, address="203.0.113.1")
    return caller_of(accounts, user)


def caller_of(accounts: Accounts, user: User, address: str = "203.0.113.1") -> Caller:
    found = accounts.directory.users[user.id]
    teams = accounts.directory.teams_of(user.id)
    return Caller(found.name, address, "", found.id, "", found.role,
                  SCOPES if found.role == "admin" else Caller("").scopes, teams)
