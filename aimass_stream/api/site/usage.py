"""/usage: what was used, over time and by model, key and app."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import Request, Response

from .. import usage as usage_routes
from ..deps import CallerDep
from .drawn import draw
from .drawn import router as page_router

router = page_router()

SECONDS = {"day": 86400.0, "week": 7 * 86400.0, "month": 30 * 86400.0}
ROWS = 50


@router.get("/usage")
async def show(request: Request, caller: CallerDep, over: Literal["day", "week", "month"] = "day") -> Response:
    begin = time.time() - SECONDS[over]
    by = {}
    for kind in ("total", "time", "model", "key", "app"):
        by[kind] = await usage_routes.show_usage(request, Response(), caller, begin, None, kind, None, None, ROWS)
    return await draw(request, "usage.html", caller, over=over, by=by, names=_names(request),
                      total=by["total"].rows[0] if by["total"].rows else None,
                      chart=by["time"].model_dump(mode="json", include={"begin", "end", "span", "rows"}))


def _names(request: Request) -> dict[str, str]:
    """What keys are called, by their ids; nothing but names of what the caller's own use names."""
    return {key.id: key.title or f"aim_{key.prefix}…" for key in request.app.state.accounts.directory.keys.values()}
