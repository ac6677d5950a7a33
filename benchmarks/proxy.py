"""A bad network between client and server: a seeded UDP proxy that also carries their signalling.

The client posts its offer here instead of to the server. The proxy puts its own address in place of every
candidate, both ways, so that every datagram (ICE, DTLS, SRTP, SRTCP) goes through it. The n-th sound packet, the
n-th picture packet and the n-th of all others after `impair` always meet the same fate in each direction,
whatever else a server sends meanwhile.

    {"do": "impair", "loss": 0.05, "delay": 0.1, "jitter": 0.03, "seed": 1}
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from .client import post

Direction = Literal["up", "down"]  # to the server, to the client
CANDIDATE = re.compile(r"^a=candidate:(\S+ \d+ [uU][dD][pP] \d+) (\S+) (\d+) typ host", re.MULTILINE)
OTHER = -1  # datagrams that are no RTP
IN_FLIGHT = 8192  # datagrams waiting for their time


@dataclass(frozen=True)
class Impairment:
    """One-way figures, the same both ways: each datagram is delayed by delay ± jitter, uniformly."""

    loss: float = 0.0  # share of datagrams
    delay: float = 0.0  # s
    jitter: float = 0.0  # s; datagrams overtake each other
    seed: int = 1


class Fate:
    """What becomes of each datagram of one direction and sort, in the order they come.

    Of every 100, exactly the stated share is lost, at random places: the runs are short, and left to chance
    alone one server's 5 % would be another's 4 or 6.
    """

    BLOCK = 100

    def __init__(self, impairment: Impairment, direction: Direction, sort: int = OTHER) -> None:
        self._of = impairment
        self._random = random.Random(f"{impairment.seed}/{direction}/{sort}")
        self._lost: list[bool] = []

    def next(self) -> float | None:
        """Seconds to hold the next datagram; None: it is lost."""
        if not self._lost:
            count = round(self.BLOCK * self._of.loss)
            self._lost = [place < count for place in range(self.BLOCK)]
            self._random.shuffle(self._lost)
        place = self._random.uniform(-1, 1)
        return None if self._lost.pop() else max(0.0, self._of.delay + self._of.jitter * place)


def sort_of(data: bytes) -> int:
    """The payload type of an RTP packet, which SRTP leaves readable (RFC 3711, 3.1); OTHER for everything else."""
    if len(data) < 12 or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F < 96:  # RTCP: RFC 5761, 4
        return OTHER
    return data[1] & 0x7F


class _Side(asyncio.DatagramProtocol):
    """One socket: what comes in here goes out of the other side."""

    def __init__(self, wire: Wire, direction: Direction) -> None:
        self.wire = wire
        self.direction = direction
        self.transport: Any = None
        self.peer: tuple[str, int] | None = None  # where to send to

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.wire.carry(self.direction, data)

    def error_received(self, exc: Exception) -> None:
        """A closed socket at the other end: nothing to do, its session is over."""


class Wire:
    """The two sockets between one client and one server."""

    def __init__(self) -> None:
        self.counts = {"up": 0, "down": 0, "up_lost": 0, "down_lost": 0}
        self._client = _Side(self, "up")
        self._server = _Side(self, "down")
        self._in_flight = 0
        self.impair(Impairment())

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for side in (self._client, self._server):
            await loop.create_datagram_endpoint(lambda side=side: side, local_addr=("0.0.0.0", 0))  # type: ignore[misc]

    def impair(self, impairment: Impairment) -> None:
        """From the next datagram on."""
        self._impairment = impairment
        self._fates: dict[tuple[Direction, int], Fate] = {}  # at most 2 x 129

    def carry(self, direction: Direction, data: bytes) -> None:
        self.counts[direction] += 1
        sort = sort_of(data)
        fate = self._fates.get((direction, sort))
        if fate is None:
            fate = self._fates[direction, sort] = Fate(self._impairment, direction, sort)
        hold = fate.next()
        if hold is None or self._in_flight >= IN_FLIGHT:
            self.counts[f"{direction}_lost"] += 1
        elif hold == 0:
            self._send(direction, data)
        else:
            self._in_flight += 1
            asyncio.get_running_loop().call_later(hold, self._arrive, direction, data)

    def _arrive(self, direction: Direction, data: bytes) -> None:
        self._in_flight -= 1
        self._send(direction, data)

    def _send(self, direction: Direction, data: bytes) -> None:
        side = self._server if direction == "up" else self._client
        if side.peer is not None and not side.transport.is_closing():
            side.transport.sendto(data, side.peer)

    def offer(self, sdp: str) -> str:
        """The client's offer as the server gets it."""
        self._client.peer, rewritten = _replace(sdp, self._server.port)
        return rewritten

    def answer(self, sdp: str) -> str:
        """The server's answer as the client gets it."""
        self._server.peer, rewritten = _replace(sdp, self._client.port)
        return rewritten

    def close(self) -> None:
        self._client.transport.close()
        self._server.transport.close()


def _replace(sdp: str, port: int) -> tuple[tuple[str, int], str]:
    """The first IPv4 host candidate, and the description with only that one, at `port`, in each section."""
    found = [match for match in CANDIDATE.finditer(sdp) if ":" not in match[2]]
    if not found:
        raise ValueError("a description without an IPv4 UDP host candidate")
    address = (found[0][2], int(found[0][3]))
    line = f"a=candidate:{found[0][1]} {address[0]} {port} typ host"
    lines: list[str] = []
    done = False
    for one in sdp.splitlines():
        if one.startswith("m="):
            done = False
        if one.startswith("a=candidate:"):
            if not done:
                lines.append(line)
            done = True
            continue
        lines.append(one)
    return address, "\r\n".join(lines) + "\r\n"


class Proxy:
    """HTTP on one side for signalling, `impair` and `counts` for whoever drives the measurement."""

    def __init__(self, server: str) -> None:
        self.server = server  # base URL
        self.wires: list[Wire] = []
        self.impairment = Impairment()
        self._http: asyncio.Server | None = None

    async def open(self, port: int = 0) -> int:
        self._http = await asyncio.start_server(self._connection, "127.0.0.1", port)
        return int(self._http.sockets[0].getsockname()[1])

    def impair(self, impairment: Impairment) -> None:
        self.impairment = impairment
        for wire in self.wires:
            wire.impair(impairment)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(re.search(r"(?i)content-length: *(\d+)", head)[1])  # type: ignore[index]
            body = json.loads(await reader.readexactly(length))
            wire = Wire()
            await wire.open()
            wire.impair(self.impairment)
            self.wires.append(wire)
            body["sdp"] = wire.offer(body["sdp"])
            answer = await post(self.server + urlsplit(head.split()[1]).path, body)
            answer["sdp"] = wire.answer(answer["sdp"])
            status, reply = "201 Created", json.dumps(answer).encode()
        except (ValueError, ConnectionError, asyncio.IncompleteReadError) as error:
            status, reply = "502 Bad Gateway", str(error).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply)
        await writer.drain()
        writer.close()

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        if self._http is not None:
            self._http.close()


async def main(server: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    proxy = Proxy(server)
    print(json.dumps({"port": await proxy.open()}), flush=True)
    while line := await reader.readline():
        order: dict[str, Any] = json.loads(line)
        what = order.pop("do")
        if what == "impair":
            proxy.impair(Impairment(**order))
            print(json.dumps(asdict(proxy.impairment)), flush=True)
        elif what == "counts":
            print(json.dumps([wire.counts for wire in proxy.wires]), flush=True)
    proxy.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    asyncio.run(main(sys.argv[1]))
