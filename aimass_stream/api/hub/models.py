"""/v1/hub/models: the catalogue of what is built in and what people uploaded."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zlib import crc32

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ...hub.cards import rendered
from ...hub.records import CARD, TAGS, Change, HubModel, Search, Sort, Visibility
from ...ports import Caller
from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep
from ..etags import IfMatch, revision, unchanged
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from .parts import HubDep, Name

router = APIRouter(prefix="/v1/hub", tags=["models"], responses=RESPONSES, route_class=CreatingRoute)

Text = Annotated[str, Query(max_length=100)]
KINDS: dict[Sort, tuple[type, type]] = {"updated": (float, str), "downloads": (int, str), "rating": (int, str),
                                        "name": (str, str)}


class ModelView(BaseModel):
    name: str
    title: str
    task: str
    licence: str
    tags: list[str]
    visibility: Visibility
    owner: str = Field(description="the id of a user or a team; empty: the server's own")
    mine: bool = Field(description="whether the caller may change it")
    built_in: bool
    created: float = Field(description="s since the epoch")
    updated: float
    downloads: int
    rating: float | None = Field(description="mean of 1 to 5 stars")
    ratings: int
    deployed: dict[str, int] = Field(description="versions by alias")


class ModelDetail(ModelView):
    card: str = Field(description="Markdown, as it was written")
    card_html: str = Field(description="the same as HTML that can harm nobody")
    revision: int = Field(description="of what stands here; the ETag")


class ModelPage(BaseModel):
    models: list[ModelView]
    next: str | None = Field(description="`cursor` of the next page")


class ModelChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str | None = None
    task: str | None = Field(None, examples=["classification"])
    licence: str | None = Field(None, examples=["Apache-2.0"])
    tags: list[str] | None = Field(None, max_length=TAGS)
    card: str | None = Field(None, max_length=CARD, description="Markdown")
    visibility: Visibility | None = Field(None, description="private (the default), team, or public: everybody may see "
                                          "and use it")

    def change(self) -> Change:
        return Change(self.title, self.task, self.licence, self.card, None if self.tags is None else tuple(self.tags),
                      self.visibility)


class NewModel(ModelChange):
    name: str = Field(max_length=64, description="small letters, digits, '.', '_', '-'; it stays")


class TagView(BaseModel):
    tag: str
    models: int


class AutoView(BaseModel):
    name: str
    model: str = Field(description="as a pipeline or a request names it, with its version")
    reason: str
    others: int = Field(description="that were looked at besides")


@router.get("/models")
async def find_models(request: Request, response: Response, hub: HubDep, caller: CallerDep, q: Text = "",
                      task: Text = "", tag: Text = "", licence: Text = "", mine: bool = False,
                      built_in: bool | None = None, sort: Sort = "updated", cursor: CursorQuery = None,
                      limit: LimitQuery = 50) -> ModelPage:
    """Models that the caller may see. `q`: words that are all in name, title, task, licence, tags or card."""
    caller.need("models:read")
    search = Search(q, task, tag, licence, caller.owner if mine else None, built_in, sort)
    found = await hub.catalogue.find(caller, search, limit + 1, decode(cursor, *KINDS[sort]))
    rows, following = page(found, limit, lambda model: (_position(model, sort), model.id))
    link(request, response, following)
    return ModelPage(models=[ModelView(**_told(hub, caller, row)) for row in rows], next=following)


@router.post("/models", status_code=201)
async def create_model(new: NewModel, response: Response, hub: HubDep, caller: CallerDep) -> ModelDetail:
    """A model without versions yet."""
    caller.need("models:write")
    model = await hub.catalogue.create(caller, new.name, new.change())
    await hub.audit(caller, "model.created", model.name)
    response.headers["Location"] = f"/v1/hub/models/{model.name}"
    return await _detail(hub, caller, model, response)


@router.get("/tags")
async def list_tags(hub: HubDep, caller: CallerDep) -> list[TagView]:
    """The hundred most used."""
    caller.need("models:read")
    return [TagView(tag=tag, models=count) for tag, count in await hub.catalogue.tags(caller)]


@router.get("/auto")
async def choose_model(hub: HubDep, caller: CallerDep, task: Annotated[str, Query(min_length=1, max_length=64)],
                       latency_ms: Annotated[float | None, Query(gt=0, le=1e6)] = None,
                       quality: Literal["best", "balanced", "fast"] = "balanced") -> AutoView:
    """What `model=auto` is for a task: by measured quality and latency, with the reason."""
    caller.need("models:read")
    chosen = await run_in_threadpool(hub.auto, caller, task, latency_ms, quality)
    return AutoView(name=chosen.name, model=chosen.served, reason=chosen.reason, others=chosen.others)


@router.get("/models/{name}", response_model=ModelDetail)
async def get_model(name: Name, request: Request, response: Response, hub: HubDep, caller: CallerDep) -> Any:
    caller.need("models:read")
    model = await hub.catalogue.get(caller, name)
    told = await _detail(hub, caller, model, response)
    return unchanged(request, response, _tag(hub, model)) or told


@router.patch("/models/{name}")
async def change_model(name: Name, change: ModelChange, response: Response, hub: HubDep, caller: CallerDep,
                       if_match: IfMatch = None) -> ModelDetail:
    """What is left out stays. With `If-Match` a change by somebody else in between is not overwritten."""
    caller.need("models:write")
    model = await hub.catalogue.change(caller, name, change.change(), revision(if_match))
    await hub.deployments.refresh(name)
    await hub.audit(caller, "model.changed", name)
    return await _detail(hub, caller, model, response)


@router.delete("/models/{name}", status_code=204)
async def delete_model(name: Name, hub: HubDep, caller: CallerDep) -> Response:
    """With all versions. 409 while an alias or a session uses one, and says which."""
    caller.need("models:write")
    await hub.delete(caller, name)
    return Response(status_code=204)


def _position(model: HubModel, sort: Sort) -> str | int | float:
    values: dict[str, Any] = {"updated": model.updated, "downloads": model.downloads, "name": model.name,
                              "rating": round((model.rating or 0) * model.ratings)}
    found: str | int | float = values[sort]
    return found


def _tag(hub: Any, model: HubModel) -> str:
    counted = f"{model.downloads}.{model.ratings}.{model.rating}.{model.updated}"
    return f"{model.revision}-{crc32((counted + str(_deployed(hub, model.name))).encode()):x}"


def _deployed(hub: Any, name: str) -> dict[str, int]:
    found = hub.deployments.models.get(name)
    return {} if found is None else {alias: each.number for alias, each in found.aliases.items()}


def _told(hub: Any, caller: Caller, model: HubModel) -> dict[str, Any]:
    return {"name": model.name, "title": model.title, "task": model.task, "licence": model.licence,
            "tags": list(model.tags), "visibility": model.visibility, "owner": model.owner,
            "mine": caller.owns(model.owner), "built_in": model.built_in, "created": model.created,
            "updated": model.updated, "downloads": model.downloads, "rating": model.rating, "ratings": model.ratings,
            "deployed": _deployed(hub, model.name)}


async def _detail(hub: Any, caller: Caller, model: HubModel, response: Response) -> ModelDetail:
    html = await run_in_threadpool(rendered, model.card)
    response.headers["ETag"] = f'"{_tag(hub, model)}"'
    return ModelDetail(**_told(hub, caller, model), card=model.card, card_html=html, revision=model.revision)
