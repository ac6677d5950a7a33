"""The one HTTP shape all peers answer: POST /offer {"sdp", "type", "handler_ms"} -> {"sdp", "type"}.

Standard library only, so that it costs every peer the same and adds nothing to its environment. Each
`server.py` hands `serve` a coroutine that turns an offer into an answer; `handler_ms` is how long the
session's handler takes for every video frame (0: hand it on at once).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass
class Offer:
    sdp: str
    type: str
    handler_ms: float


@dataclass
class Options:
    port: int
    width: int
    height: int
    modality: str


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On uvloop where the peer's own requirements bring it, as uvicorn would choose."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())


Answer = Callable[[Offer], Awaitable[dict]]


def options() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--modality", choices=["audio-video", "video"], default="audio-video")
    return Options(**vars(parser.parse_args()))


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    line = (await reader.readline()).decode()
    length = 0
    while (header := await reader.readline()).strip():
        name, _, value = header.decode().partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return line, await reader.readexactly(length)


async def serve(port: int, answer: Answer) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, body = "200 OK", b"{}"
        try:
            line, payload = await _request(reader)
            if line.startswith("POST /offer"):
                sent = json.loads(payload)
                offer = Offer(sent["sdp"], sent["type"], float(sent.get("handler_ms", 0)))
                body = json.dumps(await answer(offer)).encode()
        except Exception:  # of whatever library the peer is made of: the one who measures is told, and it goes on
            status, body = "500 Internal Server Error", traceback.format_exc().encode()
            sys.stderr.write(body.decode())
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(connection, "127.0.0.1", port) as server:
        await server.serve_forever()


