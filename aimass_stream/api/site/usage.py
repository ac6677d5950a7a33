"""/usage: what was used, over time and by model, key and app."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import Query, Request, Response

from .. import usage as usage_routes
from ..deps import CallerDep
from .drawn import draw
from .drawn import router as page_router

router = page_router()

SECONDS = {"day": 86400.0, "week": 7 * 86400.0, "month": 30 * 86400.0}
ROWS = 50


@router.get("/usage")
async def show(request: Request, caller: CallerDep, over: Literal["day", "week", "month"] = "day",
               of: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """`of`: one key, team, user or app alone."""
    begin = time.time() - SECONDS[over]
    by = {}
    for kind in ("total", "time", "model", "key", "app"):
        by[kind] = await usage_routes.show_usage(request, Response(), caller, begin, None, kind, of or None, None, ROWS)
    names = names_of(request) | {row.value: row.title for row in by["app"].rows if row.title}
    return await draw(request, "usage.html", caller, over=over, of=of or "", by=by, names=names,
                      total=by["total"].rows[0] if by["total"].rows else None,
                      chart=by["time"].model_dump(mode="json", include={"begin", "end", "span", "rows"}))


def names_of(request: Request) -> dict[str, str]:
    """What keys and teams are called, by their ids; nothing but names of what the caller's own use names."""
    directory = request.app.state.accounts.directory
    keys = {key.id: key.title or f"aim_{key.prefix}…" for key in directory.keys.values()}
    return keys | {team.id: team.name for team in directory.teams.values()}
