"""What a session said, saw and counted: kept for a while after its end (docs/api/rest.md, docs/api/vision.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..errors import AimassError
from .connection import Connection, part


class Recorded:
    """`Client.recorded`. `NotFound` for a session that nothing was recorded of, or that is somebody else's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def transcript(self, session_id: str, form: str = "txt") -> str:
        """What was said; `form`: txt, srt, vtt or json."""
        return await self._text(session_id, "transcript", format=form)

    async def attendance(self, session_id: str) -> dict[str, Any]:
        """Who was seen, from when to when."""
        return dict(await self._connection.request("GET", f"{_of(session_id)}/attendance"))

    async def attendance_table(self, session_id: str) -> str:
        """The same as CSV."""
        return await self._text(session_id, "attendance.csv")

    async def counts(self, session_id: str) -> dict[str, Any]:
        """What crossed lines and was in zones."""
        return dict(await self._connection.request("GET", f"{_of(session_id)}/counts"))

    async def tracks(self, session_id: str) -> str:
        """Where everything was, as CSV."""
        return await self._text(session_id, "tracks.csv")

    async def heat_map(self, session_id: str, target: Path | str, *, track: str = "", label: str = "",
                       over: str = "picture") -> Path:
        """Where things were most, as a PNG; `over`: picture or plain."""
        query = {name: value for name, value in (("track", track), ("label", label), ("over", over)) if value}
        response = await self._connection.checked("GET", f"{_of(session_id)}/heatmap.png", params=query)
        return await write(Path(target), response.content)

    async def _text(self, session_id: str, what: str, **query: str) -> str:
        return (await self._connection.checked("GET", f"{_of(session_id)}/{what}", params=query)).text


async def write(target: Path, content: bytes) -> Path:
    try:
        await asyncio.to_thread(target.write_bytes, content)
    except OSError as error:
        raise AimassError(f"{target} can't be written: {error.strerror}") from error
    return target


def _of(session_id: str) -> str:
    return f"/v1/sessions/{part(session_id)}"
