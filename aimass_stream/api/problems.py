"""Every error a route raises, as application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ..errors import AimassError

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457 problem details; `field` is the JSON path of what is wrong, where one is."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    field: str | None = Field(None, description="for example pipeline[1].ms")


# what any route may answer besides its own; for openapi.json
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What was wrong with the request", "model": Problem,
            "content": {"application/problem+json": {}}},
    503: {"description": "The server is stopping, or a part is missing", "model": Problem},
}


UNEXPECTED: dict[str, Any] = {"type": "about:blank", "title": "Internal error", "status": 500,
              "detail": "something of ours went wrong; the server's log has more"}


class ProblemResponse(JSONResponse):
    """A problem may quote what was sent, and that may have half a character in it (JSON's "\\ud800"), which no UTF-8
    has."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def respond(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return ProblemResponse(body, body["status"], headers)


def headers_of(error: AimassError) -> dict[str, str]:
    headers = {}
    if "retry_after" in error.data:
        headers["Retry-After"] = str(error.data["retry_after"])
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


async def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, AimassError)
    return respond(error.problem(), headers_of(error))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code,
            "detail": str(error.detail)}
    return respond(body, dict(error.headers or {}))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _invalid(f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}", None)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if first["loc"] == ("body",) and kind != "application/json":
        return _invalid("send JSON, with the header Content-Type: application/json", None, status=415)
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    return _invalid(f"{where}: {first['msg']}" if where else first["msg"], where or None)


def _invalid(detail: str, field: str | None, status: int = 422) -> Response:
    title = "Invalid input" if status == 422 else HTTPStatus(status).phrase
    return respond({"type": "about:blank", "title": title, "status": status, "detail": detail, "field": field})


async def answer_unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(UNEXPECTED)


async def answer(request: Request, error: Exception) -> Response:
    """What any route answers for an error that it raises on purpose; for routes that have more to say."""
    if isinstance(error, AimassError):
        return await _ours(request, error)
    return await (_validation if isinstance(error, RequestValidationError) else _http)(request, error)


def install(app: FastAPI) -> None:
    app.add_exception_handler(AimassError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, answer_unexpected)
