"""Files that a caller names by URL, fetched without a way into the server's own network.

Every address that a name has must be a public one, and the connection goes to an address that was looked at; a
redirect is looked at as the first URL was. No proxy is asked, nothing compressed is unpacked, and what is too large
or too slow is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import gaierror
from tempfile import TemporaryFile
from typing import IO, cast

import httpx

from .errors import InvalidInput, TooLarge
from .settings import Settings
from .webhooks import Resolve, is_public, resolved

TIMEOUT = 60.0  # s, all in all
QUIET = 10.0  # s without a byte
REDIRECTS = 3
FIELD = "url"


def address_of(url: str, settings: Settings) -> httpx.URL:
    """Raises `InvalidInput` for one that nothing is fetched from."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        target = httpx.URL()
    schemes = ("https", "http") if settings.fetch_private else ("https",)
    if target.scheme not in schemes or not target.host or target.userinfo:
        raise InvalidInput(f"a file is fetched from an address with {' or '.join(schemes)}, without a password in it",
                           field=FIELD)
    return target


@asynccontextmanager
async def fetched(url: str, settings: Settings, most: int, *, resolve: Resolve = resolved) -> AsyncIterator[IO[bytes]]:
    """What the URL gives, at most so many bytes, in a file without a name that is gone afterwards.

    Raises `InvalidInput` for what can't be fetched, and `TooLarge`.
    """
    target = address_of(url, settings)
    certificates = await asyncio.to_thread(httpx.create_ssl_context)  # reads a file of some hundred
    client = httpx.AsyncClient(verify=certificates, follow_redirects=False, trust_env=False, timeout=QUIET)
    with TemporaryFile() as file:
        try:
            async with asyncio.timeout(TIMEOUT), client:
                for _ in range(REDIRECTS + 1):
                    onward = await _get(client, target, settings, most, resolve, cast(IO[bytes], file))
                    if onward is None:
                        break
                    target = address_of(onward, settings)
                else:
                    raise InvalidInput(f"{target.host} redirects more than {REDIRECTS} times", field=FIELD)
        except TimeoutError:
            raise InvalidInput(f"{target.host} has not given it within {TIMEOUT:g} s", field=FIELD) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise InvalidInput(f"{target.host}: {error or type(error).__name__}", field=FIELD) from None
        await asyncio.to_thread(file.seek, 0)
        yield cast(IO[bytes], file)


async def _get(client: httpx.AsyncClient, target: httpx.URL, settings: Settings, most: int, resolve: Resolve,
               file: IO[bytes]) -> str | None:
    """The file is filled, or where it is instead."""
    address = await _address(target, settings, resolve)
    request = client.build_request("GET", target.copy_with(host=address), extensions={"sni_hostname": target.host},
                                   headers={"Host": target.netloc.decode("ascii"), "User-Agent": "aimass-stream",
                                            "Accept-Encoding": "identity"})
    response = await client.send(request, stream=True)
    try:
        if response.has_redirect_location:
            return str(target.join(response.headers["location"]))
        if response.status_code != httpx.codes.OK:
            raise InvalidInput(f"{target.host} answered {response.status_code}", field=FIELD)
        size = 0
        async for piece in response.aiter_raw(1 << 18):
            size += len(piece)
            if size > most:
                raise TooLarge(f"what {target.host} gives has more than {most} bytes", field=FIELD)
            await asyncio.to_thread(file.write, piece)
    finally:
        await response.aclose()
    return None


async def _address(target: httpx.URL, settings: Settings, resolve: Resolve) -> str:
    """One that may be connected to. Raises `InvalidInput`."""
    try:
        found = await resolve(target.host, target.port or (443 if target.scheme == "https" else 80))
    except (gaierror, UnicodeError):
        found = []
    if not found:
        raise InvalidInput(f"{target.host} has no address", field=FIELD)
    if not settings.fetch_private and not all(is_public(address) for address in found):
        raise InvalidInput(f"{target.host} is in a private network; see the setting fetch_private", field=FIELD)
    return found[0]
