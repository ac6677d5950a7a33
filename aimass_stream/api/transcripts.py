"""/v1/sessions/{id}/transcript: what was said, as subtitles, text or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field

from ..speech.transcript import Transcript
from .deps import CallerDep, NodeDep, needs
from .problems import RESPONSES

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=RESPONSES, dependencies=[needs("media")])

Format = Literal["json", "srt", "vtt", "txt"]
MEDIA = {"srt": "application/x-subrip", "vtt": "text/vtt", "txt": "text/plain"}
WRITERS: dict[Format, Callable[[Transcript], str | dict[str, Any]]] = {
    "json": Transcript.json, "srt": Transcript.srt, "vtt": Transcript.vtt, "txt": Transcript.text}


class TranscriptView(BaseModel):
    text: str
    dropped_words: int = Field(description="the oldest, in a session that is longer than the record")
    utterances: list[dict[str, Any]] = Field(
        description="id, speaker, language, engine, model, text, start and end in s of media time, words")


@router.get("/{session_id}/transcript", response_model=TranscriptView,
            responses={200: {"content": {"application/x-subrip": {}, "text/vtt": {}, "text/plain": {}}}})
async def transcript(session_id: str, node: NodeDep, caller: CallerDep, format: Format = "json") -> Response:
    """All committed words of a session, by speaker; kept for an hour after its end."""
    said = node.transcript(session_id, caller).copy()
    written = await asyncio.to_thread(WRITERS[format], said)  # hours of talk take longer than the loop may be held
    if isinstance(written, str):
        return PlainTextResponse(written, headers={"Content-Type": f"{MEDIA[format]}; charset=utf-8"})
    return JSONResponse(written)
