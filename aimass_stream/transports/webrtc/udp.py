"""Where media sockets are bound, and which address other machines are told."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from typing import Any

from ...errors import Unavailable

RECEIVE_BUFFER = 512 * 1024  # bytes
WILDCARD = "0.0.0.0"


class Ports:
    """UDP ports of one server: any free ones, or those of a range, each used once."""

    def __init__(self, span: tuple[int, int] | None, advertised_address: str | None) -> None:
        self._span = span
        self._advertised = advertised_address
        self._used: set[int] = set()
        self._next = span[0] if span is not None else 0

    def addresses(self, found: list[str]) -> list[str]:
        """Those to bind. One for all behind an advertised address; loopback on a machine without a network."""
        if self._advertised is not None:
            return [WILDCARD]
        return found or ["127.0.0.1"]

    def advertised(self, address: str) -> str:
        return self._advertised if self._advertised is not None else address

    async def bind(self, address: str, protocol: Callable[[], Any]) -> tuple[int, Any]:
        """The port and the protocol of a new socket. Raises `OSError`, or `Unavailable` when the range is used up."""
        loop = asyncio.get_running_loop()
        if self._span is None:
            transport, made = await loop.create_datagram_endpoint(protocol, local_addr=(address, 0))
            return _prepared(transport), made
        for port in self._free():
            self._used.add(port)  # before the await: two peers may be looking
            try:
                transport, made = await loop.create_datagram_endpoint(protocol, local_addr=(address, port))
            except OSError as error:
                self._used.discard(port)
                if error.errno != errno.EADDRINUSE:  # another program has it
                    raise
                continue
            return _prepared(transport), made
        raise Unavailable(f"all UDP ports from {self._span[0]} to {self._span[1]} are in use", retry_after=5)

    def _free(self) -> Iterable[int]:
        assert self._span is not None
        first, last = self._span
        count, start = last - first + 1, self._next - first
        for step in range(count):
            port = first + (start + step) % count
            if port not in self._used:
                self._next = port + 1
                yield port

    def release(self, ports: Iterable[int]) -> None:
        self._used.difference_update(ports)


def _prepared(transport: asyncio.BaseTransport) -> int:
    """Makes room for a large key frame that comes in one burst; answers the port."""
    bound = transport.get_extra_info("socket")
    if bound is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return int(transport.get_extra_info("sockname")[1])
