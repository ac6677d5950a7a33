"""What people think of a model: one rating each, and comments."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Conflict, Forbidden, InvalidInput, NotFound
from ..ports import Caller
from ..store import Database
from .catalogue import seen
from .records import TEXT, HubModel, plain, prose
from .tables import COMMENTS, MODELS, OPINIONS

MOST_COMMENTS = 1000  # of one model


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    owner: str
    name: str  # of who wrote it, as they were called then
    text: str  # plain
    at: float  # s since the epoch


class Opinions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def rate(self, caller: Caller, name: str, stars: int) -> HubModel:
        """1 to 5 stars, in place of what this caller gave before; 0 takes that back."""
        if not 0 <= stars <= 5:
            raise InvalidInput("1 to 5 stars, or 0 for none", field="stars")
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            mine = (OPINIONS.c.model == model.id, OPINIONS.c.owner == caller.user)
            await connection.execute(delete(OPINIONS).where(*mine))
            if stars:
                await connection.execute(insert(OPINIONS).values(
                    model=model.id, owner=caller.user, stars=stars, at=time.time()))
            await _count(connection, model.id)
            return await seen(connection, caller, name)

    async def comment(self, caller: Caller, name: str, text: str) -> Comment:
        text = prose(text.strip(), TEXT, "text")
        if not text:
            raise InvalidInput("a comment says something", field="text")
        said = Comment(f"com_{secrets.token_urlsafe(12)}", caller.user, caller.name, text, time.time())
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            count = await connection.scalar(select(func.count()).where(COMMENTS.c.model == model.id))
            if (count or 0) >= MOST_COMMENTS:
                raise Conflict(f"{name} has {MOST_COMMENTS} comments, which is the limit")
            await connection.execute(insert(COMMENTS).values(
                id=said.id, model=model.id, owner=said.owner, name=said.name, text=said.text, at=said.at))
        return said

    async def comments(self, caller: Caller, name: str, limit: int, after: tuple[str | int | float, ...] | None = None
                       ) -> list[Comment]:
        """The newest first."""
        async with self._database.read() as connection:
            model = await seen(connection, caller, name)
            query = select(COMMENTS).where(COMMENTS.c.model == model.id)
            if after is not None:
                query = query.where(tuple_(COMMENTS.c.at, COMMENTS.c.id) < tuple_(*after))
            rows = await connection.execute(query.order_by(COMMENTS.c.at.desc(), COMMENTS.c.id.desc()).limit(limit))
            return [Comment(row.id, row.owner, row.name, row.text, row.at) for row in rows]

    async def delete(self, caller: Caller, name: str, comment_id: str) -> None:
        """One's own, or any beneath one's own model."""
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            row = (await connection.execute(select(COMMENTS).where(
                COMMENTS.c.id == plain(comment_id), COMMENTS.c.model == model.id))).first()
            if row is None:
                raise NotFound(f"there is no comment {comment_id[:64]!r}", field="comment")
            if not caller.owns(row.owner) and not caller.owns(model.owner):
                raise Forbidden("this is somebody else's comment")
            await connection.execute(delete(COMMENTS).where(COMMENTS.c.id == row.id))

    async def erase(self, user: str) -> None:
        """All that a person said."""
        async with self._database.begin() as connection:
            models = list(await connection.scalars(select(OPINIONS.c.model).where(OPINIONS.c.owner == user)))
            await connection.execute(delete(OPINIONS).where(OPINIONS.c.owner == user))
            await connection.execute(delete(COMMENTS).where(COMMENTS.c.owner == user))
            for model in models:
                await _count(connection, model)


async def _count(connection: AsyncConnection, model: str) -> None:
    stars = select(func.coalesce(func.sum(OPINIONS.c.stars), 0)).where(OPINIONS.c.model == model).scalar_subquery()
    ratings = select(func.count()).where(OPINIONS.c.model == model).scalar_subquery()
    await connection.execute(update(MODELS).where(MODELS.c.id == model).values(stars=stars, ratings=ratings))
