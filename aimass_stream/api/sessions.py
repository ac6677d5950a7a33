"""/v1/sessions: look at running sessions, change them, end them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from ..errors import InvalidInput
from ..events import SessionStats
from .deps import CallerDep, NodeDep, needs
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES, dependencies=[needs("media")])

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


@router.get("/{session_id}")
async def get_session(session_id: str, node: NodeDep, caller: CallerDep) -> SessionView:
    return SessionView(**node.get(session_id, caller).json())


@router.get("/{session_id}/stats")
async def get_stats(session_id: str, node: NodeDep, caller: CallerDep) -> SessionStats:
    """Latency per hop in ms, drops by reason, what the transport measures, and how a promised latency is kept."""
    return node.get(session_id, caller).stats()


@router.patch("/{session_id}")
async def change_session(session_id: str, change: SessionChange, node: NodeDep, caller: CallerDep) -> SessionView:
    """Change the pipeline, one stage's parameters, the way of syncing or the promised latency while media flows."""
    session = node.get(session_id, caller)
    if change.stage is not None and change.pipeline is not None:
        raise InvalidInput("give either 'pipeline' or 'stage'", field="stage")
    if change.stage is not None:
        await session.patch_stage(change.stage.index, change.stage.params)
    if any(each is not None for each in (change.pipeline, change.sync, change.latency_ms, change.parameters)):
        await session.update(pipeline=change.pipeline, sync=change.sync, latency_ms=change.latency_ms,
                             parameters=change.parameters)
    return SessionView(**session.json())


@router.delete("/{session_id}", status_code=204)
async def end_session(session_id: str, node: NodeDep, caller: CallerDep) -> Response:
    await node.end(session_id, "ended by request", caller)
    return Response(status_code=204)
