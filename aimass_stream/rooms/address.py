"""Where a room's signalling is: looked up once, and connected to at the very address that was looked at."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from socket import gaierror
from urllib.parse import urlsplit

from ..errors import InvalidInput
from ..webhooks import Resolve, is_public, resolved

FIELD = "url"
LONGEST = 500  # characters


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    address: str
    port: int

    async def tls(self) -> ssl.SSLContext | None:
        """For wss. Reads a file of some hundred certificates: not on the loop."""
        return await asyncio.to_thread(ssl.create_default_context) if self.url.startswith("wss:") else None


async def target_of(url: str, *, private: bool, resolve: Resolve = resolved) -> Target:
    """`private`: also addresses that are not the internet's, and without TLS. Raises `InvalidInput`."""
    schemes = ("wss", "ws") if private else ("wss",)
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
    except ValueError:
        raise InvalidInput(f"{url!r} is no address", field=FIELD) from None
    host = parts.hostname
    if len(url) > LONGEST or not url.isprintable() or parts.scheme not in schemes or not host or "@" in parts.netloc:
        raise InvalidInput(f"a room's address begins with {' or '.join(each + '://' for each in schemes)} and has no "
                           f"password in it{'' if private else '; see the setting room_private'}", field=FIELD)
    if parts.fragment:
        raise InvalidInput("a room's address has no # in it", field=FIELD)
    try:
        found = await resolve(host, port)
    except (gaierror, UnicodeError):
        found = []
    if not found:
        raise InvalidInput(f"{host} has no address", field=FIELD)
    if not private and not all(is_public(address) for address in found):
        raise InvalidInput(f"{host} is in a private network; see the setting room_private", field=FIELD)
    return Target(url, found[0], port)
