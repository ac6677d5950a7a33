"""Long lists in pages: a cursor says after which row the next page begins, whatever was added or deleted meanwhile.

A route asks its domain for `limit + 1` rows that come after the position in the list's order, and answers

    rows, cursor = page(rows, limit, lambda row: (row.created, row.id))

The position is what the list is sorted by, with an id at its end, so that it is unique; a database compares it as a
row value: ``(created, id) < (:created, :id)``. For clients a cursor is a word without meaning.
"""

from __future__ import annotations

import binascii
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Query, Request, Response

from ..errors import InvalidInput

T = TypeVar("T")

Position: TypeAlias = tuple[str | int | float, ...]

LONGEST = 512  # characters of a cursor
MOST = 200  # rows of a page
MOST_INTEGER = 1 << 63  # a database has no larger ones

CursorQuery = Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before; none: the first")]
LimitQuery = Annotated[int, Query(ge=1, le=MOST, description="rows of a page")]


def encode(position: Position) -> str:
    return urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode(cursor: str | None, *kinds: type[str] | type[int] | type[float]) -> Position | None:
    """The position that a cursor stands for, with values of these kinds; None for the first page.

    Raises `InvalidInput` for what was never a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        given = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise _foreign() from None
    if not isinstance(given, list) or len(given) != len(kinds):
        raise _foreign()
    return tuple(_checked(value, kind) for value, kind in zip(given, kinds, strict=True))


def _checked(value: object, kind: type) -> str | int | float:
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST_INTEGER:
        return float(value)
    if kind is float and isinstance(value, float) and math.isfinite(value):
        return value
    if kind is int and type(value) is int and abs(value) < MOST_INTEGER:
        return value
    if kind is str and isinstance(value, str):
        return value
    raise _foreign()


def page(rows: Sequence[T], limit: int, position: Callable[[T], Position]) -> tuple[Sequence[T], str | None]:
    """The first `limit` of the rows, and the cursor of the next page where there are more."""
    shown = rows[:limit]
    return shown, encode(position(shown[-1])) if len(rows) > limit else None


def link(request: Request, response: Response, cursor: str | None) -> None:
    """Say where the next page is in the header, too (RFC 8288)."""
    if cursor is not None:
        target = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{target.path}?{target.query}>; rel="next"'


def _foreign() -> InvalidInput:
    return InvalidInput("this is no cursor of this list: send what 'next' was, or none", field="cursor")
