"""Errors of the routes that OpenAI's clients call: in that API's shape and in ours, in one body.

The body is a problem as everywhere else here (RFC 9457) with a further member, ``error``, which is what those clients
read: ``{"message", "type", "param", "code"}``. What is wrong with a request is 400 there, not 422.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import AimassError
from .limits import LimitedRoute
from .problems import answer, respond

CODES = {401: "invalid_api_key", 404: "not_found", 413: "too_large", 415: "unsupported_media_type",
         429: "rate_limit_exceeded"}


class OpenAiRoute(LimitedRoute):
    """The route class of a router: ``APIRouter(route_class=OpenAiRoute)``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except (AimassError, HTTPException, RequestValidationError) as error:
                return both(await answer(request, error))

        return handled


def both(problem: Response) -> Response:
    """A problem's response with OpenAI's ``error`` in it."""
    body: dict[str, Any] = json.loads(bytes(problem.body))
    if body["status"] == 422:
        body |= {"status": 400, "title": "Invalid request"}
    body["error"] = error_object(body["status"], body["detail"], body.get("field"))
    kept = {name: value for name, value in problem.headers.items() if name in ("retry-after", "www-authenticate")}
    return respond(body, kept)


def error_object(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """What OpenAI's clients read; also the payload of an ``error`` event in a stream."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"message": message, "type": kind, "param": param, "code": code or CODES.get(status)}
