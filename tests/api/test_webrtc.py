"""POST /v1/webrtc/offer: what it answers, and what it answers to what is wrong."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.support.options import settings
from tests.support.rtc import Camera, Client, Microphone
from tests.support.server import serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def camera() -> Camera:
    return await asyncio.to_thread(Camera, 320, 240)


async def refused(http: httpx.AsyncClient, body: Any, status: int) -> dict[str, Any]:
    if isinstance(body, bytes):
        response = await http.post("/v1/webrtc/offer", content=body, headers={"Content-Type": "application/json"})
    else:
        response = await http.post("/v1/webrtc/offer", json=body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    return problem


async def test_bad_offers_are_problems_that_name_the_field_and_leave_nothing() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), channel=False) as client:
        good = await client.offer()
        http = client.http
        assert (await refused(http, {"sdp": "hello"}, 422))["field"] == "sdp"
        assert (await refused(http, {"sdp": 7}, 422))["field"] == "sdp"
        assert (await refused(http, {}, 422))["field"] == "sdp"
        assert (await refused(http, {"sdp": "v=0" + "x" * 70_000}, 413))["field"] == "sdp"
        assert (await refused(http, {"sdp": good, "type": "answer"}, 422))["field"] == "type"
        assert (await refused(http, {"sdp": good, "sync": "eyes"}, 422))["field"] == "sync"
        assert (await refused(http, {"sdp": good, "pipeline": "mirror"}, 422))["field"] == "pipeline"
        for pipeline, field in (([{"stage": "nope"}], "pipeline[0].stage"),
                                ([{"stage": "delay", "ms": -1}], "pipeline[0].ms")):
            assert (await refused(http, {"sdp": good, "pipeline": pipeline}, 422))["field"] == field
        unknown = {"sdp": good, "session_id": "s_none", "resume_token": "x"}
        assert (await refused(http, unknown, 404))["field"] == "session_id"
        assert (await refused(http, {"sdp": good, "resume_token": "x"}, 422))["field"] == "session_id"
        await refused(http, b"{", 422)
        await refused(http, b"\xff\xfe", 422)
        await refused(http, b" " * 1_100_000, 413)
        assert not server.node.sessions()


async def test_an_offer_of_nothing_but_data_is_refused() -> None:
    async with serve() as server, Client(server.url) as client:
        problem = await refused(client.http, {"sdp": await client.offer()}, 422)
        assert problem["field"] == "sdp"
        assert "audio or video" in problem["detail"]


async def test_ice_servers_of_the_client_are_ignored() -> None:
    async with serve() as server, Client(server.url, camera=await camera()) as client:
        await client.connect(iceServers=[{"urls": "stun:192.0.2.1:1"}])
        await client.until(lambda: client.pictures)
        assert "192.0.2.1" not in client.pc.remoteDescription.sdp


async def test_the_first_picture_comes_soon() -> None:
    async with serve() as server:
        times = []
        for _ in range(3):
            async with Client(server.url, camera=await camera(), microphone=Microphone()) as client:
                begun = time.monotonic()
                await client.connect()
                await client.more(pictures=1)
                times.append(time.monotonic() - begun)
        # 80 to 100 ms on a quiet machine, the client's own set-up and codecs included; tests share theirs
        assert min(times) < 2


async def test_full_and_keyed_servers_say_so() -> None:
    async with serve(settings(max_sessions=1, api_key="a-long-secret")) as server:
        key = {"Authorization": "Bearer a-long-secret"}
        async with Client(server.url, camera=await camera()) as nobody:
            await refused(nobody.http, {"sdp": await nobody.offer()}, 401)
        async with (Client(server.url, camera=await camera(), headers=key) as first,
                    Client(server.url, camera=await camera(), headers=key) as second):
            await first.connect()
            response = await second.http.post("/v1/webrtc/offer", json={"sdp": await second.offer()})
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) > 0


async def test_media_sockets_stay_in_the_port_range_and_carry_the_advertised_address() -> None:
    options = settings(udp_ports=(46_300, 46_303), advertised_address="127.0.0.1")
    async with serve(options) as server:
        for _ in range(6):  # more than there are ports: they are given back
            async with Client(server.url, camera=await camera()) as client:
                await client.connect()
                lines = client.pc.remoteDescription.sdp.splitlines()
                (candidate,) = {line for line in lines if line.startswith("a=candidate")}
                host, port = candidate.split()[4:6]
                assert host == "127.0.0.1"
                assert 46_300 <= int(port) <= 46_303
                await client.http.delete(f"/v1/sessions/{client.session_id}")


async def test_the_answer_offers_repair_of_sound_and_a_rate_to_start_pictures_with() -> None:
    async with (serve(settings(start_bitrate=800_000)) as server,
                Client(server.url, receive=("audio", "video")) as client):
        offer = {"sdp": await client.offer(), "type": "offer"}
        answer = (await client.http.post("/v1/webrtc/offer", json=offer)).json()["sdp"]
        assert "useinbandfec=1" in answer
        assert answer.count("x-google-start-bitrate=800") == 3  # VP8 and two profiles of H264


async def test_who_leaves_before_the_answer_leaves_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = asyncio.Event()
    answering = RTCPeerConnection.createAnswer

    async def late(peer: RTCPeerConnection) -> RTCSessionDescription:
        await gone.wait()
        return await answering(peer)

    async with (serve(settings(resume_seconds=600)) as server,
                Client(server.url, camera=await camera()) as client):
        offer = {"sdp": await client.offer()}
        monkeypatch.setattr(RTCPeerConnection, "createAnswer", late)
        posting = asyncio.create_task(client.http.post("/v1/webrtc/offer", json=offer))
        await until(lambda: bool(server.node.sessions()))
        posting.cancel()
        await until(lambda: not server.server.server_state.connections)
        gone.set()
        await until(lambda: not server.node.sessions())
