"""Pictures looked at, and the faces that a server knows (docs/api/vision.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .connection import Connection, part

LOOKED = 120.0  # s that an answer may take, which has the model loaded


class Vision:
    """`Client.vision`: a picture's file, and the form's other fields by their names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def detect(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What is where; `model`, `threshold`, `labels`, ..."""
        return await _sent(self._connection, "/v1/vision/detect", picture, fields)

    async def faces(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """Faces, and with `recognise` whose they are."""
        return await _sent(self._connection, "/v1/vision/faces", picture, fields)

    async def classify(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What it is of."""
        return await _sent(self._connection, "/v1/vision/classify", picture, fields)

    async def ocr(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What is written in it."""
        return await _sent(self._connection, "/v1/vision/ocr", picture, fields)


class Faces:
    """`Client.faces`: people whom the server knows, for admins."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self) -> dict[str, Any]:
        return dict(await self._connection.request("GET", "/v1/faces"))

    async def enrol(self, picture: Path | str, name: str, *, consent: str) -> dict[str, Any]:
        """`consent`: what they have agreed to, in words."""
        return await _sent(self._connection, "/v1/faces", picture, {"name": name, "consent": consent})

    async def forget(self, person_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/faces/{part(person_id)}")


async def _sent(connection: Connection, path: str, picture: Path | str, fields: dict[str, Any]) -> dict[str, Any]:
    picture = Path(picture)
    try:
        content = await asyncio.to_thread(picture.read_bytes)
    except OSError as error:
        raise InvalidInput(f"{picture} can't be read: {error.strerror}") from error
    told = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()
            if value is not None}
    response = await connection.checked("POST", path, seconds=LOOKED, data=told,
                                        files={"image": (picture.name, content)})
    return dict(response.json())
