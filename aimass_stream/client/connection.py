"""HTTP to one server: the way that every call takes, and what a refusal becomes."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from ..errors import AimassError, InvalidInput
from . import problems

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PAGE = 200  # rows that are asked for at once


class Connection:
    """`verify` is False, a file of certificates, or an SSL context, for servers with their own."""

    def __init__(self, url: str = "http://127.0.0.1:8000", api_key: str | None = None, *,
                 verify: bool | str | ssl.SSLContext = True, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.ssl = _context(verify) if self.url.startswith("https") else None
        self.local = urlsplit(self.url).hostname in LOOPBACK
        self.changes = False  # whether anything was asked for but to look
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout,
                                       verify=self.ssl or False,  # plain http; loading certificates takes 0.1 s
                                       trust_env=not self.local)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def use(self, api_key: str) -> None:
        """Show this key from now on."""
        self.api_key = api_key
        self._http.headers["Authorization"] = f"Bearer {api_key}"

    async def request(self, method: str, path: str, body: object = None, *, query: Mapping[str, Any] | None = None,
                      seconds: float | None = None) -> Any:
        """Any route; answers the decoded JSON, None without content. What is None in `query` is left out.

        `seconds`: how long the answer may take, where that is longer than usual.
        """
        given: dict[str, Any] = {} if body is None else {"json": body}
        response = await self.checked(method, path, seconds=seconds, params=_query(query or {}), **given)
        return response.json() if response.content else None

    async def pages(self, path: str, rows: str, most: int, **query: Any) -> list[dict[str, Any]]:
        """Up to `most` rows of a list that comes in pages; `query` as `request` has it."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < most:
            wanted = {"cursor": cursor, "limit": min(PAGE, most - len(found))}
            page = await self.request("GET", path, query=query | wanted)
            found += page[rows]
            cursor = page["next"]
            if cursor is None:
                break
        return found

    async def checked(self, method: str, path: str, *, seconds: float | None = None, **given: Any) -> httpx.Response:
        """What httpx takes. Raises the server's refusal, and `Unavailable` when nobody answers."""
        response = await self.send(method, path, seconds=seconds, **given)
        if response.is_error or response.has_redirect_location:
            raise error_of(response)
        return response

    async def send(self, method: str, path: str, *, seconds: float | None = None, **given: Any) -> httpx.Response:
        """The same with the answer as it is."""
        if "json" in given:
            given["content"] = body_of(given.pop("json"))
            given["headers"] = {"Content-Type": "application/json"} | dict(given.get("headers") or {})
        if seconds is not None:
            given["timeout"] = httpx.Timeout(self._http.timeout.connect, read=seconds, write=seconds)
        self.changes |= method != "GET"
        try:
            return await self._http.request(method, path, **given)
        except httpx.TransportError as error:
            raise problems.unreachable(self.url, error) from error

    @asynccontextmanager
    async def streamed(self, path: str, headers: Mapping[str, str] | None = None, *, seconds: float = 60
                       ) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes; `seconds` may pass without a byte."""
        timeout = httpx.Timeout(self._http.timeout.connect, read=seconds)
        try:
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise error_of(response)
                yield response
        except httpx.TransportError as error:
            raise problems.unreachable(self.url, error) from error


def body_of(value: object) -> bytes:
    """JSON of it. Raises `InvalidInput` for what JSON does not have: NaN, infinity, half a character."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InvalidInput("there is half a character in what is to be sent, which no JSON has") from None
    except (ValueError, RecursionError):
        raise InvalidInput("what is to be sent has a number that JSON does not have (NaN, infinity), or is nested too "
                           "deeply") from None


def part(name: str | int) -> str:
    """A name as one part of a path, whatever is in it. Raises `InvalidInput` where there is none."""
    if name == "":
        raise InvalidInput("a name is empty: say which one is meant")
    return quote(str(name), safe="@") if str(name) not in (".", "..") else quote(str(name)).replace(".", "%2E")


def error_of(response: httpx.Response) -> AimassError:
    """A refusal, as the error that the server raised."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.has_redirect_location:  # not followed: a key goes to nobody but the server that it was given for
        problem = {"title": "Elsewhere", "detail": "nothing was done: the server sends to "
                                                   f"{response.headers['Location'][:200]}"}
    if isinstance(problem, dict) and response.status_code == 404 and problem.get("detail") == "Not Found":
        problem["detail"] = f"there is nothing at {response.request.url.path} on this server"
    return problems.error_from(response.status_code, problem if isinstance(problem, dict) else {})


def _query(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in params.items() if value is not None and value != ""}


def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
