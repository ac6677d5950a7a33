"""A small OpenAI-compatible chat server on a real socket that answers by script: for tests of what talks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

Answer: TypeAlias = AsyncIterator[dict[str, Any]]  # deltas as of a chat completion chunk
Script: TypeAlias = Callable[[dict[str, Any]], Answer]  # the request's body in


async def words(text: str, pause: float = 0.0) -> Answer:
    """The text word by word, `pause` s before each but the first."""
    for index, word in enumerate(text.split(" ")):
        if index and pause:
            await asyncio.sleep(pause)
        yield {"content": f" {word}" if index else word}


async def call(name: str, arguments: dict[str, Any], call_id: str = "call_1") -> Answer:
    """One call of a function, its arguments in two pieces."""
    text = json.dumps(arguments)
    yield {"tool_calls": [{"index": 0, "id": call_id, "type": "function",
                           "function": {"name": name, "arguments": text[:3]}}]}
    yield {"tool_calls": [{"index": 0, "function": {"arguments": text[3:]}}]}


class ChatServer:
    def __init__(self, script: Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self._script = script

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split()[0])
            body = json.loads(await reader.readexactly(length))
            self.requests.append(body)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            async for delta in self._script(body):
                await self._send(writer, json.dumps({"choices": [{"index": 0, "delta": delta}]}))
            await self._send(writer, "[DONE]")
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, data: str) -> None:
        writer.write(f"data: {data}\n\n".encode())
        await writer.drain()


@asynccontextmanager
async def chat_server(script: Script) -> AsyncIterator[ChatServer]:
    """`url` is what `Settings.brain` takes."""
    chat = ChatServer(script)
    server = await asyncio.start_server(chat.handle, "127.0.0.1", 0)
    chat.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield chat
    finally:
        server.close()
        await server.wait_closed()


