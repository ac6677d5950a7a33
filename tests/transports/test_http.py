"""Answers go out in one piece, in order, and none of it stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from aimass_stream.transports.http import LONG, Corked, Http

pytestmark = pytest.mark.anyio


class Wire:
    """Notes what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.pieces.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_a_write_waits_for_the_next_one_or_the_loops_next_turn() -> None:
    wire = Wire()
    corked = Corked(cast(asyncio.Transport, wire), asyncio.get_running_loop())
    corked.write(b"head")
    corked.write(b"body")
    assert wire.pieces == [b"headbody"]
    corked.write(b"a chunk")
    assert wire.pieces == [b"headbody"]
    await asyncio.sleep(0)
    assert wire.pieces == [b"headbody", b"a chunk"]
    corked.write(b"head")
    corked.write(bytes(LONG + 1))
    assert [len(piece) for piece in wire.pieces[2:]] == [4, LONG + 1]
    corked.write(b"")
    corked.write(b"the last")
    assert not corked.is_closing()
    corked.close()
    await asyncio.sleep(0)
    assert (wire.pieces[4:], wire.closed) == ([b"the last"], True)


async def chunks(request: Request) -> StreamingResponse:
    async def made() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"chunk {number};".encode()
            await asyncio.sleep(0)

    return StreamingResponse(made())


async def test_short_answers_long_ones_and_streams_come_whole() -> None:
    async def long(request: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * (int(request.query_params["size"])))

    app = Starlette(routes=[Route("/long", long, methods=["GET", "POST"]), Route("/chunks", chunks)])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", http=Http)
    server: Any = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for size in (0, 1, LONG, LONG + 1, 1 << 20):
                assert len((await http.get("/long", params={"size": size})).text) == size
                assert (await http.head("/long", params={"size": size})).headers["content-length"] == str(size)
            assert (await http.get("/chunks")).text == "chunk 0;chunk 1;chunk 2;"
            assert (await http.post("/long", params={"size": 3}, headers={"Connection": "close"})).text == "xxx"
    finally:
        await server.shutdown()
