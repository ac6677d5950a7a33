"""Where media sockets are bound."""

from __future__ import annotations

import asyncio
import socket

import pytest

from aimass_stream.errors import Unavailable
from aimass_stream.transports.webrtc.udp import Ports

pytestmark = pytest.mark.anyio


class Socket(asyncio.DatagramProtocol):
    """One that can be closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def test_a_range_is_used_up_and_given_back() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    ports = Ports((port, port + 2), None)  # another program has the first
    bound = dict([await ports.bind("127.0.0.1", Socket) for _ in range(2)])
    assert set(bound) == {port + 1, port + 2}
    with pytest.raises(Unavailable, match="in use"):
        await ports.bind("127.0.0.1", Socket)
    taken.close()
    again, last = await ports.bind("127.0.0.1", Socket)
    assert again == port
    ports.release([port + 1])
    with pytest.raises(Unavailable):  # the socket itself is still open
        await ports.bind("127.0.0.1", Socket)
    for each in (*bound.values(), last):
        each.transport.close()


async def test_addresses() -> None:
    assert Ports(None, None).addresses(["192.0.2.1", "2001:db8::1"]) == ["192.0.2.1", "2001:db8::1"]
    assert Ports(None, None).addresses([]) == ["127.0.0.1"]  # a machine without a network
    behind = Ports(None, "203.0.113.5")
    assert behind.addresses(["10.0.0.1", "10.0.0.2"]) == ["0.0.0.0"]
    assert behind.advertised("0.0.0.0") == "203.0.113.5"
    number, bound = await Ports(None, None).bind("127.0.0.1", Socket)
    assert number > 0
    bound.transport.close()
