"""Models asked for an answer, in the short form (docs/api/inference.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..errors import NotFound
from .connection import Connection, part
from .records import Described, Prediction, read

LOADED = 120.0  # s that the first request may take, which has the model loaded


async def predict(connection: Connection, model: str, value: Any = None, *, picture: Path | str | None = None
                  ) -> Prediction:
    """Raises `InvalidInput` with the schema of what would fit as `input` in its data."""
    given: dict[str, Any] = {"json": {"input": value}}
    if picture is not None:
        given = {"files": {"input": (Path(picture).name, await asyncio.to_thread(_content, Path(picture)))}}
    response = await connection.checked("POST", _of(model), seconds=LOADED, **given)
    return Prediction(output=response.json()["output"], model=response.headers.get("x-model", model),
                      reason=response.headers.get("x-model-reason", ""))


async def describe(connection: Connection, model: str) -> Described:
    """What a model takes and answers."""
    return read(Described, await connection.request("GET", _of(model)))


def _of(model: str) -> str:
    return f"/predict/{part(model)}" if model else "/predict"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}") from error
