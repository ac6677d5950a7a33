"""/v1/hub/quarantine: models that are code, and what admins decide on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ...hub.quarantine import Waiting, told
from ...hub.records import TEXT, Version
from ...ports import Caller
from ..cursors import CursorQuery, LimitQuery, decode, link, page
from ..deps import CallerDep, accounts_of
from ..limits import LimitedRoute
from ..problems import RESPONSES
from .parts import HubDep, Name, Number
from .versions import VersionDetail, _detail

router = APIRouter(prefix="/v1/hub", tags=["models"], responses=RESPONSES, route_class=LimitedRoute)


class WaitingView(BaseModel):
    title: str
    owner: str = Field(description="id of a user or a team")
    creator: str = Field(description="id of the user who sent it")
    owner_name: str = Field("", description="what people call them")
    creator_name: str = ""
    own: bool = Field(description="the caller's own: another admin has to decide")
    version: VersionDetail = Field(description="`reason` says what it would call")


class WaitingPage(BaseModel):
    waiting: list[WaitingView] = Field(description="the longest first")
    next: str | None = Field(description="`cursor` of the next page")


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=TEXT, description="which the owner and the audit log are told",
                        examples=["read its code: a plain network"])


@router.get("/quarantine")
async def list_quarantine(request: Request, response: Response, hub: HubDep, caller: CallerDep,
                          cursor: CursorQuery = None, limit: LimitQuery = 50) -> WaitingPage:
    """Versions that are code and wait for an admin."""
    caller.need("admin")
    found = await hub.quarantine.waiting(caller, limit + 1, decode(cursor, float, str))
    rows, following = page(found, limit, lambda row: (row.version.created, row.version.id))
    link(request, response, following)
    called = accounts_of(request).directory.called
    return WaitingPage(waiting=[_view(hub, row, called) for row in rows], next=following)


@router.post("/models/{name}/versions/{number}/approve")
async def approve(name: Name, number: Number, decision: Decision, hub: HubDep, caller: CallerDep) -> VersionDetail:
    """Have it checked and tried, alone in a cell: a process of its own without network, files and rights. Then it is
    `ready` or `refused`. Somebody else's alone (403); it holds for exactly these files. What was decided before may be
    thought over, unless it is ready."""
    version = await hub.quarantine.approve(caller, name, number, decision.reason)
    await _audited(hub, caller, "model.approved", version, decision)
    return _detail(hub, version)


@router.post("/models/{name}/versions/{number}/reject")
async def reject(name: Name, number: Number, decision: Decision, hub: HubDep, caller: CallerDep) -> VersionDetail:
    """Likewise: it is `refused`, and its owner reads the reason."""
    version = await hub.quarantine.reject(caller, name, number, decision.reason)
    await _audited(hub, caller, "model.rejected", version, decision)
    return _detail(hub, version)


async def _audited(hub: Any, caller: Caller, what: str, version: Version, decision: Decision) -> None:
    await hub.audit(caller, what, version.served, reason=decision.reason[:1000], **told(version))


def _view(hub: Any, row: Waiting, called: Callable[[str], str]) -> WaitingView:
    owner, creator = row.model.owner, row.version.creator
    return WaitingView(title=row.model.title, owner=owner, creator=creator, own=row.own, owner_name=called(owner),
                       creator_name=called(creator), version=_detail(hub, row.version))
