"""Coming back to a session after a cut connection: no event lost, none doubled."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from websockets.asyncio.client import connect

from aimass_stream import events
from aimass_stream.session import Session
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import HELLO, VP8, Socket, joined, refusal
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def again(session: Session, last_seq: int, **changes: Any) -> dict[str, Any]:
    return HELLO | {"resume": {"session_id": session.id, "token": session.resume_token, "last_seq": last_seq}} | changes


def cut(socket: Socket) -> None:
    """The line breaks: no close frame."""
    socket.websocket.transport.abort()


def happen(session: Session, count: int) -> None:
    for _ in range(count):
        session.event(events.AudioLevel(rms=-20, peak=-10))


async def test_events_of_the_meantime_come_first_and_each_once() -> None:
    async with serve() as server:
        async with joined(server.ws_url, HELLO | {"pipeline": [{"stage": "gray"}]}) as socket:
            session = server.node.get(socket.hello["session_id"])
            happen(session, 20)
            while not socket.seqs or socket.seqs[-1] < 15:
                await socket.receive()
            seen = socket.seqs[-1]
            cut(socket)
        await until(lambda: session.state == "waiting")
        happen(session, 30)
        async with joined(server.ws_url, again(session, seen)) as back:
            assert back.hello["resumed"]
            assert back.hello["missed_events"] == 0
            assert back.hello["session_id"] == session.id
            happen(session, 10)
            while not back.seqs or back.seqs[-1] < 61:
                await back.receive()
            assert back.seqs == list(range(seen + 1, back.seqs[-1] + 1))
            assert [stage.name for stage in session.spec.stages] == ["gray"]


async def test_many_cuts_at_random_moments() -> None:
    chance, seen = random.Random(7), 0
    async with serve() as server:
        async with joined(server.ws_url) as socket:
            session = server.node.get(socket.hello["session_id"])
            cut(socket)
        for _ in range(12):
            happen(session, chance.randrange(40))
            async with joined(server.ws_url, again(session, seen)) as back:
                happen(session, chance.randrange(40))
                for _ in range(chance.randrange(60)):
                    if back.seqs and back.seqs[-1] >= session.events_after(0)[-1].seq:
                        break
                    await back.receive()
                assert back.seqs == list(range(seen + 1, seen + 1 + len(back.seqs)))
                seen += len(back.seqs)
                cut(back)


async def test_a_log_that_does_not_reach_back_says_how_much_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass_stream.session.EVENT_LOG", 1500)  # more than a connection lets wait
    async with serve() as server:
        async with joined(server.ws_url) as socket:
            session = server.node.get(socket.hello["session_id"])
            cut(socket)
        await until(lambda: session.state == "waiting")
        for _ in range(400):
            happen(session, 4)
            await asyncio.sleep(0)
        async with joined(server.ws_url, again(session, 1)) as back:
            assert back.hello["missed_events"] == 100
            while not back.seqs or back.seqs[-1] < 1601:
                await back.receive()
            assert back.seqs[:1500] == list(range(102, 1602))


async def test_the_newer_connection_takes_over() -> None:
    async with serve() as server, joined(server.ws_url) as old:
        session = server.node.get(old.hello["session_id"])
        async with joined(server.ws_url, again(session, 1)) as new:
            await old.websocket.wait_closed()
            assert old.websocket.close_code == 4409
            await new.picture(4)
            assert (await new.piece(1)).number == 4
            assert session.state == "live"


async def test_media_begins_again_with_a_key_frame_in_whatever_format_is_asked_now() -> None:
    async with serve() as server:
        async with joined(server.ws_url) as socket:
            session = server.node.get(socket.hello["session_id"])
            await socket.picture(1)
            assert (await socket.piece(1)).number == 1
            cut(socket)
        async with joined(server.ws_url, again(session, 1, out={"video": {"codec": "vp8"}})) as back:
            await back.picture(2)
            piece = await back.piece(1)
            assert (piece.codec, piece.keyframe) == (VP8, True)


@pytest.mark.parametrize("wrong", [{"session_id": "s_unknown"}, {"session_id": "../../etc"}, {"token": "guessed"}])
async def test_a_session_or_token_that_is_none(wrong: dict[str, str]) -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        session = server.node.get(socket.hello["session_id"])
        hello = again(session, 0)
        data, code, _ = await refusal(server.ws_url, hello | {"resume": hello["resume"] | wrong})
        assert (code, data["field"]) == (4404, "resume")
        await socket.picture(1)
        assert (await socket.piece(1)).number == 1


async def test_one_who_does_not_come_back_in_time_finds_nothing() -> None:
    async with serve(settings(resume_seconds=0.15)) as server:
        async with joined(server.ws_url) as socket:
            session = server.node.get(socket.hello["session_id"])
            cut(socket)
        await until(lambda: not server.node.sessions())
        assert (await refusal(server.ws_url, again(session, 0)))[1] == 4404
        assert session.events_after(0)[-1].data == {"reason": "the peer did not come back", "by": "server"}


@pytest.mark.parametrize("first", ["cut", "still there"])
async def test_of_three_that_come_back_at_once_one_wins(first: str) -> None:
    async with serve() as server, joined(server.ws_url) as old:
        session = server.node.get(old.hello["session_id"])
        if first == "cut":
            cut(old)
        options: dict[str, Any] = {"compression": None, "proxy": None}
        rivals = [await connect(server.ws_url + "/v1/stream", **options) for _ in range(3)]
        await asyncio.gather(*(rival.send(json.dumps(again(session, 0))) for rival in rivals))
        await until(lambda: sum(rival.close_code == 4409 for rival in rivals) == 2)
        (winner,) = [Socket(rival, acknowledge=True) for rival in rivals if rival.close_code is None]
        await winner.picture(5)
        assert (await winner.piece(1)).number == 5
        assert winner.seqs == list(range(1, len(winner.seqs) + 1))
        assert (session.state, len(session.sinks)) == ("live", 1)
        await winner.websocket.close()
