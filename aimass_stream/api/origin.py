"""Other people's web pages may not use a server through their visitors' browsers.

A loopback server without a key is reachable for any page open in the same browser; so a request with a
foreign Origin is refused, and so is, on loopback, a Host that isn't ours (DNS rebinding).
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import Forbidden
from ..settings import Settings
from .problems import respond


class OriginGuard:
    """ASGI middleware. CORS answers for allowed origins are starlette's CORSMiddleware's work."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            error = None
            if not self.settings.allows_host(headers.get("host")):
                error = Forbidden("this server is for its own machine: open it as localhost")
            elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self.settings.allows_origin(
                headers.get("origin"), headers.get("host")
            ):
                error = Forbidden("this web origin may not use the server; see the setting 'origins'")
            if error is not None:
                await respond(error.problem())(scope, receive, send)
                return
        await self.app(scope, receive, send)
