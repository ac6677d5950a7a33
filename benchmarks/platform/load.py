"""The load: a process of its own with so many callers, each on a connection that stays open, asking as fast as it is
answered, or at a set rate.

Raw sockets on uvloop, with as much of HTTP/1.1 as answers of a known length need. A request costs it 20 to 30 µs; how
much of a core it took is in each answer, so that a figure which is the load's own can be told from a server's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import uvloop

POINTS = 1001  # quantiles that are told of all latencies
PATIENCE = 60.0  # s for one answer


@dataclass(frozen=True)
class Order:
    host: str
    port: int
    path: str
    body: str  # base64
    headers: dict[str, str]
    callers: int
    seconds: float
    warm: float = 0.5  # s before it counts
    rate: float = 0.0  # requests/s of all callers together; 0: as fast as they are answered
    method: str = "POST"
    paths: list[str] = field(default_factory=list)  # in place of `path`, one after the other

    def requests(self) -> list[bytes]:
        body = base64.b64decode(self.body)
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        length = f"Content-Length: {len(body)}\r\n" if body or self.method == "POST" else ""
        rest = f" HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{lines}{length}\r\n".encode() + body
        return [f"{self.method} {path}".encode() + rest for path in self.paths or [self.path]]


class Tally:
    """What came of all callers' requests."""

    def __init__(self) -> None:
        self.latencies: list[float] = []  # s
        self.counting = False
        self.errors = 0
        self.first_error = ""

    def failed(self, what: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or what[:300]


class Connection(asyncio.Protocol):
    """One caller. `ended` is called when it has stopped or was cut off."""

    def __init__(self, requests: list[bytes], tally: Tally, place: int, gap: float,
                 ended: Callable[[], None]) -> None:
        """`gap` is the time in s from one request to the next, 0: none."""
        self._requests, self._tally, self._next, self._gap, self._ended = requests, tally, place, gap, ended
        self._buffer = bytearray()
        self._wanted = -1  # bytes of the whole answer
        self._sent = self._due = 0.0
        self._fine = False
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is of no class of asyncio's
        self._due = time.perf_counter()
        self._send()

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._wanted < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = length_of(bytes(self._buffer[:end]))
            if length is None:
                self._tally.failed(f"an answer without its length: {bytes(self._buffer[:200])!r}")
                self._transport.abort()
                return
            self._wanted = end + 4 + length
            self._fine = self._buffer[9:12] == b"200"
        if len(self._buffer) >= self._wanted:
            self._answered(time.perf_counter())

    def _answered(self, now: float) -> None:
        if not self._fine:
            self._tally.failed(bytes(self._buffer).decode(errors="replace"))
        elif self._tally.counting:
            self._tally.latencies.append(now - self._sent)
        self._buffer.clear()
        self._wanted = -1
        if self.stopping:
            self._transport.close()
        elif self._gap:
            self._due = max(self._due + self._gap, now)
            asyncio.get_running_loop().call_later(self._due - now, self._paced)
        else:
            self._send()

    def _paced(self) -> None:
        if self.stopping:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.stopping:
            self._tally.failed(f"the server closed the connection: {error}")
        self._ended()


def length_of(head: bytes) -> int | None:
    """Of the body in bytes, where the head says it."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None


async def run(order: Order) -> dict[str, Any]:
    """Raises `OSError` where nobody listens."""
    loop, tally, requests = asyncio.get_running_loop(), Tally(), order.requests()
    over = [loop.create_future() for _ in range(order.callers)]
    gap = order.callers / order.rate if order.rate else 0.0
    connections = []
    for place, future in enumerate(over):
        def ended(future: asyncio.Future[None] = future) -> None:
            if not future.done():
                future.set_result(None)

        made: Callable[[], Connection] = lambda place=place, ended=ended: Connection(  # type: ignore[misc] # noqa: E731
            requests, tally, place, gap, ended)
        _, connection = await loop.create_connection(made, order.host, order.port)
        connections.append(connection)
    await asyncio.sleep(order.warm)
    tally.counting = True
    begun, used = time.perf_counter(), time.process_time()
    await asyncio.wait(over, timeout=order.seconds)  # ends sooner where all were cut off
    tally.counting = False
    took, used = time.perf_counter() - begun, time.process_time() - used
    for connection in connections:
        connection.stopping = True
    await asyncio.wait(over, timeout=PATIENCE)
    latencies = np.array(tally.latencies)
    points = np.quantile(latencies, np.linspace(0, 1, POINTS)) if len(latencies) else latencies
    return {"count": len(latencies), "seconds": took, "cpu": used / took, "errors": tally.errors,
            "first_error": tally.first_error, "points": [round(float(point), 7) for point in points]}


async def main() -> None:
    reader = asyncio.StreamReader(limit=64 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    while line := await reader.readline():
        try:
            reply = await run(Order(**json.loads(line)))
        except Exception as error:  # told to whoever asked, who decides
            reply = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
