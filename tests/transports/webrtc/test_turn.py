"""Media through a real relay: coturn."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from aioice import stun, turn
from aiortc import RTCIceServer

from aimass_stream.transports.webrtc.turn import credentials, link_headers
from tests.support.faults import Only, sockets
from tests.support.options import settings
from tests.support.relay import SECRET, SHARED, needed, relay
from tests.support.rtc import Camera, Client
from tests.support.server import serve

pytestmark = [pytest.mark.anyio, needed]


async def test_a_peer_that_can_only_reach_the_relay(tmp_path: Path) -> None:
    camera = await asyncio.to_thread(Camera, 160, 120)
    with relay(tmp_path) as port:
        options = settings(turn=[f"turn:127.0.0.1:{port}?transport=udp"], turn_username="u", turn_credential="p",
                           advertised_address="127.0.0.1")
        async with serve(options) as server, Client(server.url, camera=camera) as client:
            response = await client.http.post("/v1/webrtc/offer", json={"sdp": await client.offer()})
            answer = response.json()["sdp"]
            relayed = [line.split() for line in answer.splitlines() if " typ relay" in line]
            assert relayed
            for protocol in sockets(client.pc):  # nothing else is reachable from here
                protocol.transport = Only(protocol.transport, int(relayed[0][5]))
            await client.accept("".join(line for line in answer.splitlines(keepends=True) if " typ host" not in line))
            await client.more(pictures=10)
            servers = (await client.http.get("/v1/config")).json()["iceServers"]
            assert servers[0]["username"] == "u"


async def test_credentials_that_end_are_for_both_sides_and_the_relay_is_the_only_way(tmp_path: Path) -> None:
    camera = await asyncio.to_thread(Camera, 160, 120)
    with relay(tmp_path, *SHARED) as port:
        options = settings(turn=[f"turn:127.0.0.1:{port}?transport=udp"], turn_secret=SECRET, turn_seconds=1000,
                           advertised_address="127.0.0.1")
        async with serve(options) as server:
            async with Client(server.url) as asking:
                (named,) = (await asking.http.get("/v1/config")).json()["iceServers"]
                link = (await asking.http.options("/v1/whip")).headers["link"]
            end, _, user = named["username"].partition(":")
            assert 900 < int(end) - time.time() <= 1000
            assert user == "anyone"
            assert SECRET not in str(named) + link
            assert 'rel="ice-server"; username="' in link
            async with Client(server.url, camera=camera, servers=[RTCIceServer(**named)]) as client:
                offer = await client.offer()
                for protocol in sockets(client.pc):
                    if hasattr(protocol, "local_candidate") and protocol.local_candidate.type == "host":
                        protocol.transport = Only(protocol.transport, port)
                assert " typ relay" in offer
                relayed = [line for line in offer.splitlines() if "a=candidate" not in line or " typ relay" in line]
                response = await client.http.post("/v1/webrtc/offer", json={"sdp": "\r\n".join([*relayed, ""])})
                answer = response.json()["sdp"]
                assert " typ relay" in answer  # the server got in, too
                await client.accept(answer)
                await client.more(pictures=10)
                ice = client.pc.getTransceivers()[0].receiver.transport.transport._connection
                assert ice._nominated[1].local_candidate.type == "relay"


async def test_the_relay_refuses_what_has_ended_and_what_another_secret_made(tmp_path: Path) -> None:
    with relay(tmp_path, *SHARED) as port:
        for secret, at, fits in ((SECRET, None, True), (SECRET, time.time() - 1000, False),
                                 ("another secret", None, False)):
            name, password = credentials(secret, "ada", 900, at)
            asked = turn.create_turn_endpoint(asyncio.DatagramProtocol, server_addr=("127.0.0.1", port), username=name,
                                              password=password)
            if fits:
                transport, _ = await asked
                transport.close()
            else:
                with pytest.raises(stun.TransactionFailed, match="401"):
                    await asked


def test_what_a_client_is_told() -> None:
    # printf %s 1000000900:ada | openssl dgst -sha1 -hmac 'a shared secret' -binary | base64
    assert credentials("a shared secret", "ada", 900, 1_000_000_000) == (
        "1000000900:ada", "JpB9gk0XKDpyi/xDGQk8xqwj/wA=")
    links = link_headers(settings(stun=["stun:s:1"], turn=["turn:t:2"], turn_username='q"\\', turn_credential="c"))
    assert links == ['<stun:s:1>; rel="ice-server"', '<turn:t:2>; rel="ice-server"; username="q\\"\\\\"; '
                     'credential="c"; credential-type="password"']
