"""One websocket as a session's source and sink, and as the line of its conversation."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from ...events import Event
from ...frames import Frame
from ...node import Node
from .conversation import Conversation

log = logging.getLogger(__name__)

ROOM = 256 * 1024  # characters that wait for the client, above which no more sound is made
MOST = 4 * 1024 * 1024  # characters, above which the connection ends
INBOX = 16 * 1024 * 1024  # characters of the client's events that wait: minutes of sound; then reading stops
STALL = 10.0  # s that one message may take to leave
CLOSE_TIMEOUT = 1.0  # s
TOO_SLOW = 1013

_GONE = (WebSocketDisconnect, WebSocketDisconnected)


class Connection:
    """Implements `ports.Source`, `ports.Sink` and `line.Line`. Give it its conversation before it runs."""

    conversation: Conversation

    def __init__(self, websocket: WebSocket, node: Node) -> None:
        self.closed = asyncio.Event()
        self._websocket, self._node = websocket, node
        self._texts: deque[str] = deque(maxlen=1_000_000)  # bounded by MOST long before
        self._waiting = 0  # characters in `_texts`
        self._news, self._space, self._ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._inbox: deque[str | bytes] = deque(maxlen=INBOX)  # bounded by its characters long before
        self._inbox_size = 0
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._own_close: tuple[int, str] | None = None

    # line.Line -------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        if self._own_close is not None:
            return
        self._texts.append(text)
        self._waiting += len(text)
        self._news.set()
        if self._waiting > MOST:
            self.end(TOO_SLOW, "too much waits for this client: it does not read")

    async def room(self) -> None:
        while self._waiting > ROOM and self._own_close is None:
            self._space.clear()
            await self._space.wait()

    def end(self, code: int, reason: str) -> None:
        """End this connection."""
        if self._own_close is None:
            log.info("a realtime connection ends: %s", reason)
            self._own_close = (code, reason)
            self._space.set()
            self._ended.set()

    # ports.Source ----------------------------------------------------------------------------------

    async def run(self, push: Callable[[Frame], None]) -> None:
        """Read until the client leaves or this connection is ended."""
        self.conversation.input.push = push
        tasks = [asyncio.create_task(work, name=name) for work, name in
                 ((self._read(), "read"), (self._handle(), "handle"), (self._write(), "write"),
                  (self._until_ended(), "end"))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is not None and not isinstance(error, _GONE):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _until_ended(self) -> None:
        await self._ended.wait()

    async def _read(self) -> None:
        """Apart from `_handle`: sound may come much faster than it is heard, and behind it the answers to our pings."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            event = text if text is not None else message.get("bytes") or b""
            while self._inbox_size > INBOX:
                self._taken.clear()
                await self._taken.wait()
            self._inbox.append(event)
            self._inbox_size += len(event)
            self._arrived.set()

    async def _handle(self) -> None:
        while True:
            while self._inbox:
                event = self._inbox.popleft()
                self._inbox_size -= len(event)
                self._taken.set()
                await self.conversation.handle(event)
                await asyncio.sleep(0)  # many may have come at once: others get their turn in between
            self._arrived.clear()
            await self._arrived.wait()

    async def _write(self) -> None:
        while True:
            while self._texts:
                await self._send_next(STALL)
                await asyncio.sleep(0)
            self._news.clear()
            await self._news.wait()

    async def _send_next(self, seconds: float) -> None:
        text = self._texts.popleft()
        try:
            async with asyncio.timeout(seconds):
                await self._websocket.send_text(text)
        except TimeoutError:
            self.end(TOO_SLOW, f"this client has read nothing for {seconds:g} s")
            return
        self._waiting -= len(text)
        self._space.set()

    def stats(self) -> dict[str, Any]:
        return {"waiting_characters": self._waiting, "unheard_characters": self._inbox_size}

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        self.conversation.frame(frame)

    def event(self, event: Event) -> None:
        self.conversation.event(event)

    def flush(self, track: str | None = None) -> None:
        """Replies don't come through the pipeline."""

    async def close(self, reason: str) -> None:
        """Send what is left to say, and the reason; give up on a client that does not take it."""
        if self.closed.is_set():
            return
        try:
            await self.conversation.close(reason)
            if self._websocket.client_state is WebSocketState.CONNECTED:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    code, text = self._own_close or (1001 if self._node.draining else 1000, reason)
                    while self._texts and self._own_close is None:
                        await self._websocket.send_text(self._texts.popleft())
                    await self._websocket.close(code, text.encode()[:120].decode(errors="ignore"))
        except (TimeoutError, RuntimeError, *_GONE):
            log.debug("a realtime client left without a farewell")
        finally:
            self.closed.set()
