"""A server with models that are asked quickly, and people who ask."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import tests.support.accounts  # noqa: F401
from tests.support.models import Doubler
from tests.support.offered import Pile
from tests.support.options import settings
from tests.support.server import Running, serve

KEY = "a key for tests"


@asynccontextmanager
async def asked(folder: Path, *models: Doubler, **options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    models = models or (Doubler(),)
    given: dict[str, Any] = {"api_key": KEY, "data_dir": folder}
    async with (serve(settings(**(given | options))) as server,
                httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http):
        for model in models:
            await server.state.offered.engine.add(model)
        server.state.offered.catalogue = Pile(*models)
        yield server, http


def double(number: float, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A line of JSONL."""
    return {"custom_id": name or f"line-{number}", "method": "POST", "url": "/predict/doubler",
            "body": {"input": [number]}} | more


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
