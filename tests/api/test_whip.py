"""WHIP (RFC 9725) and WHEP, by a client written from them."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from tests.support.options import settings
from tests.support.rtc import Camera, Microphone
from tests.support.server import serve
from tests.support.waiting import until
from tests.support.whip_client import FRAGMENT, SDP, WhipClient

pytestmark = pytest.mark.anyio


async def camera() -> Camera:
    return await asyncio.to_thread(Camera, 320, 240)


async def test_publish_watch_by_three_and_leave() -> None:
    query = f"pipeline={quote(json.dumps([{'stage': 'rotate', 'degrees': 90}]))}&latency_ms=5000"
    async with serve() as server, WhipClient(f"{server.url}/v1/whip?{query}", camera=await camera(),
                                             microphone=Microphone()) as publisher:
        await publisher.start()
        session_id = publisher.resource.rsplit("/", 1)[1]
        session = server.node.get(session_id)
        assert session.latency_ms == 5000
        await until(lambda: session.meter.hops.get("video-0", {}).get("decode"))
        watching = [WhipClient(f"{server.url}/v1/whep/{session_id}", receive=("audio", "video")) for _ in range(3)]
        for viewer in watching:
            await viewer.start()
        for viewer in watching:
            await viewer.peer.more(pictures=10, sounds=10)
            assert (viewer.peer.pictures[-1].width, viewer.peer.pictures[-1].height) == (240, 320)
        # one encode for all three: each picture was encoded once
        out = server.server.config.app.state.webrtc.outputs.of(session).stats()  # type: ignore[union-attr]
        assert out["video-0/VP8"]["viewers"] == 3
        gone = await watching[0].stop()
        assert gone.status_code == 200
        assert (await watching[0].stop()).status_code == 404
        await watching[1].peer.more(pictures=10)
        assert (await publisher.stop()).status_code == 200
        await until(lambda: not server.node.sessions())
        await until(lambda: all(viewer.peer.pc.connectionState == "closed" for viewer in watching))
        for viewer in watching:
            await viewer.peer.close()


async def test_a_viewer_gets_a_key_frame_at_once_and_costs_no_second_encode() -> None:
    async with serve() as server, WhipClient(f"{server.url}/v1/whip", camera=await camera()) as publisher:
        await publisher.start()
        session_id = publisher.resource.rsplit("/", 1)[1]
        session = server.node.get(session_id)
        await until(lambda: session.meter.hops.get("video-0", {}).get("decode"))
        for _ in range(3):
            async with WhipClient(f"{server.url}/v1/whep/{session_id}", receive=("video",)) as viewer:
                await viewer.start()
                await viewer.peer.more(pictures=1)
                assert (await viewer.stop()).status_code == 200
        webrtc = server.server.config.app.state.webrtc  # type: ignore[union-attr]
        await until(lambda: not webrtc.viewers)


async def test_trickle_needs_the_right_etag_and_cannot_restart() -> None:
    async with serve() as server, WhipClient(f"{server.url}/v1/whip", camera=await camera()) as publisher:
        await publisher.start(with_candidates=False)
        fragment = publisher.fragment()
        assert (await publisher.patch(fragment, etag=None)).status_code == 428
        assert (await publisher.patch(fragment, etag='"other"')).status_code == 412
        assert (await publisher.patch(fragment, content_type="text/plain")).status_code == 415
        restart = await publisher.patch(publisher.fragment(ufrag="zzzz"), etag="*")
        assert restart.status_code == 422
        assert "restart" in restart.json()["detail"]
        assert (await publisher.patch("nonsense")).status_code == 422
        trickled = await publisher.patch(fragment)
        assert (trickled.status_code, trickled.content) == (204, b"")
        session = server.node.get(publisher.resource.rsplit("/", 1)[1])
        await until(lambda: session.meter.hops.get("video-0", {}).get("decode"))


async def test_headers_methods_and_content_types() -> None:
    options = settings(stun=["stun:stun.invalid:3478"], turn=["turn:turn.invalid:3478?transport=udp"],
                       turn_username="u", turn_credential="secret-credential")
    async with serve(options) as server, WhipClient(f"{server.url}/v1/whip") as client:
        described = await client.http.options(client.endpoint)
        assert described.status_code in (200, 204)
        assert described.headers["accept-post"] == SDP
        assert (await client.http.options("/v1/whep/s_x")).headers["accept-post"] == SDP
        for method in ("GET", "HEAD", "PUT"):
            assert (await client.http.request(method, client.endpoint)).status_code == 405
        assert (await client.post("v=0", "text/plain")).status_code == 415
        wrong = await client.post("v=0\r\n")
        assert wrong.status_code == 422
        assert wrong.headers["content-type"] == "application/problem+json"
        assert wrong.json()["field"] == "sdp"
        assert (await client.post("v=0" + "x" * 70_000)).status_code == 413
        assert (await client.http.delete("/v1/whip/s_nothing")).status_code == 404
        assert (await client.http.patch("/v1/whip/s_nothing", content="", headers={"Content-Type": FRAGMENT})
                ).status_code == 404
        assert (await client.http.post("/v1/whep/s_nothing", content="v=0", headers={"Content-Type": SDP})
                ).status_code == 404


async def test_ice_servers_are_announced_and_the_key_is_asked_for() -> None:
    async with serve(settings(api_key="a-long-secret", stun=["stun:127.0.0.1:9"])) as server:
        async with WhipClient(f"{server.url}/v1/whip", camera=await camera()) as nobody:
            refused = await nobody.post(await nobody.peer.offer())
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            for path in ("/v1/whip", "/v1/whep/s_x"):  # as a browser's preflight, and with a wrong key
                for key in ({}, {"authorization": "Bearer wrong-secret"}):
                    described = await nobody.http.options(path, headers=key)
                    assert described.status_code == 204
                    assert "link" not in described.headers
        async with WhipClient(f"{server.url}/v1/whip", camera=await camera(), token="a-long-secret") as publisher:
            await publisher.start()
            assert publisher.created is not None
            assert publisher.created.headers["link"] == '<stun:127.0.0.1:9>; rel="ice-server"'
            for path in ("/v1/whip", "/v1/whep/s_x"):  # for clients that want it before they make an offer
                described = await publisher.http.options(path)
                assert described.headers["link"] == publisher.created.headers["link"]
            assert publisher.etag.startswith('"')


async def test_a_bad_pipeline_is_refused_with_its_field() -> None:
    async with serve() as server, WhipClient(f"{server.url}/v1/whip?pipeline=%5B%7B%22stage%22%3A%22nope%22%7D%5D",
                                             camera=await camera()) as publisher:
        refused = await publisher.post(await publisher.peer.offer())
        assert refused.status_code == 422
        assert refused.json()["field"] == "pipeline[0].stage"
        assert not server.node.sessions()
