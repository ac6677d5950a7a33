"""/v1/requests: ask the operator for a model, or for more of a quota."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep, accounts_of
from ..problems import RESPONSES
from ..repeats import CreatingRoute
from .parts import AppsDep

router = APIRouter(prefix="/v1/requests", tags=["requests"], responses=RESPONSES, route_class=CreatingRoute)

Id = Annotated[str, Path(max_length=64)]
Kind = Literal["model", "quota", "other"]


class RequestView(BaseModel):
    id: str
    user: str = Field(description="who asks: a user's id, or what else may")
    user_name: str = Field("", description="what people call them; in lists")
    owner: str = Field(description="for whom: a user's or a team's id")
    kind: Kind
    subject: str
    text: str
    state: Literal["open", "granted", "declined"]
    answer: str
    answered_by: str
    created: float = Field(description="s since the epoch")
    answered: float | None


class RequestList(BaseModel):
    requests: list[RequestView] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


class NewRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Kind
    subject: str = Field(max_length=120, examples=["A model that reads number plates of Norway"])
    text: str = Field("", max_length=4000)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    state: Literal["granted", "declined"]
    answer: str = Field("", max_length=4000, description="for whoever asked; why, where it is declined")


@router.post("", status_code=201)
async def ask(body: NewRequest, response: Response, apps: AppsDep, caller: CallerDep) -> RequestView:
    """429 where too many of one's own wait."""
    caller.need("apps:read")
    made = await apps.requests.ask(caller, body.kind, body.subject, body.text)
    response.headers["Location"] = f"/v1/requests/{made.id}"
    return _view(made)


@router.get("")
async def list_requests(request: Request, response: Response, apps: AppsDep, caller: CallerDep,
                        state: Literal["open", "granted", "declined"] | None = None,
                        everybody: Annotated[bool, Query(alias="all", description="for an admin")] = False,
                        cursor: CursorQuery = None, limit: LimitQuery = 50) -> RequestList:
    """One's own, or everybody's."""
    caller.need("admin" if everybody else "apps:read")
    found = await apps.requests.find(caller, state, everybody, limit + 1, decode(cursor, float, str))
    rows, following = page(found, limit, lambda asked: (asked.created, asked.id))
    link(request, response, following)
    called = accounts_of(request).directory.called
    return RequestList(requests=[_view(row).model_copy(update={"user_name": called(row.user)}) for row in rows],
                       next=following)


@router.get("/{request_id}")
async def get_request(request_id: Id, apps: AppsDep, caller: CallerDep) -> RequestView:
    caller.need("apps:read")
    return _view(await apps.requests.get(caller, request_id))


@router.post("/{request_id}/answer")
async def answer(request_id: Id, body: Answer, apps: AppsDep, caller: CallerDep) -> RequestView:
    """By an admin, once. What is granted is then done in its own place."""
    caller.need("admin")
    return _view(await apps.requests.answer(caller, request_id, body.state, body.answer))


@router.delete("/{request_id}", status_code=204)
async def withdraw(request_id: Id, apps: AppsDep, caller: CallerDep) -> Response:
    """One's own, while nobody has answered it."""
    caller.need("apps:read")
    await apps.requests.withdraw(caller, request_id)
    return Response(status_code=204)


def _view(asked: Any) -> RequestView:
    return RequestView(**{name: getattr(asked, name) for name in RequestView.model_fields if name != "user_name"})
