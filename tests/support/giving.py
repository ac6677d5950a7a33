"""A server on this machine that files are fetched from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def giving(answers: dict[str, str], body: bytes = b"a file") -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers each path with a status and headers; its URL, and what it was asked for."""
    asked: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        answer = answers[head.split()[1]].replace("PORT", str(port))
        writer.write(f"HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://localhost:{port}", asked
