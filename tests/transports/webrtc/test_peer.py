"""Peers over real sockets: a stock aiortc client against the real server."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from tests.support.faults import Lossy, Mute, sockets
from tests.support.options import settings
from tests.support.rtc import Camera, Client, Microphone, percentile
from tests.support.server import Running, serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def camera(**options: Any) -> Camera:
    return await asyncio.to_thread(Camera, 320, 240, **options)


async def test_picture_and_sound_come_back_at_once() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), microphone=Microphone()) as client:
        await client.connect()
        await client.until(lambda: len(client.pictures) > 60 and len(client.audio_delays()) > 3)
        assert all(seen.number is not None for seen in client.pictures)
        numbers = [seen.number or 0 for seen in client.pictures[1:40]]
        assert numbers == sorted(numbers)
        # waiting for the next picture (33 ms) or for packets of sound (80 ms) would delay every one of them;
        # a busy machine delays some
        assert percentile(client.video_delays(), 0.1) < 0.03
        assert percentile(client.audio_delays(), 0.1) < 0.05
        await client.until(lambda: client.event("session.stats"))
        stats = server.node.get(client.session_id).stats()
        assert {"jitter", "decode", "encode", "send"} <= set(stats.hops["video-0"])
        assert stats.transport["in"]["video-0"]["codec"] == "VP8"
        assert stats.transport["connected_ms"] > 0


async def test_the_pipeline_is_applied_and_changed_by_the_data_channel() -> None:
    async with serve() as server, Client(server.url, camera=await camera()) as client:
        await client.connect([{"stage": "rotate", "degrees": 90}])
        await client.until(lambda: client.pictures)
        assert (client.pictures[-1].width, client.pictures[-1].height) == (240, 320)
        await client.until(lambda: client.event("session.created"))
        client.send({"type": "session.update", "id": "one", "pipeline": []})
        await client.until(lambda: client.event("session.updated"))
        await client.until(lambda: client.pictures[-1].width == 320)
        for wrong in ("no json", "[1]", b"\x00\x01", '{"type":"session.update","pipeline":[{"stage":"nonsense"}]}',
                      " " * 70_000):
            client.events.clear()
            client.send(wrong)
            await client.until(lambda: client.event("error"))
        await client.more(pictures=10)


async def test_unequal_m_sections() -> None:
    """Two pictures and no sound in, two pictures and one sound out."""
    async with serve() as server, Client(server.url, camera=await camera(), receive=("audio", "video")) as client:
        second = await camera()
        client.pc.addTransceiver(second, direction="sendonly")
        await client.connect()
        await client.until(lambda: len(client.pictures) > 20)
        directions = [(each.kind, each.currentDirection) for each in client.pc.getTransceivers()]
        assert directions == [("video", "sendonly"), ("video", "sendrecv"), ("audio", "recvonly"),
                              ("video", "recvonly")]
        session = server.node.get(client.session_id)
        await until(lambda: {"video-0", "video-1"} <= set(session.meter.hops))
        second.stop()


async def test_a_way_back_in_an_m_section_of_its_own() -> None:
    async with serve() as server, Client(server.url, receive=("video",)) as client:
        source = await camera()
        client.pc.addTransceiver(source, direction="sendonly")
        await client.connect()
        await client.until(lambda: len(client.pictures) > 20)
        assert all(seen.number is not None for seen in client.pictures)
        source.stop()


async def test_h264_when_the_client_has_nothing_else() -> None:
    async with serve() as server, Client(server.url, camera=await camera()) as client:
        sdp = await client.offer()
        kept = [line for line in sdp.split("\r\n") if "VP8" not in line]
        response = await client.http.post("/v1/webrtc/offer", json={"sdp": "\r\n".join(kept), "type": "offer"})
        assert response.status_code == 201, response.text
        await client.accept(response.json()["sdp"])
        session = server.node.get(response.json()["session_id"])
        await until(lambda: session.stats().hops.get("video-0", {}).get("encode"))
        assert session.stats().transport["in"]["video-0"]["codec"] == "H264"


async def test_another_peer_goes_on_with_the_session() -> None:
    async with serve() as server:
        async with Client(server.url, camera=await camera()) as first:
            await first.connect([{"stage": "rotate", "degrees": 90}])
            await first.until(lambda: len(first.pictures) > 10 and first.event("session.created"))
            last_seq = first.events[-1]["seq"]
            async with Client(server.url, camera=await camera()) as second:
                with pytest.raises(httpx.HTTPStatusError) as refused:
                    await second.connect(session_id=first.session_id, resume_token="wrong")
                assert refused.value.response.status_code == 403
            async with Client(server.url, camera=await camera()) as second:
                await second.connect(session_id=first.session_id, resume_token=first.resume_token, last_seq=last_seq)
                await second.until(lambda: len(second.pictures) > 10 and second.events)
                assert second.pictures[-1].width == 240  # the pipeline runs on
                assert second.session_id == first.session_id
                assert second.events[0]["seq"] == last_seq + 1
                await until(lambda: first.pc.connectionState == "closed")  # the first peer was let go
        assert len(server.node.sessions()) <= 1


async def leave(server: Running, **options: Any) -> Client:
    client = Client(server.url, camera=await camera(), microphone=Microphone(), **options)
    await client.connect()
    await client.until(lambda: len(client.pictures) > 5 and client.sounds)
    return client


async def test_a_killed_client_is_noticed_by_its_silence() -> None:
    async with serve(settings(peer_silence=3, resume_seconds=0)) as server:
        client = await leave(server)
        for protocol in sockets(client.pc):
            protocol.transport = Mute(protocol.transport)  # no goodbye, no close_notify: as a killed process
        await until(lambda: not server.node.sessions())
        await client.close()


async def test_a_client_that_closes_is_noticed_at_once_and_waited_for() -> None:
    async with serve(settings(resume_seconds=1)) as server:
        client = await leave(server)
        session = server.node.get(client.session_id)
        await client.close()
        await until(lambda: session.state == "waiting")
        await until(lambda: not server.node.sessions())


async def test_deleting_a_session_tells_its_peer() -> None:
    async with serve() as server:
        client = await leave(server)
        response = await client.http.delete(f"/v1/sessions/{client.session_id}")
        assert response.status_code == 204
        await client.until(lambda: client.event("session.ended"))
        await until(lambda: client.pc.connectionState == "closed")
        await client.close()


async def test_lost_packets_are_asked_for_again_and_pictures_go_on() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), microphone=Microphone()) as client:
        await client.connect()
        await client.more(pictures=5)
        wires = []
        for protocol in sockets(client.pc):
            protocol.transport = wire = Lossy(protocol.transport, 0.08, seed=4)
            wires.append(wire)
        begun = len(client.pictures)
        await client.more(pictures=100)
        assert sum(wire.lost for wire in wires) > 10
        times = [seen.at for seen in client.pictures[begun:]]
        frozen = sum(gap - 1 / 30 for gap in (b - a for a, b in itertools.pairwise(times)) if gap > 0.12)
        assert frozen / (times[-1] - times[0]) < 0.5  # 0.02 on a quiet machine
        stats = server.node.get(client.session_id).stats().transport["in"]["video-0"]
        assert stats["nacks"] > 5
        assert stats["lost"] > 5
        numbers = [seen.number for seen in client.pictures[begun:] if seen.number is not None]
        assert len(set(numbers)) > 50  # most of them were repaired
