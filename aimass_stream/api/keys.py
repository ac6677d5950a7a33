"""The simplest authorizer: one API key, or everybody where none is set. Who holds it or needs none runs the server."""

from __future__ import annotations

import hmac

from ..errors import Unauthorized
from ..ports import SCOPES, Caller


class ApiKey:
    """Implements `ports.Authorizer`."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def authorize(self, authorization: str | None, *, address: str = "", token: str | None = None,
                  cookie: str | None = None, csrf: str | None = None, reads: bool = False) -> Caller:
        if self._key is None:
            return Caller("anyone", address, role="admin", scopes=SCOPES)
        scheme, _, secret = (authorization or "").partition(" ")
        given = secret.strip() if scheme.lower() == "bearer" else token
        if not given:
            raise Unauthorized("this server needs an API key: send 'Authorization: Bearer KEY'")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise Unauthorized("the API key is wrong")
        return Caller("api-key", address, role="admin", scopes=SCOPES)

    def confirm(self, caller: Caller) -> Caller:
        return caller
