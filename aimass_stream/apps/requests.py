"""What people ask the operator for, a model or more of a quota, and the answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import Row, delete, func, insert, select, tuple_, update

from ..errors import Busy, Conflict, InvalidInput, NotFound
from ..ports import Caller
from ..store.database import Database
from .manifests import line, prose
from .records import Book, who
from .tables import REQUESTS

Kind: TypeAlias = Literal["model", "quota", "other"]
State: TypeAlias = Literal["open", "granted", "declined"]

SUBJECT, TEXT = 120, 4000  # characters
MOST_OPEN = 20  # of one person


@dataclass(frozen=True, slots=True)
class Asked:
    id: str
    user: str
    owner: str
    kind: Kind
    subject: str
    text: str
    state: State
    answer: str
    answered_by: str
    created: float  # s since the epoch
    answered: float | None


class Requests:
    def __init__(self, database: Database, book: Book, clock: Callable[[], float] = time.time) -> None:
        self._database, self._book, self._clock = database, book, clock

    async def ask(self, caller: Caller, kind: str, subject: str, text: str) -> Asked:
        """Raises `InvalidInput`, or `Busy` where too many of theirs wait."""
        if kind not in get_args(Kind):
            raise InvalidInput(f"'kind' is one of {', '.join(get_args(Kind))}", field="kind")
        subject, text = line(subject, SUBJECT, "subject"), prose(text, TEXT, "text").strip()
        if not subject:
            raise InvalidInput("say what it is about", field="subject")
        made = f"req_{secrets.token_urlsafe(12)}"
        async with self._database.begin() as connection:
            waiting = await connection.scalar(select(func.count()).where(
                REQUESTS.c.user == who(caller), REQUESTS.c.state == "open"))
            if (waiting or 0) >= MOST_OPEN:
                raise Busy(f"{MOST_OPEN} requests of yours wait for an answer", retry_after=3600)
            await connection.execute(insert(REQUESTS).values(
                id=made, user=who(caller), owner=caller.owner, kind=kind, subject=subject, text=text, state="open",
                answer="", answered_by="", created=self._clock(), answered=None))
            await self._book.add(connection, caller, "request.made", made, kind=kind)
        return await self.get(caller, made)

    async def get(self, caller: Caller, request: str) -> Asked:
        """One's own, or any for an admin. Raises `NotFound`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(REQUESTS).where(
                REQUESTS.c.id == request.replace("\0", "")))).first()
        if row is None or (row.user != who(caller) and "admin" not in caller.scopes):
            raise NotFound(f"there is no request {request[:64]!r}", field="id")
        return _asked(row)

    async def find(self, caller: Caller, state: State | None, everybody: bool, limit: int,
                   after: tuple[Any, ...] | None = None) -> list[Asked]:
        """The newest first: one's own, or, for an admin who asks for it, everybody's."""
        query = select(REQUESTS)
        if not everybody:
            query = query.where(REQUESTS.c.user == who(caller))
        if state is not None:
            query = query.where(REQUESTS.c.state == state)
        if after is not None:
            query = query.where(tuple_(REQUESTS.c.created, REQUESTS.c.id) < tuple_(*after))
        async with self._database.read() as connection:
            newest = query.order_by(REQUESTS.c.created.desc(), REQUESTS.c.id.desc()).limit(limit)
            return [_asked(row) for row in await connection.execute(newest)]

    async def answer(self, caller: Caller, request: str, state: State, text: str) -> Asked:
        """Granted or declined, once, by an admin. What was granted is then done in its own place."""
        caller.need("admin")
        text = prose(text, TEXT, "answer").strip()
        if state == "declined" and not text:
            raise InvalidInput("say why", field="answer")
        request = (await self.get(caller, request)).id
        async with self._database.begin() as connection:
            done = await connection.execute(update(REQUESTS).where(
                REQUESTS.c.id == request, REQUESTS.c.state == "open").values(
                state=state, answer=text, answered_by=who(caller), answered=self._clock()))
            if not done.rowcount:
                raise Conflict("this was answered already", field="id")
            await self._book.add(connection, caller, f"request.{state}", request)
        return await self.get(caller, request)

    async def withdraw(self, caller: Caller, request: str) -> None:
        """One's own, while nobody has answered it."""
        found = await self.get(caller, request)
        if found.state != "open":
            raise Conflict("this was answered already", field="id")
        async with self._database.begin() as connection:
            await connection.execute(delete(REQUESTS).where(REQUESTS.c.id == found.id, REQUESTS.c.state == "open"))
            await self._book.add(connection, caller, "request.withdrawn", found.id)


def _asked(row: Row[Any]) -> Asked:
    return Asked(row.id, row.user, row.owner, row.kind, row.subject, row.text, row.state, row.answer, row.answered_by,
                 row.created, row.answered)
