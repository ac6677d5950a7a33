"""What can happen between two peers, put in at a stock aiortc client's sockets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any


def sockets(peer: Any) -> Iterator[Any]:
    """The ICE sockets of an `RTCPeerConnection`."""
    transports = {each.receiver.transport.transport for each in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    for transport in transports:
        yield from transport._connection._protocols


class Mute:
    """A socket's transport that sends nothing any more: a process that was killed, seen from outside."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def sendto(self, data: bytes, address: object = None) -> None:
        return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Lossy:
    """Loses a share of the RTP packets, by a seed; everything else passes."""

    def __init__(self, transport: Any, loss: float, seed: int) -> None:
        self._transport = transport
        self._loss = loss
        self._random = random.Random(seed)
        self.lost = 0

    def sendto(self, data: bytes, address: object = None) -> None:
        if 127 < data[0] < 192 and not 192 <= data[1] <= 223 and self._random.random() < self._loss:
            self.lost += 1
            return
        self._transport.sendto(data, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Only:
    """Reaches one UDP port and no other."""

    def __init__(self, transport: Any, port: int) -> None:
        self._transport = transport
        self._port = port

    def sendto(self, data: bytes, address: tuple[Any, ...]) -> None:
        if address[1] == self._port:
            self._transport.sendto(data, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
