"""Requests for inference go past the routers, whose search and solving would cost several times what the rest does."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AimassError
from ..settings import Settings
from .deps import admitted
from .headers import first_of
from .oip.bodies import respond
from .oip.infer import Infer
from .predict import asked
from .problems import headers_of
from .problems import respond as problem

FORM = b"multipart/form-data"
PREDICT = "/predict/"


class Shortcut:
    """ASGI middleware. The routes are there as well: openapi.json is made of them, and forms come to them."""

    def __init__(self, app: ASGIApp, infer: Infer, settings: Settings) -> None:
        self.app, self.infer, self.settings = app, infer, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            params = _params(path)
            if params is not None:
                scope["path_params"] = params
                await self.infer(scope, receive, send)
                return
            model = path[len(PREDICT):] if path.startswith(PREDICT) else ""
            if model and "/" not in model and not first_of(scope).get(b"content-type", b"").lower().startswith(FORM):
                await self._predict(model, Request(scope, receive), send)
                return
        await self.app(scope, receive, send)

    async def _predict(self, model: str, request: Request, send: Send) -> None:
        try:
            caller = await admitted(request)
            text, headers = await asked(model, request, self.settings, caller)
        except AimassError as error:
            await problem(error.problem(), headers_of(error))(request.scope, request.receive, send)
            return
        await respond(send, 200, text, None, [(name.encode(), value.encode("latin-1", "replace"))
                                              for name, value in headers.items()])


def _params(path: str) -> dict[str, str] | None:
    """Those of the protocol's routes for inference, where it is one of them."""
    if not path.startswith("/v2/models/") or not path.endswith("/infer"):
        return None
    match path.split("/")[3:-1]:
        case [name] if name:
            return {"name": name}
        case [name, "versions", version] if name and version:
            return {"name": name, "version": version}
    return None
