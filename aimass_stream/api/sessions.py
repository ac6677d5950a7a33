"""/v1/sessions: look at running sessions, change them, end them."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary
from zlib import crc32

from fastapi import APIRouter, Header, Request, Response, Security
from pydantic import BaseModel, ConfigDict, Field

from ..errors import Forbidden, InvalidInput, Stale
from ..events import SessionStats
from ..session import Session
from .deps import CallerDep, NodeDep, admitted, bearer, needs
from .etags import CHANGED, FIELD, IfMatch, revision, seen, tagged
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES, dependencies=[needs("media")])
ending_router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES,
                          dependencies=[Security(bearer)])

_changing: WeakKeyDictionary[Session, asyncio.Lock] = WeakKeyDictionary()  # who has seen what, and changes it

ResumeToken = Annotated[str | None, Header(
    max_length=200, description="the session's own, for who has nothing else that is still good")]

EXAMPLE = [[{"stage": "mirror"}, {"stage": "blur", "sigma": 8}]]


class SessionView(BaseModel):
    id: str
    state: Literal["waiting", "live", "closed"]
    transport: str
    caller: str
    created: float = Field(description="seconds since 1970")
    pipeline: list[dict[str, Any]]
    sync: Literal["lowest", "lips"]
    latency_ms: int | None = Field(None, description="ms, what is promised; null: nothing")
    app_id: str | None = Field(None, description="of the app that it was begun by; null: of none")


class SessionList(BaseModel):
    sessions: list[SessionView]


class StageChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    index: int = Field(description="place in the pipeline, from 0")
    params: dict[str, Any]


class SessionChange(BaseModel):
    """Any part may be left out; a wrong change is refused whole."""

    model_config = ConfigDict(extra="forbid")
    pipeline: list[Any] | None = Field(None, examples=EXAMPLE)
    sync: Literal["lowest", "lips"] | None = None
    latency_ms: int | None = Field(None, description="ms, 10 to 5000: promised from now on; 0: no longer")
    stage: StageChange | None = None
    parameters: dict[str, Any] | None = Field(None, max_length=64, description="those that the session's app exposes")


@router.get("")
async def list_sessions(node: NodeDep, caller: CallerDep) -> SessionList:
    """The caller's sessions on this node; all, for who runs it."""
    return SessionList(sessions=[SessionView(**session.json()) for session in node.sessions(caller)])


@router.get("/{session_id}", response_model=SessionView)
async def get_session(session_id: str, request: Request, response: Response, node: NodeDep, caller: CallerDep) -> Any:
    view = SessionView(**node.get(session_id, caller).json())
    return seen(request, response, _revision(view), view)


@router.get("/{session_id}/stats")
async def get_stats(session_id: str, node: NodeDep, caller: CallerDep) -> SessionStats:
    """Latency per hop in ms, drops by reason, what the transport measures, and how a promised latency is kept."""
    return node.get(session_id, caller).stats()


@router.patch("/{session_id}")
async def change_session(session_id: str, change: SessionChange, response: Response, node: NodeDep, caller: CallerDep,
                         if_match: IfMatch = None) -> SessionView:
    """Change the pipeline, one stage's parameters, the way of syncing or the promised latency while media flows."""
    session = node.get(session_id, caller)
    if change.stage is not None and change.pipeline is not None:
        raise InvalidInput("give either 'pipeline' or 'stage'", field="stage")
    wanted = revision(if_match)
    async with _changing.setdefault(session, asyncio.Lock()):
        if wanted is not None and wanted != _revision(SessionView(**session.json())):
            raise Stale(CHANGED, field=FIELD)
        if change.stage is not None:
            await session.patch_stage(change.stage.index, change.stage.params)
        if any(each is not None for each in (change.pipeline, change.sync, change.latency_ms, change.parameters)):
            await session.update(pipeline=change.pipeline, sync=change.sync, latency_ms=change.latency_ms,
                                 parameters=change.parameters)
    view = SessionView(**session.json())
    return tagged(response, _revision(view), view)


@ending_router.delete("/{session_id}", status_code=204)
async def end_session(session_id: str, request: Request, node: NodeDep, resume_token: ResumeToken = None) -> Response:
    """By its caller, or by its resume token: a page that is left may have a connect token only, which was good once."""
    if resume_token is None:
        caller = await admitted(request)
        caller.need("media")
        session = node.get(session_id, caller)
    else:
        session = node.get(session_id)
        if not session.resumes_by(resume_token):
            raise Forbidden("the resume token does not belong to this session", field="Resume-Token")
    await session.close("ended by request", "request")
    return Response(status_code=204)


def _revision(view: SessionView) -> int:
    """Of what can be changed, which nobody counts: it may be changed over the session's own connection, too."""
    return crc32(json.dumps([view.pipeline, view.sync, view.latency_ms], sort_keys=True).encode())
