"""Requests that may come twice: with the header `Idempotency-Key` each is done once, and answered as often as it comes.

As draft-ietf-httpapi-idempotency-key-header has it. What is refused is not kept: it has done nothing, and may be sent
again with the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from ..accounts.secret import CONNECT
from ..errors import Conflict, InvalidInput
from ..ports import Caller
from .deps import accounts_of, caller_of
from .limits import LimitedRoute

if TYPE_CHECKING:
    from ..store.repeats import Repeats

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
CREATING = (201, 202)
LONGEST = 255
MOST_BYTES = 1024 * 1024  # of a request
KEPT = ("content-type", "location", "etag", "cache-control", "tus-resumable", "upload-offset", "upload-length",
        "upload-expires", "retry-after")  # headers of an answer
SECRET = {"x-answered-once": True}  # for a route's `openapi_extra`: the answer has a secret, and is kept nowhere

PARAMETER = {"name": HEADER, "in": "header", "required": False, "schema": {"type": "string", "maxLength": LONGEST},
             "description": "the same request again with the same key within a day is answered as the first one was"}


class RepeatableRoute(APIRoute):
    """A route that, where it creates something, keeps its answer to a request with a key."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = dict(options.get("openapi_extra") or {})
        self.creates = options.get("status_code") in CREATING and "POST" in (options.get("methods") or ())
        self.secret = "x-answered-once" in extra
        if self.creates:
            options["openapi_extra"] = extra | {"parameters": [*extra.get("parameters", ()), PARAMETER]}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if not self.creates:
            return handler

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or _opens(request):
                return await handler(request)
            return await _once(request, key, handler, secret=self.secret)

        return once


class CreatingRoute(RepeatableRoute, LimitedRoute):
    """The same of routes that take so much and no more."""


async def _once(request: Request, key: str, handler: Callable[[Request], Coroutine[Any, Any, Response]], *,
                secret: bool) -> Response:
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        raise InvalidInput(f"{HEADER} has 1 to {LONGEST} printable characters", field=HEADER)
    caller = caller_of(request)
    who, body = _who(caller), await _body(request)
    repeats = cast("Repeats", request.app.state.repeats)
    known = await repeats.claim(who, key, _fingerprint(request, body), caller.user)
    if known is not None:
        await accounts_of(request).parts.allowance.request(caller)
        return _again(known)
    try:
        response = await handler(Request(request.scope, _given(body, request)))
    except Exception:
        await repeats.release(who, key)
        raise
    if response.status_code not in CREATING:
        await repeats.release(who, key)
        return response
    headers = {name: response.headers[name] for name in KEPT if name in response.headers}
    await repeats.settle(who, key, _answer(response.status_code, headers, None if secret else bytes(response.body)))
    return response


def _opens(request: Request) -> bool:
    """A connect token is good for one look at it, and for nothing that creates."""
    return request.headers.get("authorization", "").partition(" ")[2].strip().startswith(CONNECT)


def _who(caller: Caller) -> str:
    """The key or the cookie session; who has none is told apart by where they are."""
    return caller.id or f"{caller.name} {caller.address}"


def _fingerprint(request: Request, body: bytes) -> str:
    what = f"{request.method} {request.url.path}?{request.url.query}\n"
    told = "".join(f"{name}: {request.headers.get(name, '')}\n" for name in (
        "content-type", "upload-length", "upload-metadata"))
    return hashlib.sha256(what.encode() + told.encode() + body).hexdigest()


async def _body(request: Request) -> bytes:
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > MOST_BYTES:
            raise HTTPException(413, f"a request with {HEADER} has at most {MOST_BYTES} bytes")
    return bytes(read)


def _given(body: bytes, request: Request) -> Callable[[], Coroutine[Any, Any, Message]]:
    """The body once more, and then what comes after it."""
    told = False

    async def receive() -> Message:
        nonlocal told
        if told:
            return await request.receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _answer(status: int, headers: dict[str, str], body: bytes | None) -> Any:
    from ..store.repeats import Answer

    return Answer(status, headers, body)


def _again(known: Any) -> Response:
    if known.body is None:
        where = known.headers.get("location")
        raise Conflict("this was done by your first request, and its answer is shown once" + (
            f": what it made is at {where}" if where else ""), field=HEADER, location=where)
    return Response(known.body, known.status, {**known.headers, REPLAYED: "true"})
