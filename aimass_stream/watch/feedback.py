"""What people say of a version's answers; with the input and what it should have been, where both sides want that."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, case, delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Busy, Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from ..hub.catalogue import owned, seen, version_in
from ..hub.records import TEXT, plain, prose
from ..ports import Caller
from ..store.database import Database
from .tables import FEEDBACK, WISHES

SAMPLE = 256 * 1024  # bytes of one sample
SAMPLES = 64 << 20  # bytes of all samples of a version
MOST = 20_000  # of a version
MOST_A_DAY = 500  # of one caller on one version
DAY = 86400.0

Verdict: TypeAlias = Literal["right", "wrong"]
Position: TypeAlias = tuple[str | int | float, ...]
NOT_SAID: Any = object()


@dataclass(frozen=True, slots=True)
class Said:
    id: str
    version: int
    owner: str
    name: str
    verdict: Verdict
    comment: str  # plain
    sample: dict[str, Any] | None  # input, expected
    at: float  # s since the epoch


class Feedback:
    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    async def collects(self, caller: Caller, name: str) -> bool:
        """Whether a model's owner wants samples."""
        async with self._database.read() as connection:
            return await _wished(connection, (await seen(connection, caller, name)).id)

    async def collect(self, caller: Caller, name: str, samples: bool) -> None:
        """By the model's owner. Samples that are there stay until they are deleted."""
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            await connection.execute(delete(WISHES).where(WISHES.c.model == model.id))
            await connection.execute(insert(WISHES).values(model=model.id, collect_samples=int(samples)))

    async def give(self, caller: Caller, name: str, number: int, verdict: Verdict, comment: str = "", *,
                   input: Any = NOT_SAID, expected: Any = NOT_SAID) -> Said:
        """Whoever may see the model. Its sample is kept only where the owner collects them: `Said.sample` tells.

        Raises `TooLarge`, and `InvalidInput` for numbers that JSON does not have.
        """
        comment = prose(comment.strip(), TEXT, "comment")
        given = {"input": input, "expected": expected}
        text = _written({key: value for key, value in given.items() if value is not NOT_SAID})
        now = self._clock()
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            version = await version_in(connection, model, number)
            if version.state != "ready":
                raise Conflict(f"{version.served} is {version.state}", field="version")
            await _room(connection, version.id, caller, now)
            sample = text if text and await _wished(connection, model.id) else None
            if sample is not None and await _kept(connection, version.id) + len(sample) > SAMPLES:
                raise Conflict(f"{version.served} has {SAMPLES >> 20} MiB of samples, which is the limit: say what you "
                               "think of it without one", field="input")
            said = Said(f"fbk_{secrets.token_urlsafe(12)}", number, caller.user, caller.name, verdict, comment,
                        None if sample is None else json.loads(sample), now)
            await connection.execute(insert(FEEDBACK).values(
                id=said.id, version=version.id, owner=said.owner, name=said.name, verdict=verdict, comment=comment,
                sample=sample, size=len(sample or ""), at=now))
        return said

    async def find(self, caller: Caller, name: str, number: int, limit: int, *, verdict: Verdict | None = None,
                   samples: bool = False, after: Position | None = None) -> list[Said]:
        """For the model's owner, the newest first; `samples`: those alone that have one."""
        async with self._database.read() as connection:
            version = await version_in(connection, await owned(connection, caller, name), number)
            wanted: list[ColumnElement[bool]] = [FEEDBACK.c.version == version.id]
            if verdict is not None:
                wanted.append(FEEDBACK.c.verdict == verdict)
            if samples:
                wanted.append(FEEDBACK.c.sample.is_not(None))
            if after is not None:
                wanted.append(tuple_(FEEDBACK.c.at, FEEDBACK.c.id) < tuple_(*after))
            rows = await connection.execute(select(FEEDBACK).where(*wanted).order_by(
                FEEDBACK.c.at.desc(), FEEDBACK.c.id.desc()).limit(limit))
            return [_said(row, number) for row in rows]

    async def delete(self, caller: Caller, name: str, number: int, feedback_id: str | None = None) -> int:
        """One's own, or any of one's own model; all of a version, by the model's owner. How many that were."""
        async with self._database.begin() as connection:
            model = await seen(connection, caller, name)
            version = await version_in(connection, model, number)
            if feedback_id is None:
                await owned(connection, caller, name)
                return (await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.version == version.id))).rowcount
            row = (await connection.execute(select(FEEDBACK.c.id, FEEDBACK.c.owner).where(
                FEEDBACK.c.id == plain(feedback_id), FEEDBACK.c.version == version.id))).first()
            if row is None:
                raise NotFound(f"there is no feedback {feedback_id[:64]!r} on {version.served}", field="feedback")
            if not caller.owns(row.owner) and not caller.owns(model.owner):
                raise Forbidden("this is what somebody else said")
            return (await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.id == row.id))).rowcount

    # what is a person's own: `ports.Personal` --------------------------------------------------------

    async def export(self, user: str) -> Any:
        async with self._database.read() as connection:
            rows = await connection.execute(select(FEEDBACK).where(FEEDBACK.c.owner == user).order_by(FEEDBACK.c.at))
            return {"feedback": [{"verdict": row.verdict, "comment": row.comment, "at": row.at,
                                  "sample": None if row.sample is None else json.loads(row.sample)} for row in rows]}

    async def erase(self, user: str) -> None:
        async with self._database.begin() as connection:
            await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.owner == user))


async def counted(connection: AsyncConnection, version: str) -> dict[str, int]:
    """How often each verdict was given."""
    asked = select(FEEDBACK.c.verdict, func.count()).where(FEEDBACK.c.version == version)
    found = {row[0]: int(row[1]) for row in await connection.execute(asked.group_by(FEEDBACK.c.verdict))}
    return {"right": found.get("right", 0), "wrong": found.get("wrong", 0)}


async def counted_by_people(connection: AsyncConnection, versions: list[str], since: float) -> dict[str, int]:
    """How many people gave each verdict last, to any of these versions: one who gives it a hundred times is one."""
    nobody = case((FEEDBACK.c.owner == "", FEEDBACK.c.name), else_="")
    turn = func.row_number().over(partition_by=(FEEDBACK.c.owner, nobody),
                                  order_by=(FEEDBACK.c.at.desc(), FEEDBACK.c.id.desc()))
    given = select(FEEDBACK.c.verdict, turn.label("turn")).where(
        FEEDBACK.c.version.in_(versions), FEEDBACK.c.at >= since).subquery()
    asked = select(given.c.verdict, func.count()).where(given.c.turn == 1).group_by(given.c.verdict)
    found = {row[0]: int(row[1]) for row in await connection.execute(asked)}
    return {"right": found.get("right", 0), "wrong": found.get("wrong", 0)}


async def forget(connection: AsyncConnection, now: float, keep_days: float) -> None:
    await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.at < now - keep_days * DAY))


async def _wished(connection: AsyncConnection, model: str) -> bool:
    return bool(await connection.scalar(select(WISHES.c.collect_samples).where(WISHES.c.model == model)))


async def _kept(connection: AsyncConnection, version: str) -> int:
    return int(await connection.scalar(select(func.sum(FEEDBACK.c.size)).where(FEEDBACK.c.version == version)) or 0)


async def _room(connection: AsyncConnection, version: str, caller: Caller, now: float) -> None:
    """Raises `Busy` or `Conflict`."""
    mine = select(func.count()).where(FEEDBACK.c.version == version, FEEDBACK.c.owner == caller.user,
                                      FEEDBACK.c.at > now - DAY)
    if caller.user and (await connection.scalar(mine) or 0) >= MOST_A_DAY:
        raise Busy(f"at most {MOST_A_DAY} times a day of one version", retry_after=3600)
    if (await connection.scalar(select(func.count()).where(FEEDBACK.c.version == version)) or 0) >= MOST:
        raise Conflict(f"{MOST} were kept, which is the limit: its owner has to delete some", field="version")


def _written(sample: dict[str, Any]) -> str:
    if not sample:
        return ""
    try:
        text = json.dumps(sample, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, RecursionError):  # half of a pair in UTF-16 is a ValueError, too
        raise InvalidInput("a sample is JSON in UTF-8: NaN and infinity are none, and it is not nested without end",
                           field="input") from None
    if size > SAMPLE:
        raise TooLarge(f"a sample has at most {SAMPLE >> 10} KiB as JSON", field="input")
    return text


def _said(row: Any, number: int) -> Said:
    return Said(row.id, number, row.owner, row.name, row.verdict, row.comment,
                None if row.sample is None else json.loads(row.sample), row.at)
