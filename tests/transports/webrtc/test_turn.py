"""Media through a real relay: coturn."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.faults import Only, sockets
from tests.support.options import settings
from tests.support.rtc import Camera, Client
from tests.support.server import serve

pytestmark = [pytest.mark.anyio,
              pytest.mark.skipif(shutil.which("turnserver") is None, reason="Debian's coturn is not installed")]


@contextmanager
def relay(folder: Path) -> Iterator[int]:
    """coturn on a free port of 127.0.0.1, with user u and password p."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
         "--lt-cred-mech", "--user=u:p", "--realm=test", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers",
         "--log-file=stdout", "--simple-log", f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'db'}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


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
