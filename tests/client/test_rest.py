"""The client's REST calls against a real server: answers, and the server's own errors."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from aimass_stream import errors
from aimass_stream.client import Client
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import HELLO, joined

pytestmark = pytest.mark.anyio

KEY = "a key for tests"


async def test_looking_at_and_changing_a_session() -> None:
    hello = HELLO | {"pipeline": [{"stage": "delay", "ms": 5}]}
    async with serve() as server, joined(server.ws_url, hello) as live, Client(server.url + "/") as client:
        (listed,) = await client.sessions()
        assert listed["id"] == live.hello["session_id"]
        changed = await client.update(listed["id"], stage=(0, {"ms": 9}))
        assert changed["pipeline"] == [{"stage": "delay", "ms": 9}]
        changed = await client.update(listed["id"], pipeline=[{"stage": "gray"}], sync="lips")
        assert await client.session(listed["id"]) == changed
        assert set(await client.stats(listed["id"])) == {"hops", "drops", "transport", "latency"}
        assert {"mirror", "delay"} <= {stage["name"] for stage in await client.stages()}
        assert (await client.config())["max_message"] == 1024 * 1024
        assert (await client.ready())["sessions"] == 1
        assert "aimass_sessions" in await client.metrics()
        await client.delete(listed["id"])
        assert await client.sessions() == []


@pytest.mark.parametrize(("call", "error", "field"), [
    (lambda client: client.session("s_none"), errors.NotFound, "session_id"),
    (lambda client: client.delete("../../etc"), errors.NotFound, None),
    (lambda client: client.update("s_none", sync="eyes"), errors.InvalidInput, "sync"),
    (lambda client: client.request("GET", "/no/such/thing"), errors.NotFound, None),
])
async def test_refusals_are_the_servers_own_errors(call: Any, error: type[errors.AimassError],
                                                   field: str | None) -> None:
    async with serve() as server, Client(server.url) as client:
        with pytest.raises(error) as refused:
            await call(client)
        assert refused.value.field == field
        assert refused.value.detail


async def test_a_wrong_pipeline_names_the_field() -> None:
    async with serve() as server, joined(server.ws_url) as live, Client(server.url) as client:
        with pytest.raises(errors.InvalidPipeline) as refused:
            await client.update(live.hello["session_id"], pipeline=[{"stage": "delay", "ms": "soon"}])
        assert refused.value.field == "pipeline[0].ms"


async def test_the_key_is_sent() -> None:
    async with serve(settings(api_key=KEY)) as server:
        async with Client(server.url, KEY) as client:
            assert await client.sessions() == []
        async with Client(server.url) as client:
            with pytest.raises(errors.Unauthorized):
                await client.sessions()


async def test_where_nobody_listens_it_says_how_to_start_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with Client(url) as client:
            with pytest.raises(errors.Unavailable, match="aimass serve"):
                await client.sessions()
            with pytest.raises(errors.Unavailable, match="aimass serve"):
                await client.stream(audio="opus").open()
