"""Requests for inference go past the routers, whose search and solving would cost several times what the rest does."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AimassError
from ..settings import Settings
from .deps import admit
from .headers import first_of, text_of
from .oip.bodies import respond
from .oip.infer import Infer
from .predict import asked
from .problems import UNEXPECTED, headers_of
from .problems import respond as problem

if TYPE_CHECKING:
    from .direct import Direct

log = logging.getLogger(__name__)

FORM = b"multipart/form-data"
PREDICT, MODELS, INFER = "/predict/", "/v2/models/", "/infer"


class Shortcut:
    """ASGI middleware. The routes are there as well: openapi.json is made of them, and forms come to them."""

    def __init__(self, app: ASGIApp, infer: Infer, settings: Settings) -> None:
        self.app, self.infer, self.settings = app, infer, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.way(scope, receive, send) or self.app(scope, receive, send))

    def way(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None] | None:
        """The answer on its way, where this is a request for inference."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        if path.startswith(MODELS):
            params = params_of(path)
            if params is None:
                return None
            scope["path_params"] = params
            return self.infer(scope, receive, send)
        model = path[len(PREDICT):] if path.startswith(PREDICT) else ""
        if not model or "/" in model or first_of(scope).get(b"content-type", b"").lower().startswith(FORM):
            return None
        return self._predict(model, scope, receive, send)

    async def _predict(self, model: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await admit(scope)
            text, headers = await asked(model, Request(scope, receive), self.settings, caller)
        except AimassError as error:
            await problem(error.problem(), headers_of(error))(scope, receive, send)
            return
        await respond(send, 200, text, None, [(name.encode(), value.encode("latin-1", "replace"))
                                              for name, value in headers.items()])


class Application(FastAPI):
    """FastAPI, and a way past all of its layers for requests for inference that need none of them.

    They are for web pages from elsewhere (`OriginGuard` and CORS) and for bodies that do not say how long they are
    (`Metered`). What is added to them for every request has to be added to `__call__`.
    """

    shortcut: Shortcut | None = None
    direct: Direct | None = None  # past ASGI, too

    def short(self, infer: Infer, settings: Settings) -> None:
        self.shortcut = Shortcut(super().__call__, infer, settings)
        self._allows_host = lru_cache(64)(settings.allows_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = self._taken(scope, receive, send)
        if taken is None:
            await super().__call__(scope, receive, send)
            return
        try:
            await taken
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            await problem(UNEXPECTED)(scope, receive, send)

    def _taken(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None] | None:
        if self.shortcut is None or scope["type"] != "http" or not scope["path"].startswith((PREDICT, MODELS)):
            return None
        headers = first_of(scope)
        if (b"origin" in headers or b"transfer-encoding" in headers
                or not self._allows_host(text_of(headers, b"host"))):
            return None
        scope["app"] = self
        return self.shortcut.way(scope, receive, send)


def params_of(path: str) -> dict[str, str] | None:
    """Those of the protocol's routes for inference, where it is one of them."""
    if not path.endswith(INFER):
        return None
    match path.split("/")[3:-1]:
        case [name] if name:
            return {"name": name}
        case [name, "versions", version] if name and version:
            return {"name": name, "version": version}
    return None
