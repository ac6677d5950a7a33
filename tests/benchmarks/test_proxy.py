"""The bad network is the same one every time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.proxy import OTHER, Fate, Impairment, Wire, sort_of

pytestmark = pytest.mark.anyio

BAD = Impairment(loss=0.2, delay=0.02, jitter=0.01, seed=7)


def fates(impairment: Impairment, direction: Any, count: int = 400) -> list[float | None]:
    fate = Fate(impairment, direction)
    return [fate.next() for _ in range(count)]


def test_the_same_seed_gives_the_same_fates() -> None:
    assert fates(BAD, "up") == fates(BAD, "up")
    assert fates(BAD, "up") != fates(BAD, "down")
    assert fates(BAD, "up") != fates(Impairment(0.2, 0.02, 0.01, seed=8), "up")


def test_loss_and_delay_are_what_was_asked_for() -> None:
    held = fates(BAD, "up", 4000)
    arrived = [one for one in held if one is not None]
    assert len(arrived) == 3200
    assert all(block.count(None) == 20 for block in (held[start : start + 100] for start in range(0, 4000, 100)))
    assert min(arrived) >= 0.01
    assert max(arrived) <= 0.03
    assert fates(Impairment(), "up", 50) == [0.0] * 50


def test_what_is_lost_does_not_depend_on_the_delay() -> None:
    lost = [one is None for one in fates(BAD, "down")]
    assert [one is None for one in fates(Impairment(0.2, seed=7), "down")] == lost


def test_sorts_have_fates_of_their_own() -> None:
    assert sort_of(bytes([0x80, 96]) + bytes(10)) == 96
    assert sort_of(bytes([0x80, 0x80 | 97]) + bytes(10)) == 97  # with its marker
    assert sort_of(bytes([0x80, 200]) + bytes(10)) == OTHER  # RTCP
    assert sort_of(bytes([0, 1]) + bytes(18)) == OTHER  # STUN
    sound, picture = Fate(BAD, "up", 96), Fate(BAD, "up", 97)
    assert [sound.next() for _ in range(50)] != [picture.next() for _ in range(50)]


class Endpoint(asyncio.DatagramProtocol):
    def __init__(self, expected: int) -> None:
        self.got: list[bytes] = []
        self.expected = expected
        self.full = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.got.append(data)
        if len(self.got) >= self.expected:
            self.full.set()


def description(port: int) -> str:
    return ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"
            f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
            f"a=candidate:2 1 udp 2130706430 127.0.0.2 {port} typ host\r\na=end-of-candidates\r\n"
            f"m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n")


def port_of(sdp: str) -> int:
    lines = [line for line in sdp.splitlines() if line.startswith("a=candidate")]
    assert len(lines) == 2, "one candidate a section"
    assert lines[0] == lines[1]
    return int(lines[0].split()[5])


async def carried(impairment: Impairment, count: int, expected: int) -> list[bytes]:
    """What arrives at the server of `count` datagrams a client sends through a wire."""
    loop = asyncio.get_running_loop()
    server, client = Endpoint(expected), Endpoint(1)
    for end in (server, client):
        await loop.create_datagram_endpoint(lambda end=end: end, local_addr=("127.0.0.1", 0))  # type: ignore[misc]
    wire = Wire()
    await wire.open()
    to_client = port_of(wire.offer(description(client.transport.get_extra_info("sockname")[1])))
    to_server = port_of(wire.answer(description(server.transport.get_extra_info("sockname")[1])))
    wire.impair(impairment)
    for number in range(count):
        client.transport.sendto(bytes([number]), ("127.0.0.1", to_server))
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await server.full.wait()
        while wire.counts["up"] < count:  # noqa: ASYNC110  a counter, and nothing that tells of it
            await asyncio.sleep(0.001)
        wire.impair(Impairment())
        server.transport.sendto(b"back", ("127.0.0.1", to_client))
        await client.full.wait()
    assert client.got == [b"back"]
    wire.close()
    server.transport.close()
    client.transport.close()
    return server.got


async def test_datagrams_go_through_and_the_same_ones_are_lost() -> None:
    impairment = Impairment(loss=0.3, seed=3)
    arrive = [bytes([n]) for n, fate in enumerate(fates(impairment, "up", 100)) if fate is not None]
    assert await carried(impairment, 100, len(arrive)) == arrive


async def test_jitter_lets_datagrams_overtake_each_other() -> None:
    got = await carried(Impairment(delay=0.03, jitter=0.03), 60, 60)
    assert sorted(got) == [bytes([n]) for n in range(60)]
    assert got != sorted(got)
