"""A server for requests that come more than once, and a client with its key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  its import takes a while: not inside a test

import aimass_stream.hub.hub  # noqa: F401
from tests.support.options import settings
from tests.support.server import Running, serve

SERVERS = "a key for tests"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Running]:
    async with serve(settings(accounts=True, sign_up=True, api_key=SERVERS)) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {SERVERS}"}) as client:
        yield client
