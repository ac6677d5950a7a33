"""/v1/sessions/{id}: what was followed in the pictures, as a table, as a map and counted."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import cv2
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from ..errors import InvalidInput
from ..frames import Pixels, VideoFrame
from ..node import Node
from ..stage_base import upright
from ..vision.heat import Heat, painted
from .deps import CallerDep, NodeDep, needs
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES, dependencies=[needs("media")])

MEDIA, PNG = "text/csv", "image/png"
MOVERS = frozenset({"mirror", "rotate", "crop"})  # stages after which places in the picture are others


class ZoneCount(BaseModel):
    track: str
    model: str
    zone: str
    inside: int = Field(description="now, or in the session's last picture")
    most: int = Field(description="at once")
    entered: int
    left: int
    dwell: float | None = Field(description="s, mean of those that left")
    longest: float = Field(description="s, of those that left")
    labels: dict[str, int] = Field(description="of what entered")


class LineCount(BaseModel):
    track: str
    model: str
    line: str
    inwards: int = Field(alias="in", serialization_alias="in")
    outwards: int = Field(alias="out", serialization_alias="out")
    labels: dict[str, int]


class Counted(BaseModel):
    zones: list[ZoneCount]
    lines: list[LineCount]


@router.get("/{session_id}/tracks.csv", response_class=Response,
            responses={200: {"content": {MEDIA: {"schema": {"type": "string"}}}}})
async def tracks(session_id: str, node: NodeDep, caller: CallerDep) -> Response:
    """Where the stage `detect` has seen each thing, five times a second, and what they did in zones and at lines.

    Kept for an hour after the session's end. `X-Dropped-Rows` counts the oldest, in a session that is longer than the
    record.
    """
    seen = node.sightings(session_id, caller).copy()
    written = await asyncio.to_thread(seen.csv)
    return Response(written, media_type=f"{MEDIA}; charset=utf-8", headers={
        "Content-Disposition": 'attachment; filename="tracks.csv"', "X-Dropped-Rows": str(seen.dropped)})


@router.get("/{session_id}/counts")
async def counts(session_id: str, node: NodeDep, caller: CallerDep) -> Counted:
    """Who came into which zone for how long, and what went over which line; kept for an hour after the end, too."""
    return Counted.model_validate(node.sightings(session_id, caller).counts.json())


@router.get("/{session_id}/heatmap.png", response_class=Response,
            responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}})
async def heat_map(session_id: str, node: NodeDep, caller: CallerDep,
                   track: Annotated[str, Query(max_length=64, description="without it the first")] = "",
                   label: Annotated[str, Query(max_length=200, description="without it all things")] = "",
                   over: Annotated[Literal["picture", "plain"], Query()] = "picture") -> Response:
    """Where followed things stood for how long, over the picture that left last, dimmed.

    The map is by itself with `over=plain`, after the session's end, and where a stage turns or cuts the picture.
    """
    heat = node.sightings(session_id, caller).heat.copy()
    if heat.tracks and (track or heat.tracks[0]) not in heat.tracks:
        raise InvalidInput(f"nothing was followed in {track!r}; there are: {', '.join(heat.tracks)}", field="track")
    track = track or (heat.tracks[0] if heat.tracks else "")
    if label and label not in heat.labels(track):
        known = ", ".join(heat.labels(track)) or "none"
        raise InvalidInput(f"no {label!r} was followed; there are: {known}", field="label")
    frame = _shown(node, session_id, track) if over == "picture" else None
    written = await asyncio.to_thread(_png, heat, track, label, frame)
    return Response(written, media_type=PNG, headers={"Cache-Control": "no-store"})


def _shown(node: Node, session_id: str, track: str) -> VideoFrame | None:
    """The last picture, where its places are those of what was followed."""
    session = next((each for each in node.sessions() if each.id == session_id), None)
    if session is None or any(stage.name in MOVERS for stage in session.spec.stages):
        return None
    return session.shown.get(track)


def _png(heat: Heat, track: str, label: str, frame: VideoFrame | None) -> bytes:
    below: Pixels | None = None if frame is None else upright(frame).bgr
    made, written = cv2.imencode(".png", painted(heat.cells(track, label), heat.size(track), below))
    assert made
    return bytes(written)
