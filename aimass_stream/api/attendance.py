"""/v1/sessions/{id}/attendance: who came in and when, as JSON or as a table."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from .deps import CallerDep, NodeDep, needs
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES, dependencies=[needs("media")])

MEDIA = "text/csv"


class Visit(BaseModel):
    name: str = Field(description="empty for somebody who was deleted since")
    person: str = Field(description="id, likewise")
    track: str
    arrived: str = Field(description="ISO 8601, by the server's clock")
    left: str | None = Field(description="null for who is still there")
    stayed: float | None = Field(description="s")
    arrived_pts: float = Field(description="s of media time")
    left_pts: float | None = Field(description="s of media time: when they were last seen")


class Visits(BaseModel):
    visits: list[Visit] = Field(description="in the order of arrival")
    dropped: int = Field(description="the oldest, in a session that is longer than the record")


@router.get("/{session_id}/attendance")
async def attendance(session_id: str, node: NodeDep, caller: CallerDep) -> Visits:
    """Who the stage `faces` has recognised, when they came and left. Kept for an hour after the session's end."""
    record = node.sightings(session_id, caller).attendance
    return Visits(visits=[Visit(**visit) for visit in record.json()], dropped=record.dropped)


@router.get("/{session_id}/attendance.csv", response_class=Response,
            responses={200: {"content": {MEDIA: {"schema": {"type": "string"}}}}})
async def table(session_id: str, node: NodeDep, caller: CallerDep) -> Response:
    """The same as a table. `X-Dropped-Rows` counts the oldest, in a session that is longer than the record."""
    record = node.sightings(session_id, caller).attendance
    return Response(record.csv(), media_type=f"{MEDIA}; charset=utf-8", headers={
        "Content-Disposition": 'attachment; filename="attendance.csv"', "X-Dropped-Rows": str(record.dropped)})
