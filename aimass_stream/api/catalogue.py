"""What there is: stages with their parameters, events with their schemas, and what a client must know."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from .. import __version__, wire
from ..events import schemas
from ..transports.webrtc import ice_servers
from .deps import CallerDep, NodeDep, PreparingDep, SettingsDep
from .problems import RESPONSES

router = APIRouter(prefix="/v1", tags=["catalogue"], responses=RESPONSES)


class StageList(BaseModel):
    stages: list[dict[str, Any]] = Field(description="name, title, doc, accepts, params (JSON Schema)")


class ClientConfig(BaseModel):
    version: str
    protocol: int = Field(description="of websockets and data channels: the `version` of the hello")
    iceServers: list[dict[str, Any]] = Field(description="for RTCPeerConnection")
    max_width: int
    max_height: int
    max_fps: float
    max_message: int = Field(description="bytes of one websocket message")
    resume_seconds: float


@router.get("/stages")
async def list_stages(node: NodeDep, caller: CallerDep) -> StageList:
    """Every stage, with the JSON Schema of its parameters (units, ranges, defaults)."""
    return StageList(stages=node.stages.describe())


@router.get("/stream", include_in_schema=False)
async def not_a_page() -> None:
    """Where somebody opens the websocket's address as a page."""
    raise HTTPException(426, "this is a websocket; docs/api/websocket.md describes it", {"Upgrade": "websocket"})


@router.get("/events")
async def list_events(caller: CallerDep) -> dict[str, dict[str, Any]]:
    """JSON Schema of the `data` of every event, by type."""
    return schemas()


@router.get("/config")
async def client_config(settings: SettingsDep, caller: PreparingDep) -> ClientConfig:
    """What a client asks before it opens a session; a connect token will do, and stays good."""
    return ClientConfig(version=__version__, protocol=wire.VERSION, iceServers=ice_servers(settings, caller.user),
                        max_width=settings.max_width, max_height=settings.max_height, max_fps=settings.max_fps,
                        max_message=settings.max_message, resume_seconds=settings.resume_seconds)
