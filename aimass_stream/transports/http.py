"""uvicorn's HTTP protocol, whose answers go out in one piece.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends each at once: two system calls,
two packets, and a client that is woken twice, which for a short answer is a good part of all its cost.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONG = 64 * 1024  # bytes that are not copied to be sent together


class Corked:
    """A transport that keeps a write for the one that follows it, or for the loop's next turn."""

    __slots__ = ("_held", "_loop", "plain")

    def __init__(self, plain: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.plain, self._loop = plain, loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            if len(data) > LONG:
                self.plain.write(held)
                self.plain.write(data)
            else:
                self.plain.write(held + data)
        elif len(data) > LONG:
            self.plain.write(data)
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self.plain.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self.plain.write(held)


class Http(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = Corked(transport, self.loop)  # type: ignore[assignment]

    def handle_websocket_upgrade(self) -> None:
        """What speaks from now on has the transport itself; nothing is held while no answer was begun."""
        corked: Any = self.transport
        self.transport = corked.plain
        super().handle_websocket_upgrade()
