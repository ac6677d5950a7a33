"""Other people's web pages may not use a server through their visitors' browsers.

A loopback server without a key is reachable for any page open in the same browser; so a request with a
foreign Origin is refused, and so is, on loopback, a Host that isn't ours (DNS rebinding).
"""

from __future__ import annotations

from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import Forbidden
from ..settings import Settings
from .headers import first_of, text_of
from .problems import respond


class OriginGuard:
    """ASGI middleware. CORS answers for allowed origins are starlette's CORSMiddleware's work."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._allows_host = lru_cache(64)(settings.allows_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = first_of(scope)
            host, error = text_of(headers, b"host"), None
            if not self._allows_host(host):
                error = Forbidden("this server is for its own machine: open it as localhost")
            elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self.settings.allows_origin(
                text_of(headers, b"origin"), host
            ):
                error = Forbidden("this web origin may not use the server; see the setting 'origins'")
            if error is not None:
                await respond(error.problem())(scope, receive, send)
                return
        await self.app(scope, receive, send)
