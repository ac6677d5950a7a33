"""Requests that this server makes of itself, for somebody: they go the way of every other one, through permissions,
limits and metering, and are answered into memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message, Receive, Scope

from ...errors import AimassError, InvalidInput
from ...ports import Caller
from ..deps import INSIDE

log = logging.getLogger(__name__)

METHOD = "POST"
ROUTES = "POST /predict, /predict/{model}, /v2/models/{name}/infer or /v2/models/{name}/versions/{version}/infer"
KEPT = (b"x-model", b"x-model-reason", b"retry-after")  # headers of an answer that are told
SHOWN = (b"authorization", b"cookie", b"x-csrf-token", b"host", b"origin")  # of the request that brought it
TOO_LONG = {"type": "about:blank", "title": "Too large", "status": 413,
            "detail": "the answer is too long for a batch: ask for it alone"}
FAILED = {"type": "about:blank", "title": "Internal error", "status": 500,
          "detail": "something of ours went wrong; the server's log has more"}


@dataclass(slots=True)
class Answer:
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""  # JSON


def path_of(method: str, path: str, where: str) -> str:
    """The path, decoded. Raises `InvalidInput` for what no batch may ask for."""
    if method.upper() != METHOD:
        raise InvalidInput(f"a batch has {ROUTES}, and no {method[:16]}", field=f"{where}method")
    decoded = unquote(path) if path.isascii() and path.isprintable() else path
    match decoded.split("/"):
        case ["", "predict"]:
            return decoded
        case ["", "predict", model] if model:
            return decoded
        case ["", "v2", "models", name, "infer"] if name:
            return decoded
        case ["", "v2", "models", name, "versions", version, "infer"] if name and version:
            return decoded
    raise InvalidInput(f"a batch has {ROUTES}, and not {path[:80]!r}", field=f"{where}path")


def problem(error: AimassError) -> Answer:
    told = error.problem()
    headers = {"retry-after": str(told["retry_after"])} if "retry_after" in told else {}
    return Answer(error.status, headers, json.dumps(told).encode())


def shown(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What a request brought to say who it is from."""
    return [(name, value) for name, value in scope["headers"] if name in SHOWN]


async def ask(app: ASGIApp, path: str, body: bytes, *, headers: Iterable[tuple[bytes, bytes]], address: str,
              most: int, caller: Caller | None = None) -> Answer:
    """What the server answers to this POST of JSON. `caller`: who was known before, in place of what headers say.

    An answer of more than `most` bytes, or one that is no JSON, is replaced by a problem.
    """
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": METHOD,
        "scheme": "http", "path": path, "raw_path": quote(path).encode(), "query_string": b"", "root_path": "",
        "headers": [*headers, (b"content-type", b"application/json")],  # its bytes were counted as they came
        "client": (address, 0), "server": None}
    if caller is not None:
        scope[INSIDE] = caller
    taken = _Taken(most)
    try:
        await app(scope, _given(body), taken.send)
    except Exception:
        log.exception("%s of a batch failed", path)
        return Answer(500, {}, json.dumps(FAILED).encode())
    return taken.answer()


class _Taken:
    def __init__(self, most: int) -> None:
        self._most, self._answer = most, Answer()
        self._parts: list[bytes] = []
        self._json = False
        self._size = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answer.status = message["status"]
            self._json = any(name == b"content-type" and b"json" in value for name, value in message["headers"])
            self._answer.headers = {name.decode("latin-1"): value.decode("latin-1")
                                    for name, value in message["headers"] if name in KEPT}
        elif message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
            if self._size <= self._most:
                self._parts.append(message.get("body", b""))
            else:
                self._parts.clear()

    def answer(self) -> Answer:
        if self._size > self._most:
            return Answer(413, {}, json.dumps(TOO_LONG).encode())
        self._answer.body = b"".join(self._parts) or b"null"
        if not self._json:
            return problem(InvalidInput("this answer is binary data, which no batch can have", field="body"))
        return self._answer


def _given(body: bytes) -> Receive:
    told = False

    async def receive() -> Message:
        nonlocal told
        if told:
            return {"type": "http.disconnect"}
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
