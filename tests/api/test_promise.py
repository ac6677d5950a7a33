"""A promised latency as clients ask for it and hear of it, over each transport."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from aimass_stream import clips, errors
from aimass_stream.client import Client, MediaSession
from aimass_stream.events import Event
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame
from tests.support.server import serve
from tests.support.session import CALLER, open_session
from tests.test_promise import registry

pytestmark = pytest.mark.anyio

PICTURE = Picture.from_bgr(clips.draw(0, 160, 120))


async def play(session: MediaSession) -> None:
    """Thirty pictures a second."""
    number = 0
    while True:
        await session.send(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0", picture=PICTURE))
        number += 1
        await asyncio.sleep(1 / 30)


async def heard(session: MediaSession, *wanted: str) -> list[Event]:
    """The first event of each of these types, in this order."""
    found: list[Event] = []
    async for event in session.events():
        if event.type == wanted[len(found)]:
            found.append(event)
            if len(found) == len(wanted):
                break
    return found


@pytest.mark.slow_loop(200)  # aiortc's own set-up, at both ends in one process
@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_it_is_asked_for_and_its_steps_are_told(transport: str) -> None:
    async with serve(registry=registry()) as server, Client(server.url) as client:
        pipeline = [{"stage": "burner"}]
        session: MediaSession = (
            client.stream(pipeline=pipeline, latency_ms=250, video="jpeg") if transport == "websocket"
            else client.rtc(pipeline=pipeline, latency_ms=250, audio=False))
        async with session, asyncio.timeout(40):
            playing = asyncio.create_task(play(session))
            try:
                created, stepped, stats = await heard(session, "session.created", "governor.stepped", "session.stats")
            finally:
                playing.cancel()
            assert created.data["latency_ms"] == 250
            assert (stepped.track, stepped.data["stage"], stepped.data["after"]) == ("video-0", "burner", "little")
            assert stepped.data["p95_ms"] > stepped.data["latency_ms"] == 250
            assert created.seq < stepped.seq < stats.seq
            [lowered] = [stage for stage in stats.data["latency"]["stages"] if stage["index"] == 0]
            assert (lowered["name"], lowered["says"]) == ("little", "hardly computes")
            assert (await client.session(session.id))["latency_ms"] == 250
            assert (await client.stats(session.id))["latency"]["latency_ms"] == 250
            lifted = await session.update(latency_ms=0)
            assert lifted.data["latency_ms"] is None
        metrics = (await client.metrics()).splitlines()
        assert any(line.startswith('aimass_governor_steps_total{direction="down",stage="burner"}') for line in metrics)
        assert "aimass_promised_sessions 0.0" in metrics


async def test_rest_promises_changes_and_refuses() -> None:
    async with serve(registry=registry()) as server, httpx.AsyncClient(base_url=server.url) as http:
        session, _ = await open_session(server.node, [{"stage": "dear"}])
        changed = await http.patch(f"/v1/sessions/{session.id}", json={"latency_ms": 80})
        assert changed.json()["latency_ms"] == 80
        assert (await http.patch(f"/v1/sessions/{session.id}", json={"sync": "lips"})).json()["latency_ms"] == 80
        wrong = await http.patch(f"/v1/sessions/{session.id}", json={"latency_ms": 5})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "latency_ms")
        assert "from 10 to 5000, or 0" in wrong.json()["detail"]
        assert (await http.get("/readyz")).json()["promised"] == 1

        other, _ = await open_session(server.node, [{"stage": "dear"}])
        greedy = {"pipeline": [{"stage": "dear"}, {"stage": "greedy"}]}
        refused = await http.patch(f"/v1/sessions/{other.id}", json=greedy)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
        problem = refused.json()
        assert (problem["field"], problem["without"]) == ("pipeline[1]", ["greedy"])
        assert problem["needs"] > problem["free"]
        assert 'aimass_admissions_total{result="promise"}' in (await http.get("/metrics")).text
        assert (await http.patch(f"/v1/sessions/{session.id}", json={"latency_ms": 0})).json()["latency_ms"] is None
        assert (await http.patch(f"/v1/sessions/{other.id}", json=greedy)).status_code == 200


async def test_a_hello_with_a_bound_that_makes_no_sense_and_one_that_would_break_anothers() -> None:
    async with serve(registry=registry()) as server, Client(server.url) as client:
        with pytest.raises(errors.InvalidInput, match="from 10 to 5000"):
            await client.stream(video="jpeg", latency_ms=7).open()
        first, _ = await open_session(server.node, [], latency_ms=100)
        with pytest.raises(errors.Busy, match="without greedy") as refused:
            await client.stream(video="jpeg", pipeline=[{"stage": "greedy"}]).open()
        assert refused.value.retry_after == 5
        assert first.latency_ms == 100
        assert CALLER.name == first.caller.name
        assert [session.id for session in server.node.sessions()] == [first.id]
