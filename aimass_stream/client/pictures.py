"""Pictures looked at, and the faces that a server knows (docs/api/vision.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from ..errors import InvalidInput
from .connection import Connection, part
from .recorded import write

LOOKED = 120.0  # s that an answer may take, which has the model loaded


class Vision:
    """`Client.vision`: a picture's file, and the form's other fields by their names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def detect(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What is where; `model`, `threshold`, `tiles`."""
        return await _sent(self._connection, "/v1/vision/detect", picture, fields)

    async def faces(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """Where faces are, with the points that the detector knows of each; fields as those of `detect`."""
        return await _sent(self._connection, "/v1/vision/faces", picture, fields)

    async def classify(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What it is of; `model`, `threshold`, `top`."""
        return await _sent(self._connection, "/v1/vision/classify", picture, fields)

    async def ocr(self, /, picture: Path | str, **fields: Any) -> dict[str, Any]:
        """What is written in it; `threshold`."""
        return await _sent(self._connection, "/v1/vision/ocr", picture, fields)

    async def drawn(self, what: str, /, picture: Path | str, target: Path | str, **fields: Any) -> Path:
        """The same as a picture with all of it drawn in. `what`: detect, faces, classify or ocr; `target`: a file, as
        JPEG where its name says so, else PNG."""
        target = Path(target)
        kind = "image/jpeg" if target.suffix.lower() in (".jpg", ".jpeg") else "image/png"
        response = await _asked(self._connection, f"/v1/vision/{part(what)}", [picture], fields, {"Accept": kind})
        return await write(target, response.content)


class Faces:
    """`Client.faces`: people whom the server knows, for admins."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self) -> dict[str, Any]:
        return dict(await self._connection.request("GET", "/v1/faces"))

    async def enrol(self, picture: Path | str | Sequence[Path | str], name: str, *, consent: str,
                    consent_by: str | None = None) -> dict[str, Any]:
        """Of one picture or several. `consent`: what they have agreed to, in words; `consent_by`: who has, where it was
        not they themselves."""
        pictures = [picture] if isinstance(picture, Path | str) else list(picture)
        response = await _asked(self._connection, "/v1/faces", pictures,
                                {"name": name, "consent": consent, "consent_by": consent_by})
        return dict(response.json())

    async def forget(self, person_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/faces/{part(person_id)}")


async def _sent(connection: Connection, path: str, picture: Path | str, fields: dict[str, Any]) -> dict[str, Any]:
    return dict((await _asked(connection, path, [picture], fields)).json())


async def _asked(connection: Connection, path: str, pictures: Sequence[Path | str], fields: dict[str, Any],
                 headers: dict[str, str] | None = None) -> httpx.Response:
    files = [("image", (Path(picture).name, await _read(Path(picture)))) for picture in pictures]
    told = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()
            if value is not None}
    return await connection.checked("POST", path, seconds=LOOKED, data=told, headers=headers, files=files)


async def _read(picture: Path) -> bytes:
    try:
        return await asyncio.to_thread(picture.read_bytes)
    except OSError as error:
        raise InvalidInput(f"{picture} can't be read: {error.strerror}") from error
