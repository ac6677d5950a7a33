"""STUN and TURN servers of the settings, as clients and we ourselves are told of them.

With a secret that a TURN server shares, everybody gets credentials of their own that end by themselves: the user name
is the moment they end and who they are for, the password its HMAC-SHA1 (draft-uberti-behave-turn-rest-00 section 2.2).
coturn calls that `use-auth-secret`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from ...settings import Settings

OURSELVES = "server"
ANYONE = "anyone"


def credentials(secret: str, user: str, seconds: float, at: float | None = None) -> tuple[str, str]:
    """User name and password for `user`, good for `seconds` from `at` (s since 1970) or from now on."""
    begin = time.time() if at is None else at
    name = f"{int(begin + seconds)}:{user}"
    digest = hmac.digest(secret.encode(), name.encode(), hashlib.sha1)
    return name, base64.b64encode(digest).decode()


def ice_servers(settings: Settings, user: str = "") -> list[dict[str, Any]]:
    """As RTCPeerConnection takes them, for a user's id."""
    servers: list[dict[str, Any]] = [{"urls": url} for url in settings.stun]
    if settings.turn:
        name, password = settings.turn_username or "", settings.turn_credential or ""
        if settings.turn_secret is not None:
            name, password = credentials(settings.turn_secret, user or ANYONE, settings.turn_seconds)
        servers.append({"urls": list(settings.turn), "username": name, "credential": password})
    return servers


def link_headers(settings: Settings, user: str = "") -> list[str]:
    """The same as Link headers (RFC 9725 section 4.6)."""
    links = []
    for server in ice_servers(settings, user):
        if "username" not in server:
            links.append(f'<{server["urls"]}>; rel="ice-server"')
            continue
        links += [f'<{url}>; rel="ice-server"; username="{_quoted(server["username"])}"; '
                  f'credential="{_quoted(server["credential"])}"; credential-type="password"' for url in server["urls"]]
    return links


def _quoted(text: str) -> str:
    """Within a quoted string (RFC 9110 section 5.6.4)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
