"""/v1/sessions/{id}/tracks.csv: what was followed in the pictures, as a table."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from .deps import CallerDep, NodeDep
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES)

MEDIA = "text/csv"


@router.get("/{session_id}/tracks.csv", response_class=Response,
            responses={200: {"content": {MEDIA: {"schema": {"type": "string"}}}}})
async def tracks(session_id: str, node: NodeDep, caller: CallerDep) -> Response:
    """Where the stage `detect` has seen each thing, five times a second, and what they did in zones and at lines.

    Kept for an hour after the session's end. `X-Dropped-Rows` counts the oldest, in a session that is longer than the
    record.
    """
    seen = node.sightings(session_id).copy()
    written = await asyncio.to_thread(seen.csv)
    return Response(written, media_type=f"{MEDIA}; charset=utf-8", headers={
        "Content-Disposition": 'attachment; filename="tracks.csv"', "X-Dropped-Rows": str(seen.dropped)})
