"""Janus' protocol over a websocket, against the real Janus and against one that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_socket
from websockets.typing import Subprotocol

from aimass_stream.errors import Busy, Forbidden, InvalidInput, NotFound, Unavailable
from aimass_stream.rooms.address import Target, target_of
from aimass_stream.rooms.janus import signalling
from aimass_stream.rooms.janus.signalling import Janus, refusal
from aimass_stream.rooms.janus.videoroom import PLUGIN
from tests.support.janus import Running, meeting
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def test_who_comes_after_a_crash_finds_a_janus() -> None:
    async with meeting() as held:
        held.running.kill()
    async with meeting() as held:
        assert await held.guest("Ann")


async def test_requests_events_and_refusals() -> None:
    async with meeting() as held:
        told: list[dict[str, Any]] = []
        janus = await held.running.connect()
        handle = await janus.attach(PLUGIN, told.append)
        data, jsep = await handle.ask({"request": "join", "ptype": "publisher", "room": held.room, "display": "Ann"})
        assert data["videoroom"] == "joined"
        assert jsep is None
        await held.guest("Bob")
        await until(lambda: any("joining" in each["plugindata"]["data"] for each in told))
        assert told[-1]["plugindata"]["data"]["joining"]["display"] == "Bob"
        other = await janus.attach(PLUGIN, told.append)
        with pytest.raises(NotFound, match="No such room"):
            await other.ask({"request": "join", "ptype": "publisher", "room": 999})
        with pytest.raises(Unavailable, match="No such plugin"):
            await janus.attach("janus.plugin.nothing", told.append)
        await janus.close()
        assert janus.gone.is_set()
        assert handle.gone.is_set()
        with pytest.raises(Unavailable, match="gone"):
            await handle.ask({"request": "list"})
        await janus.close()
        assert "Ann" not in await held.guests[0].others()


async def test_of_a_process_that_is_killed_nothing_stays() -> None:
    async with meeting() as held:
        ann = await held.guest("Ann")
        janus = await held.running.connect()
        handle = await janus.attach(PLUGIN, lambda message: None)
        await handle.ask({"request": "join", "ptype": "publisher", "room": held.room, "display": "Ghost"})
        assert set(await ann.others()) == {"Ghost"}
        janus._socket.transport.abort()
        await ann.until(lambda: any("leaving" in told for told in ann.told))
        assert await ann.others() == {}
        await janus.close()
        assert "cut" in janus.reason


async def test_a_secret_is_asked_for() -> None:
    running = await asyncio.to_thread(Running, "open sesame")
    try:
        await (await running.connect()).close()
        with pytest.raises(Forbidden):
            await Janus.connect(await target_of(running.url, private=True))
    finally:
        await asyncio.to_thread(running.close)


async def test_nobody_answers() -> None:
    with pytest.raises(Unavailable, match="no Janus answers"):
        await Janus.connect(Target("ws://127.0.0.1:9", "127.0.0.1", 9))


@asynccontextmanager
async def pretending(answer: Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]) -> AsyncIterator[Target]:
    """A server that says of itself that it is Janus."""
    async def talk(connection: ServerConnection) -> None:
        async for text in connection:
            await answer(connection, json.loads(text))

    async with serve_socket(talk, "127.0.0.1", 0, subprotocols=[Subprotocol(signalling.PROTOCOL)]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Target(f"ws://127.0.0.1:{port}", "127.0.0.1", port)


async def test_what_is_no_janus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "ANSWER_SECONDS", 0.3)

    async def silent(connection: ServerConnection, message: dict[str, Any]) -> None:
        return None

    async def nonsense(connection: ServerConnection, message: dict[str, Any]) -> None:
        for text in ("{", "[]", '{"janus": 7, "transaction": []}', '{"janus": "event", "sender": {}}', "7"):
            await connection.send(text)
        await connection.send(json.dumps({"janus": "success", "transaction": message["transaction"], "data": []}))

    async def cut(connection: ServerConnection, message: dict[str, Any]) -> None:
        await connection.close()

    for behaviour, sentence in ((silent, "did not answer"), (nonsense, "without an id"), (cut, "gone")):
        async with pretending(behaviour) as target:
            with pytest.raises(Unavailable, match=sentence):
                await Janus.connect(target)


async def test_a_session_is_kept_alive_and_its_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "KEEPALIVE_SECONDS", 0.02)
    asked: list[str] = []

    async def janus_like(connection: ServerConnection, message: dict[str, Any]) -> None:
        asked.append(message["janus"])
        answer: dict[str, Any] = {"janus": "success", "data": {"id": 7}}
        if message["janus"] == "keepalive":
            answer = {"janus": "ack"}
            if asked.count("keepalive") > 2:
                answer = {"janus": "error", "error": {"code": 458, "reason": "No such session 7"}}
        await connection.send(json.dumps(answer | {"transaction": message["transaction"]}))

    told: list[dict[str, Any]] = []
    async with pretending(janus_like) as target:
        janus = await Janus.connect(target)
        handle = await janus.attach(PLUGIN, told.append)
        async with asyncio.timeout(30):
            await janus.gone.wait()
        await janus.close()
    assert asked[:2] == ["create", "attach"]
    assert asked.count("keepalive") == 3
    assert "No such session" in janus.reason
    assert handle.gone.is_set()
    assert told == [{"janus": "detached", "sender": 7}]


async def test_an_error_that_names_no_request_is_the_only_one_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "ANSWER_SECONDS", 0.5)

    async def janus_like(connection: ServerConnection, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"janus": "success", "data": {"id": 7}, "transaction": message["transaction"]}
        if message["janus"] == "attach":
            answer = {"janus": "error", "error": {"code": 454, "reason": "Invalid JSON object"}}
        await connection.send(json.dumps(answer))

    async with pretending(janus_like) as target:
        janus = await Janus.connect(target)
        with pytest.raises(Unavailable, match="Invalid JSON object"):
            await janus.attach(PLUGIN, lambda message: None)
        both = await asyncio.gather(*(janus.attach(PLUGIN, lambda message: None) for _ in range(2)),
                                    return_exceptions=True)
        assert ["did not answer" in str(each) for each in both] == [True, True]
        await janus.close()


def test_refusals_are_ours() -> None:
    assert isinstance(refusal(432, "full"), Busy)
    assert isinstance(refusal(433, "pin"), Forbidden)
    assert isinstance(refusal([], None), Unavailable)
    assert len(refusal(426, "x" * 10_000).detail) < 400


async def nowhere(host: str, port: int) -> list[str]:
    return []


async def inside(host: str, port: int) -> list[str]:
    return ["93.184.215.14", "10.0.0.7"]


async def outside(host: str, port: int) -> list[str]:
    return ["93.184.215.14"]


async def test_addresses() -> None:
    target = await target_of("wss://janus.example/ws", private=False, resolve=outside)
    assert (target.address, target.port) == ("93.184.215.14", 443)
    assert (await target_of("ws://janus.example:8188", private=True, resolve=inside)).port == 8188
    for url, private, resolve in (
            ("ws://janus.example", False, outside), ("wss://janus.example", False, inside),
            ("wss://janus.example", True, nowhere), ("http://janus.example", True, outside), ("", True, outside),
            ("wss://a:b@janus.example", True, outside), ("wss://janus.example:x", True, outside),
            ("wss://[", True, outside), ("wss://janus.example/\n", True, outside), ("wss:///x", True, outside)):
        with pytest.raises(InvalidInput) as refused:
            await target_of(url, private=private, resolve=resolve)
        assert refused.value.field == "url"
