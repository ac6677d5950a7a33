"""`/v1/stream`: who may come in, the hello, and how a connection ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aimass_stream import wire
from aimass_stream.client import Client
from aimass_stream.transports.websocket import endpoint
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import HELLO, joined, refusal
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

KEY = "a key for tests"


async def test_the_hello_is_answered_with_everything_a_client_needs() -> None:
    hello = HELLO | {"pipeline": [{"stage": "mirror"}], "out": {"video": {"codec": "vp8", "bitrate": 300_000}}}
    async with serve() as server, joined(server.ws_url, hello) as socket:
        (session,) = server.node.sessions()
        assert socket.hello == {
            "type": "hello", "version": 1, "session_id": session.id, "resume_token": session.resume_token,
            "resumed": False, "missed_events": 0, "resume_seconds": 30.0,
            "in": {"audio": {"codec": "pcm_s16le", "rate": 16_000, "channels": 1}, "video": {"codec": "jpeg"}},
            "out": {"video": {"codec": "vp8", "bitrate": 300_000}},
            "tracks": [{"type": "track", "number": 1, "track": "video-0", "kind": "video"}],
        }
        created = await socket.event("session.created")
        assert (created["seq"], created["data"]["pipeline"]) == (1, [{"stage": "mirror"}])


@pytest.mark.parametrize(("first", "code", "field"), [
    (b"\x01\x00\x00\x00", 4400, None),
    ("not JSON", 4400, None),
    ("[]", 4400, "type"),
    ({"type": "ack", "received": 0}, 4400, "type"),
    (HELLO | {"version": 7}, 4400, "version"),
    (HELLO | {"in": {"video": {"codec": "av1"}}}, 4400, "in.video.codec"),
    (HELLO | {"pipeline": [{"stage": "no such"}]}, 4422, "pipeline[0].stage"),
    (HELLO | {"pipeline": [{"stage": "delay", "ms": -1}]}, 4422, "pipeline[0].ms"),
    ({"type": "hello", "resume": {"session_id": "not a session", "token": "t"}}, 4404, "resume"),
])
async def test_a_wrong_first_message_names_what_is_wrong(first: Any, code: int, field: str | None) -> None:
    async with serve() as server:
        data, closed, reason = await refusal(server.ws_url, first)
        assert (closed, data["status"], data["field"]) == (code, code - 4000, field)
        assert reason
        assert data["detail"].startswith(reason)
        assert server.node.sessions() == []


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "HELLO_TIMEOUT", 0.1)
    async with serve() as server, connect(server.ws_url + "/v1/stream", proxy=None) as websocket:
        assert json.loads(await websocket.recv())["data"]["status"] == 408
        await websocket.wait_closed()
        assert websocket.close_code == 4408


async def test_a_second_hello_is_refused_and_changes_nothing() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        await socket.say(HELLO)
        error = await socket.event("error")
        assert error["data"]["status"] == 409
        await socket.sound(0, value=500)
        assert (await socket.piece(0)).payload[:2] == b"\xf4\x01"
        assert len(server.node.sessions()) == 1


@pytest.mark.parametrize(("origin", "allowed"), [
    ("http://evil.example", False),
    ("https://app.example.evil.example", False),
    ("https://app.example", True),
    ("http://app.example", False),
    ("null", False),
    ("own", True),
    (None, True),
])
async def test_only_named_origins_may_come(origin: str | None, allowed: bool) -> None:
    async with serve(settings(origins=["https://app.example"])) as server:
        headers = {} if origin is None else {"Origin": server.url if origin == "own" else origin}
        if allowed:
            async with joined(server.ws_url, additional_headers=headers) as socket:
                assert socket.hello["session_id"]
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.ws_url + "/v1/stream", proxy=None, additional_headers=headers)
            assert refused.value.response.status_code == 403
            assert json.loads(refused.value.response.body)["title"] == "Forbidden"


async def test_a_foreign_name_of_this_machine_is_refused() -> None:
    """DNS rebinding: a page whose name suddenly means 127.0.0.1 has our address, but not our Host."""
    async with serve() as server:
        host = server.ws_url.removeprefix("ws://")
        rebound = host.replace("127.0.0.1", "rebound.example")
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{rebound}/v1/stream", proxy=None, host="127.0.0.1", port=int(host.split(":")[1]),
                          additional_headers={"Origin": f"http://{rebound}"})
        assert refused.value.response.status_code == 403


async def test_the_key_by_header_by_subprotocol_and_in_the_hello() -> None:
    async with serve(settings(api_key=KEY)) as server:
        async with joined(server.ws_url, additional_headers={"Authorization": f"Bearer {KEY}"}):
            pass
        protocols: Any = [wire.PROTOCOL, wire.key_protocol(KEY)]
        async with joined(server.ws_url, subprotocols=protocols) as socket:
            assert socket.websocket.subprotocol == wire.PROTOCOL  # and not the one with the key
        async with joined(server.ws_url, HELLO | {"token": KEY}):
            pass
        for options in ({"additional_headers": {"Authorization": "Bearer wrong key"}},
                        {"subprotocols": [wire.PROTOCOL, wire.key_protocol("wrong key")]}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.ws_url + "/v1/stream", proxy=None, **options)
            assert refused.value.response.status_code == 401
        for hello in (HELLO, HELLO | {"token": "wrong key"}):
            assert (await refusal(server.ws_url, hello))[1] == 4401


async def test_a_full_server_says_when_to_come_again() -> None:
    async with serve(settings(max_sessions=1)) as server, joined(server.ws_url):
        data, code, _ = await refusal(server.ws_url, HELLO)
        assert code == 4429
        assert data["retry_after"] >= 1


async def test_a_message_over_the_limit_ends_the_connection() -> None:
    async with serve() as server, joined(server.ws_url) as socket, joined(server.ws_url) as neighbour:
        await socket.send(16, 1, 0, bytes(1024 * 1024))
        with pytest.raises(ConnectionClosed):
            await socket.event("never")
        assert socket.websocket.close_code == 1009
        await neighbour.picture(3)
        assert (await neighbour.piece(1)).number == 3


async def test_a_session_that_is_ended_closes_its_socket_with_the_reason() -> None:
    async with serve() as server, joined(server.ws_url) as socket, Client(server.url) as client:
        await client.delete(socket.hello["session_id"])
        ended = await socket.event("session.ended")
        await socket.websocket.wait_closed()
        assert socket.websocket.close_code == 1000
        assert socket.websocket.close_reason == ended["data"]["reason"] == "ended by request"
        assert ended["data"]["by"] == "request"


async def test_the_client_ends_its_session() -> None:
    async with serve() as server:
        async with joined(server.ws_url) as socket:
            await socket.say({"type": "session.close"})
            await socket.event("session.ended")
            await socket.websocket.wait_closed()
        await until(lambda: not server.node.sessions())
        async with joined(server.ws_url):
            (session,) = server.node.sessions()
        await until(lambda: session.state == "closed")  # closing with 1000 ends it too


async def test_a_stopping_server_says_so() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        drained = asyncio.create_task(server.node.drain(0.1))
        assert (await socket.event("session.closing"))["data"]["seconds"] == 0.1
        await socket.event("session.ended")
        await socket.websocket.wait_closed()
        assert socket.websocket.close_code == 1001
        await drained


async def test_nothing_is_left_of_closed_connections() -> None:
    async with serve() as server:
        before = len(asyncio.all_tasks())
        for number in range(20):
            async with joined(server.ws_url) as socket:
                await socket.picture(number)
                assert (await socket.piece(1)).number == number
        await until(lambda: not server.node.sessions() and len(asyncio.all_tasks()) <= before)
