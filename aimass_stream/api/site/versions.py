"""/models/NAME/watch and /convert: how a version does, and what it can be turned into."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from ...hub.conversions.kinds import KINDS
from ...hub.records import PRODUCTION
from ..cursors import CursorQuery
from ..deps import CallerDep
from ..hub import models as catalogue
from ..hub import versions, watch
from ..hub.conversions import ConversionsDep, _view
from ..hub.parts import HubDep
from ..hub.watch import WatchDep
from .drawn import draw
from .drawn import router as page_router

router = page_router()

DAYS = 30
ROWS = 20  # pieces of feedback

Name = Annotated[str, Path(max_length=64)]
Number = Annotated[int | None, Query(ge=1, le=999_999_999)]


@router.get("/models/{name}/watch")
async def watched(name: Name, request: Request, hub: HubDep, watching: WatchDep, caller: CallerDep,
                  version: Number = None, cursor: CursorQuery = None) -> Response:
    """For the model's owner: the version in use, where none is said."""
    model, listed, number = await _chosen(name, request, hub, caller, version)
    if number is None:
        return await draw(request, "watch.html", caller, model=model, versions=listed, number=None)
    seen = await watch.get_watch(name, number, watching, caller, DAYS)
    said = await watch.list_feedback(name, number, request, Response(), watching, caller, None, cursor, ROWS)
    return await draw(
        request, "watch.html", caller, model=model, versions=listed, number=number, seen=seen, said=said,
        days=[day.model_dump() for day in seen.days], drift=seen.drift.model_dump() if seen.drift else None,
        wishes=await watch.get_wishes(name, watching, caller),
        alerts=await watch.list_alerts(name, request, Response(), watching, caller),
        may_change="models:write" in caller.scopes)


@router.get("/models/{name}/convert")
async def convert(name: Name, request: Request, hub: HubDep, converting: ConversionsDep, caller: CallerDep,
                  version: Number = None) -> Response:
    """What was made of it by now, and making more."""
    caller.need("models:write")
    model, listed, number = await _chosen(name, request, hub, caller, version)
    chosen = next((each for each in listed if each.number == number), None)
    return await draw(request, "convert.html", caller, model=model, versions=listed, number=number, chosen=chosen,
                      kinds=[_view(converting, kind) for kind in KINDS.values()],
                      made=[each for each in listed if each.facts.get("conversion")])


async def _chosen(name: str, request: Request, hub: Any, caller: Any, version: int | None
                  ) -> tuple[Any, Any, int | None]:
    model = await catalogue.get_model(name, request, Response(), hub, caller)
    listed = (await versions.list_versions(name, hub, caller)).versions
    ready = [each.number for each in listed if each.state == "ready"]
    return model, listed, version or model.deployed.get(PRODUCTION) or next(iter(ready), None)
