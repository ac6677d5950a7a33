"""Use in the database: added to in batches, read by span, scope and what is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any, get_args

from sqlalchemy import TextClause, delete, text

from ..store.database import Database
from .meter import BUCKETS, Of, Sum, What
from .tables import USAGE
from .used import SPANS, By, Kept, Span, Used

SUMMED = ("count", "errors", "drops", "seconds", *(f"b{number}" for number in range(BUCKETS)))
KEYS = ("span", "scope", "by", "start", "value", "what")
KINDS = len(get_args(What))
AT_ONCE = 25  # rows that are handed over in a millisecond
# as text, which is ready in a millisecond: of so many columns, SQLAlchemy's own takes fifty
ADD = text(f"""
    INSERT INTO usage ({", ".join(f'"{name}"' for name in (*KEYS, *SUMMED))})
    VALUES ({", ".join(f":{name}" for name in (*KEYS, *SUMMED))})
    ON CONFLICT ({", ".join(f'"{name}"' for name in KEYS)})
    DO UPDATE SET {", ".join(f'"{name}" = usage."{name}" + excluded."{name}"' for name in SUMMED)}
""")


class Ledger:
    """Of one database, which several servers may write to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sums: dict[Of, Sum], now: float) -> None:
        """What was used up to that moment (s since the epoch)."""
        rows = await asyncio.to_thread(_rows, sums, now)
        async with self._database.begin() as connection:
            for begin in range(0, len(rows), AT_ONCE):
                await connection.execute(ADD, rows[begin : begin + AT_ONCE])

    async def read(self, scope: str, by: By, span: Span, begin: int, end: int, *, after: str = "",
                   limit: int = 200) -> list[Used]:
        """By value, those that come after that one, at most so many. `begin` and `end` are s since the epoch."""
        pieces = list(_pieces(begin, end)) if span == "day" and by != "time" else [(span, begin, end)]
        given: dict[str, Any] = {"scope": scope, "by": "total" if by == "time" else by, "most": limit,
                                 "after": int(after or -1) if by == "time" else after, "rows": limit * KINDS}
        for number, (kept, first, last) in enumerate(pieces):
            given |= {f"span{number}": kept, f"first{number}": first, f"last{number}": last}
        listed, summed = _questions("start" if by == "time" else "value", len(pieces), begun=bool(after))
        found: dict[str, Used] = {}
        async with self._database.read() as connection:
            values = list(await connection.scalars(listed, given))
            if not values:
                return []
            given["until"] = values[-1]
            for value, kind, count, errors, drops, seconds, *buckets in await connection.execute(summed, given):
                used = found.setdefault(str(value), Used(str(value)))
                used.sums[kind] = Sum(int(count), int(errors), int(drops), float(seconds), [int(n) for n in buckets])
        return list(found.values())[:limit]

    async def forget(self, span: Kept, before: float) -> int:
        """Delete the spans of which nothing is later than that moment; how many rows that were."""
        over = before - SPANS[span]
        async with self._database.begin() as connection:
            gone = await connection.execute(delete(USAGE).where(USAGE.c.span == span, USAGE.c.start <= over))
        return int(gone.rowcount)

    async def erase(self, scope: str) -> None:
        """Forget a user's, team's or key's use, where the person asks for it; the server's own sums stay."""
        async with self._database.begin() as connection:
            await connection.execute(delete(USAGE).where(USAGE.c.scope == scope))
            if scope:
                await connection.execute(delete(USAGE).where(USAGE.c.value == scope))


@lru_cache(16)
def _questions(what: str, pieces: int, *, begun: bool) -> tuple[TextClause, TextClause]:
    """The values of one page, and what they sum up to: so only rows that are shown are read whole.

    As text, like `ADD`, and each piece goes along the table's key, as conditions with OR would not.
    """
    place = [f'span = :span{n} AND scope = :scope AND "by" = :by AND start >= :first{n} AND start < :last{n}'
             + (f" AND {what} > :after" if begun else "") for n in range(pieces)]
    some = " UNION ".join(f"SELECT {what} FROM usage WHERE {where}" for where in place)
    columns = ", ".join(f'"{name}"' for name in SUMMED)
    whole = " UNION ALL ".join(f"SELECT {what} AS shown, what, {columns} FROM usage WHERE {where} AND {what} <= :until"
                               for where in place)
    sums = ", ".join(f'SUM("{name}")' for name in SUMMED)
    return (text(f"SELECT DISTINCT {what} FROM ({some}) AS found ORDER BY {what} LIMIT :most"),
            text(f"SELECT shown, what, {sums} FROM ({whole}) AS found GROUP BY shown, what ORDER BY shown LIMIT :rows"))


def _pieces(begin: int, end: int) -> Iterator[tuple[Kept, int, int]]:
    """Days, as many stretches as lie between, and days again."""
    length = SPANS["stretch"]
    first, last = -(-begin // length) * length, end // length * length
    if first >= last:
        yield "day", begin, end
        return
    for piece in (("day", begin, first), ("stretch", first, last), ("day", last, end)):
        if piece[1] < piece[2]:
            yield piece


def _rows(sums: dict[Of, Sum], now: float) -> list[dict[str, Any]]:
    # in one order, so that writers that meet don't hold each other up
    spread = sorted(_spread(sums, now).items(), key=itemgetter(0))
    return [dict(zip(KEYS, key, strict=True)) | _columns(sum_) for key, sum_ in spread]


def _spread(sums: dict[Of, Sum], now: float) -> dict[tuple[str, str, str, int, str, str], Sum]:
    """Each sum in every row that it belongs to."""
    found: dict[tuple[str, str, str, int, str, str], Sum] = {}
    for of, sum_ in sums.items():
        for span, seconds in SPANS.items():
            start = int(now // seconds * seconds)
            for scope in {"", of.user, of.team, of.key, of.app}:
                for by, value in _values(of):
                    found.setdefault((span, scope, by, start, value, of.what), Sum()).add(sum_)
    return found


def _values(of: Of) -> Iterator[tuple[str, str]]:
    yield "total", ""
    for by, value in (("key", of.key), ("app", of.app), ("model", of.model)):
        if value:
            yield by, value


def _columns(sum_: Sum) -> dict[str, Any]:
    return {"count": sum_.count, "errors": sum_.errors, "drops": sum_.drops, "seconds": sum_.seconds} | {
        f"b{number}": value for number, value in enumerate(sum_.buckets)}
