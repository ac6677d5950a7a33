"""Bytes of requests that do not say beforehand how long they are, counted as uploads once they have come."""

from __future__ import annotations

import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..accounts import Accounts
from ..errors import Busy
from ..ports import Caller
from .headers import first_of

CALLER = "aimass.caller"  # in a request's scope, once it is known


class Metered:
    """ASGI middleware. What says its length is counted before it is read, in `deps`."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self.app, self.accounts = app, accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"transfer-encoding" not in first_of(scope):
            await self.app(scope, receive, send)
            return
        size = 0

        async def counting() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message

        try:
            await self.app(scope, counting, send)
        finally:
            caller: Caller | None = scope.get(CALLER)
            if caller is not None:
                with contextlib.suppress(Busy):  # it has come; the next one is refused
                    await self.accounts.parts.allowance.upload(caller, size)
