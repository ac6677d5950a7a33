"""Use in the database: added to in batches, read by span, scope and what is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, get_args

from sqlalchemy import delete, func, select, text

from ..store.database import Database
from .meter import BUCKETS, Of, Sum, What
from .tables import USAGE
from .used import SPANS, By, Span, Used

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
        what = USAGE.c.start if by == "time" else USAGE.c.value
        kept = [USAGE.c.span == span, USAGE.c.scope == scope, USAGE.c.by == ("total" if by == "time" else by),
                USAGE.c.start >= begin, USAGE.c.start < end]
        later = what > (int(after) if after else -1) if by == "time" else what > after if after else None
        if later is not None:
            kept.append(later)
        # one value has at most a row for each kind of use, so the first ones are whole
        asked = select(what, USAGE.c.what, *(func.sum(USAGE.c[name]) for name in SUMMED)).where(*kept).group_by(
            what, USAGE.c.what).order_by(what).limit(limit * KINDS)
        found: dict[str, Used] = {}
        async with self._database.read() as connection:
            for value, kind, count, errors, drops, seconds, *buckets in await connection.execute(asked):
                used = found.setdefault(str(value), Used(str(value)))
                used.sums[kind] = Sum(int(count), int(errors), int(drops), float(seconds), [int(n) for n in buckets])
        return list(found.values())[:limit]

    async def forget(self, span: Span, before: float) -> int:
        """Delete the spans that began before that moment; how many rows that were."""
        async with self._database.begin() as connection:
            gone = await connection.execute(delete(USAGE).where(USAGE.c.span == span, USAGE.c.start < before))
        return int(gone.rowcount)

    async def erase(self, scope: str) -> None:
        """Forget a user's, team's or key's use, where the person asks for it; the server's own sums stay."""
        async with self._database.begin() as connection:
            await connection.execute(delete(USAGE).where(USAGE.c.scope == scope))
            if scope:
                await connection.execute(delete(USAGE).where(USAGE.c.value == scope))


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
