"""The data channel to a client that does not read, and channels nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aimass_stream.events import FrameResult, StageFailed
from aimass_stream.session import Session
from aimass_stream.transports.webrtc.channel import CROWDED, HOPELESS
from tests.support.faults import Mute, sockets
from tests.support.options import settings
from tests.support.rtc import Camera, Client
from tests.support.server import serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def camera() -> Camera:
    return await asyncio.to_thread(Camera, 160, 120)


async def test_a_client_that_does_not_read_loses_results_first_and_then_the_channel() -> None:
    async with serve(settings(peer_silence=30)) as server, Client(server.url, camera=await camera()) as client:
        await client.connect()
        await client.until(lambda: client.event("session.created"))
        session = server.node.get(client.session_id)
        for protocol in sockets(client.pc):
            protocol.transport = Mute(protocol.transport)  # acknowledges nothing any more
        result = FrameResult(notes={"detect": "x" * 10_000})
        for _ in range(CROWDED // 10_000 + 12):
            session.event(result, track="video-0", pts=1.0)
        assert session.stats().transport["events_dropped"] >= 8
        failed = StageFailed(index=0, stage="x", detail="y" * 10_000, failures=1)
        for _ in range(HOPELESS // 10_000 + 12):  # these are not left out
            session.event(failed)
        assert session.state == "live"  # the pictures go on
        dropped = session.stats().transport["events_dropped"]
        session.event(result)  # the channel is gone, and nothing is sent any more
        assert session.stats().transport["events_dropped"] == dropped


RESULT = FrameResult(notes={"hands": "x" * 400})


@asynccontextmanager
async def coming_back() -> AsyncIterator[tuple[Session, Client, int]]:
    """A session, its client, which has just come back after half a megabyte of results, and the first seq it missed."""
    async with serve(settings(resume_seconds=30)) as server:
        async with Client(server.url, camera=await camera()) as client:
            await client.connect()
            await client.until(lambda: client.event("session.created"))
        session = server.node.get(client.session_id)
        await until(lambda: session.state == "waiting")
        seen = client.events[-1]["seq"]
        for _ in range(1200):
            session.event(RESULT, track="video-0", pts=1.0)
        async with Client(server.url, camera=await camera()) as back:
            await back.connect(session_id=session.id, resume_token=session.resume_token, last_seq=seen)
            yield session, back, seen + 1


async def test_who_comes_back_gets_all_results_of_the_meantime_in_order() -> None:
    async with coming_back() as (session, back, first):
        await back.until(lambda: len(back.events) > 100)
        for _ in range(200):  # they wait behind the others
            session.event(RESULT, track="video-0", pts=1.0)
        last = session.events_after(0)[-1].seq
        await back.until(lambda: back.events[-1]["seq"] >= last)
        assert [event["seq"] for event in back.events] == list(range(first, back.events[-1]["seq"] + 1))
        assert session.stats().transport["events_dropped"] == 0


async def test_who_is_coming_back_as_the_session_ends_gets_no_event_twice() -> None:
    async with coming_back() as (session, back, first):
        await back.until(lambda: len(back.events) > 10)
        await session.close("over")  # the last ones may not arrive any more
        assert [event["seq"] for event in back.events] == list(range(first, back.events[-1]["seq"] + 1))


async def test_other_channels_are_closed_and_the_first_of_ours_counts() -> None:
    async with serve() as server, Client(server.url, camera=await camera()) as client:
        other = client.pc.createDataChannel("chat")
        await client.connect()
        await client.until(lambda: client.event("session.created"))
        await until(lambda: other.readyState == "closed")
        second = client.pc.createDataChannel("aimass")
        await until(lambda: second.readyState == "closed")
        client.events.clear()
        client.send({"type": "session.update", "id": "still here", "pipeline": []})
        await client.until(lambda: client.event("session.updated"))


async def test_events_before_the_channel_opens_are_kept() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), channel=False) as client:
        client.pc.createDataChannel("unrelated")  # so that SCTP is negotiated
        await client.connect()
        session = server.node.get(client.session_id)
        await until(lambda: session.meter.hops.get("video-0"))
        client.data = client.pc.createDataChannel("aimass")
        client.data.on("message", client._on_message)
        await client.until(lambda: client.event("session.created"))
        assert client.events[0]["seq"] == 1


async def test_words_go_into_the_pipeline_and_what_is_none_is_named() -> None:
    async with serve() as server, Client(server.url, camera=await camera()) as client:
        await client.connect([{"stage": "tts"}])
        await client.until(lambda: client.event("session.created"))
        client.send({"type": "text", "text": "Nine boats left."})
        await client.until(lambda: client.event("speech.spoken"))
        client.send({"type": "text", "text": "Elsewhere.", "track": "text-7"})
        await client.until(lambda: client.event("error"))
        error = client.event("error")
        assert error is not None
        assert error["data"]["field"] == "track"
