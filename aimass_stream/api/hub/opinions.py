"""/v1/hub/models/{name}/rating and /comments: what people think of a model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ...hub.records import TEXT
from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from .parts import HubDep, Name

router = APIRouter(prefix="/v1/hub/models/{name}", tags=["models"], responses=RESPONSES, route_class=CreatingRoute)


class Rating(BaseModel):
    model_config = ConfigDict(extra="forbid")
    stars: int = Field(ge=0, le=5, description="1 to 5; 0 takes it back")


class RatingView(BaseModel):
    rating: float | None = Field(description="mean of all")
    ratings: int


class NewComment(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=TEXT, description="plain")


class CommentView(BaseModel):
    id: str
    name: str = Field(description="who wrote it")
    text: str = Field(description="plain: to be shown as text, never as HTML")
    at: float = Field(description="s since the epoch")
    mine: bool


class CommentPage(BaseModel):
    comments: list[CommentView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


@router.put("/rating")
async def rate(name: Name, rating: Rating, hub: HubDep, caller: CallerDep) -> RatingView:
    """One each, in place of the one before."""
    caller.need("models:read")
    model = await hub.opinions.rate(caller, name, rating.stars)
    return RatingView(rating=model.rating, ratings=model.ratings)


@router.get("/comments")
async def list_comments(name: Name, request: Request, response: Response, hub: HubDep, caller: CallerDep,
                        cursor: CursorQuery = None, limit: LimitQuery = 50) -> CommentPage:
    caller.need("models:read")
    found = await hub.opinions.comments(caller, name, limit + 1, decode(cursor, float, str))
    rows, following = page(found, limit, lambda each: (each.at, each.id))
    link(request, response, following)
    return CommentPage(next=following, comments=[
        CommentView(id=each.id, name=each.name, text=each.text, at=each.at, mine=caller.owns(each.owner))
        for each in rows])


@router.post("/comments", status_code=201)
async def comment(name: Name, new: NewComment, hub: HubDep, caller: CallerDep) -> CommentView:
    caller.need("models:read")
    said = await hub.opinions.comment(caller, name, new.text)
    return CommentView(id=said.id, name=said.name, text=said.text, at=said.at, mine=True)


@router.delete("/comments/{comment_id}", status_code=204)
async def delete_comment(name: Name, comment_id: Annotated[str, Path(max_length=64)], hub: HubDep, caller: CallerDep
                         ) -> Response:
    """One's own, or any beneath one's own model."""
    caller.need("models:read")
    await hub.opinions.delete(caller, name, comment_id)
    return Response(status_code=204)
