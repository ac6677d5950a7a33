"""uvicorn's websocket protocol, made to let go of clients that don't.

`transport.close()` first waits until everything written has been sent. A client that stopped reading never lets
that happen, and its socket would stay open for as long as it likes: after the closing handshake's time the
connection is cut instead. Named to uvicorn as `ws=Protocol`.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CLOSE_TIMEOUT = 2.0  # s for the peer's close frame, and for what was written to leave


class Protocol(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.close_timeout = CLOSE_TIMEOUT

    def connection_made(self, transport: BaseTransport) -> None:
        # cast twice: uvloop's transport is no asyncio.Transport, and ours only behaves like one
        super().connection_made(cast(BaseTransport, _Cutting(cast(asyncio.Transport, transport), self.loop)))


class _Cutting:
    """A transport whose `close` turns into `abort` when what was written does not leave in time."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
