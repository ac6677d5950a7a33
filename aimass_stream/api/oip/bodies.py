"""Bodies of requests and answers: read no further than allowed, and turned into tensors without holding the loop.

JSON is read and written on the loop where that takes a millisecond. What is longer goes to a child process: Python's
parser lets no other thread run meanwhile, and a small text can become very many objects.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from ... import sandbox
from ...errors import AimassError, Busy, InvalidMessage, TooLarge
from ...inference import Batch, Model
from ..headers import first_of
from . import messages
from .messages import Asked
from .offered import Served

JSON_HERE = 64 * 1024  # bytes of JSON that are read on the loop
VALUES_HERE = 64 * 1024  # numbers that are written as JSON on the loop
COPY_HERE = 1 << 20  # bytes of binary data that are copied on the loop
MOST_JSON = 16 << 20  # bytes
MOST_VALUES = 4 << 20  # numbers in a JSON answer
AT_ONCE, WAITING = 2, 16  # children, and requests that wait for one
LIMITS = sandbox.Limits(seconds=60, cpu_seconds=40, memory_bytes=2 << 30, file_bytes=1 << 20, processes=8,
                        output_bytes=128 << 20)
STALLED = 30.0  # s without a byte after which a request is given up
HEADER = b"inference-header-content-length"


class Disconnected(InvalidMessage):
    """There is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Body:
    data: bytes
    header: int | None  # bytes of JSON before the binary data; None: all is JSON

    @property
    def json(self) -> int:
        return len(self.data) if self.header is None else self.header


async def body_of(scope: Scope, receive: Receive, most: int) -> Body:
    """Raises `TooLarge`, `InvalidMessage` or `Disconnected`."""
    headers, header = first_of(scope), None
    if HEADER in headers:
        header = _length(headers[HEADER])
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:18]) > most:
        raise _too_large(most)
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise InvalidMessage("send the body as it is: compressed ones are not read here")
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected("the client left")
    data = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [data], len(data)
        while message.get("more_body"):
            message = await _received(receive)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise _too_large(most)
        data = b"".join(parts)
    if len(data) > most:
        raise _too_large(most)
    body = Body(data, header)
    if body.json > len(data):
        raise InvalidMessage(f"Inference-Header-Content-Length is {header}, and the body has {len(data)} bytes")
    if body.json > MOST_JSON:
        raise TooLarge(f"a request has at most {MOST_JSON} bytes of JSON")
    return body


async def _received(receive: Receive) -> Any:
    try:
        async with asyncio.timeout(STALLED):
            message = await receive()
    except TimeoutError:
        raise InvalidMessage(f"nothing of the request came for {STALLED:g} s") from None
    if message["type"] == "http.disconnect":
        raise Disconnected("the client left")
    return message


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 12:
        raise InvalidMessage("Inference-Header-Content-Length must be a number of bytes")
    return int(value)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"a request has at most {most} bytes")


class Desk:
    """Where long JSON is read and written: a few children at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._inside = 0

    async def read(self, body: Body, model: Model) -> Asked:
        """Raises `InvalidMessage` or `InvalidInput`, as `messages.read`."""
        if body.header == 0:
            return messages.raw(model, memoryview(body.data))
        if body.json > JSON_HERE:
            packed = await self.child(messages.as_binary, body.data, body.header)
            body = Body(packed[8:], int.from_bytes(packed[:8], "little"))
        if len(body.data) > COPY_HERE:
            return await asyncio.to_thread(messages.read, memoryview(body.data), body.header)
        return messages.read(memoryview(body.data), body.header)

    async def written(self, served: Served, asked: Asked, results: Batch,
                      order: tuple[str, ...]) -> tuple[bytes, list[bytes]]:
        """Raises as `messages.written`, and `TooLarge`."""
        if sum([values.size for values in results.values()]) <= VALUES_HERE:
            return messages.written(served.name, served.version, asked, results, order, served.reason)
        wanted = asked.outputs or dict.fromkeys(order, asked.binary)
        here = sum(results[name].size for name, binary in wanted.items() if not binary and name in results)
        if here > MOST_VALUES:
            raise TooLarge(f"the answer has {here} numbers, too many for JSON: ask for binary data", field="outputs")
        if here <= VALUES_HERE:
            return messages.written(served.name, served.version, asked, results, order, served.reason)
        packed = await self.child(messages.answer, served.name, served.version, messages.without_inputs(asked),
                                   results, order, served.reason)
        size = int.from_bytes(packed[:8], "little")
        return packed[8:8 + size], [packed[8 + size:]] if len(packed) > 8 + size else []

    async def child(self, function: Any, *arguments: Any) -> bytes:
        """What this function answers, in a child process. Raises `Busy`, and as `sandbox.call`."""
        if self._inside >= AT_ONCE + WAITING:
            raise Busy("much long JSON is being read already: send tensors as binary data", retry_after=2)
        self._inside += 1
        try:
            async with self._turn:
                answer = await sandbox.call(function, *arguments, limits=LIMITS)
        finally:
            self._inside -= 1
        assert isinstance(answer, bytes)
        return answer


async def respond(send: Send, status: int, text: bytes, parts: list[bytes] | None = None,
                  headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """JSON, with binary tensors behind it where `parts` are given."""
    if not parts:
        found = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text)), *(headers or ())]
        await send({"type": "http.response.start", "status": status, "headers": found})
        await send({"type": "http.response.body", "body": text})
        return
    length = len(text) + sum(map(len, parts))
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % length),
        (HEADER, b"%d" % len(text)), *(headers or ())]})
    await send({"type": "http.response.body", "body": text, "more_body": True})
    for index, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": index < len(parts) - 1})


def head_of(text: bytes, parts: list[bytes]) -> bytes:
    """The lines of headers with which `respond` answers 200."""
    if not parts:
        return b"content-type: application/json\r\ncontent-length: %d\r\n" % len(text)
    return b"content-type: application/octet-stream\r\ncontent-length: %d\r\n%b: %d\r\n" % (
        len(text) + sum(map(len, parts)), HEADER, len(text))


def status_of(error: AimassError) -> int:
    """What does not make sense is 400 in this protocol, not 422."""
    return 400 if error.status == 422 else error.status
