"""How much a request may bring: read no further than that, whatever its headers say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from ..errors import TooLarge


class LimitedRoute(APIRoute):
    """A route whose requests have at most `max_body` bytes."""

    max_body: ClassVar[int] = 1024 * 1024

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def limited(request: Request) -> Response:
            read = 0

            async def receive() -> Message:
                nonlocal read
                message = await request.receive()
                read += len(message.get("body", b""))
                if read > self.max_body:
                    # not an error of ours: FastAPI takes everything else that reading raises for bad JSON
                    raise HTTPException(413, f"a request has at most {self.max_body} bytes")
                return message

            return await handler(Request(request.scope, receive))

        return limited


async def text_of(request: Request, content_type: str, max_bytes: int) -> str:
    """The body as text. Raises `HTTPException` 415 for another content type and `TooLarge`."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != content_type:
        raise HTTPException(415, f"send {content_type}, not {given or 'nothing'}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"the body has at most {max_bytes} bytes", field="sdp")
    return body.decode(errors="replace")
