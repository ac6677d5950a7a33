"""A way to the server that can be cut: all connections over TCP go through it, at an address that stays.

Media by WebRTC goes beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

CHUNK = 1 << 16
Done = TypeVar("Done")


class Relay:
    """`url` is where pages find the server that listens at `port`, which may change."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._there: set[asyncio.StreamWriter] = set()

    @contextlib.contextmanager
    def running(self) -> Iterator[Relay]:
        """In a thread of its own."""
        thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        thread.start()
        listening = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._do(self._end(listening))
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
            self._loop.close()

    def cut(self) -> None:
        """Every connection that is there ends, both ways, without a word of farewell."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, Done]) -> Done:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        for writer in list(self._there):
            writer.transport.abort()

    async def _end(self, listening: asyncio.Server) -> None:
        listening.close()
        await self._cut()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._there.add(writer)
        try:
            with contextlib.suppress(OSError):
                back, onward = await asyncio.open_connection("127.0.0.1", self.port)
                self._there.add(onward)
                try:
                    await asyncio.gather(pump(reader, onward), pump(back, writer))
                finally:
                    self._there.discard(onward)
        finally:
            self._there.discard(writer)
            writer.transport.abort()  # where nobody listens, too


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side ends; then the other one does."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(CHUNK):
            writer.write(piece)
            await writer.drain()
    writer.close()
