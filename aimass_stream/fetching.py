"""Files that a caller names by URL, fetched without a way into the server's own network.

Every address that a name has must be a public one, and the connection goes to an address that was looked at; a
redirect is looked at as the first URL was. No proxy is asked, nothing compressed is unpacked, and what is too large
or too slow is given up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from socket import gaierror
from tempfile import TemporaryFile
from typing import IO, cast

import httpx

from .errors import InvalidInput, TooLarge, Unavailable
from .settings import Settings
from .webhooks import Resolve, is_public, resolved

TIMEOUT = 60.0  # s, all in all
QUIET = 10.0  # s without a byte
REDIRECTS = 3
FIELD = "url"
RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")


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
    response = await _asked(client, target, settings, resolve, {})
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


async def _asked(client: httpx.AsyncClient, target: httpx.URL, settings: Settings, resolve: Resolve,
                 headers: dict[str, str]) -> httpx.Response:
    address = await _address(target, settings, resolve)
    request = client.build_request("GET", target.copy_with(host=address), extensions={"sni_hostname": target.host},
                                   headers={"Host": target.netloc.decode("ascii"), "User-Agent": "aimass-stream",
                                            "Accept-Encoding": "identity"} | headers)
    return await client.send(request, stream=True)


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that somebody else gives, opened."""

    size: int  # bytes of all of it
    offset: int  # where what comes begins; 0 where the other server gives no parts
    tag: str  # its strong ETag, or empty
    response: httpx.Response
    host: str

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises `Unavailable` where the line breaks."""
        try:
            async for piece in self.response.aiter_raw():  # in pieces of a size, the last ones would be lost
                yield piece
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"{self.host} broke off: {error or type(error).__name__}", field=FIELD) from None


@asynccontextmanager
async def opened(url: str, settings: Settings, *, offset: int = 0, tag: str = "",
                 resolve: Resolve = resolved) -> AsyncIterator[Remote]:
    """A file that may be long, from `offset` on where its server can do that and has not changed what has this `tag`.

    Raises `InvalidInput` for what can't be fetched, or does not say how long it is; `Unavailable` for what may be
    there later.
    """
    target = address_of(url, settings)
    certificates = await asyncio.to_thread(httpx.create_ssl_context)
    headers = {"Range": f"bytes={offset}-"} | ({"If-Range": tag} if tag else {}) if offset else {}
    async with httpx.AsyncClient(verify=certificates, follow_redirects=False, trust_env=False, timeout=QUIET) as client:
        response = None
        try:
            for _ in range(REDIRECTS + 1):
                response = await _asked(client, target, settings, resolve, headers)
                if not response.has_redirect_location:
                    break
                onward = str(target.join(response.headers["location"]))
                await response.aclose()
                target = address_of(onward, settings)
            else:
                raise InvalidInput(f"{target.host} redirects more than {REDIRECTS} times", field=FIELD)
            yield _remote(response, target.host, offset)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{target.host}: {error or type(error).__name__}", field=FIELD) from None
        finally:
            if response is not None:
                await response.aclose()


def _remote(response: httpx.Response, host: str, offset: int) -> Remote:
    status, tag = response.status_code, response.headers.get("etag", "")
    if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
        raise Unavailable(f"{host} answered {status}", field=FIELD)
    begin = 0
    if offset and status == httpx.codes.PARTIAL_CONTENT:
        begin, size = offset, _whole(response.headers.get("content-range", ""), offset)
    elif status == httpx.codes.OK:
        size = int(length) if (length := response.headers.get("content-length", "")).isdecimal() else -1
    else:
        raise InvalidInput(f"{host} answered {status}", field=FIELD)
    if size < 0:
        raise InvalidInput(f"{host} does not say how long the file is", field=FIELD)
    return Remote(size, begin, "" if tag.startswith("W/") else tag, response, host)


def _whole(told: str, offset: int) -> int:
    """Of a Content-Range that begins there; -1 for any other."""
    found = RANGE.fullmatch(told.strip())
    return int(found[2]) if found is not None and int(found[1]) == offset else -1


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
