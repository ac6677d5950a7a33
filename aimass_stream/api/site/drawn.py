"""How a page is drawn: a template with what the routes under /v1 would answer, for whoever looks at it.

What a page changes it changes by those routes, from its script, so nothing is decided here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from ...errors import AimassError, Unauthorized
from ...figures import short
from ...ports import Caller
from ..deps import caller_of
from ..pages import ROOT, headers_of, policy
from ..problems import UNEXPECTED, answer, answer_unexpected
from ..problems import headers_of as retry_of
from .words import LANGUAGES, language_of, texts, told

if TYPE_CHECKING:
    from jinja2 import Environment

APIS = ("v1", "v2", "predict")  # how their paths begin
NO_PAGE = "there is no such page"


async def draw(request: Request, template: str, caller: Caller | None = None, status: int = 200,
               frames: Sequence[str] = (), types: str = "'none'", **values: Any) -> HTMLResponse:
    """A template with `values`; pages of the origins `frames` may show it, `types` is as `policy` has it.

    In a thread: the first one imports the engine, and long ones take a while.
    """
    language = language_of(request)
    url = {"path": request.url.path, "query": request.url.query, "origin": str(request.base_url).rstrip("/")}
    text = await run_in_threadpool(_written, template, language, {**url, "caller": caller, **values})
    headers = headers_of(request) | {
        "Cache-Control": "private, no-store", "Content-Language": language, "Vary": "Accept-Language, Cookie",
        "Content-Security-Policy": policy(request.headers.get("host", ""), "'self'", frames, types)}
    return HTMLResponse(text, status, headers)


def _written(name: str, language: str, values: dict[str, Any]) -> str:
    known = texts(language)

    def say(text: str, **inserted: Any) -> str:
        found = known.get(text, text)
        return found.format(**inserted) if inserted else found

    return _templates().get_template(name).render(
        values | {"say": say, "language": language, "languages": LANGUAGES})


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(ROOT / "pages"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"size": size, "moment": moment, "day": day, "pretty": pretty, "short": short}
    return made


def people_of(request: Request) -> dict[str, str]:
    """What users are called, by their ids."""
    return {user.id: user.name for user in request.app.state.accounts.directory.users.values()}


# for templates ------------------------------------------------------------------------------------------


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(at: float) -> str:
    """As HTML's `time` wants it; the page's script shows it in the reader's own zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


# routes -------------------------------------------------------------------------------------------------


class PageRoute(APIRoute):
    """A route whose errors are pages, too; who has to sign in is sent there, and comes back."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                request.scope["headers"] = _plain(request.scope["headers"])
                return await handler(Request(request.scope, request.receive))
            except Unauthorized:
                asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)
            except AimassError as error:
                return await _trouble(request, error.status, error.detail, retry_of(error))
            except RequestValidationError as error:
                return await _trouble(request, 422, error.errors()[0]["msg"], {})

        return shown


def _plain(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those of a request that is for the page: what it says of an ETag is not said of the answers that are in it."""
    return [(name, value) for name, value in headers if name not in (b"if-none-match", b"if-match")]


def install(app: FastAPI) -> None:
    """Over what `problems` answers: who looks at the address with a browser, and asks no API, gets a page."""

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not _by_eye(request):
            return await answer(request, error)
        phrase = HTTPStatus(error.status_code).phrase
        detail = NO_PAGE if error.status_code == 404 else "" if error.detail == phrase else error.detail
        return await _trouble(request, error.status_code, detail, dict(error.headers or {}))

    async def unexpected(request: Request, error: Exception) -> Response:
        told = await answer_unexpected(request, error)
        return await _trouble(request, 500, UNEXPECTED["detail"], {}) if _by_eye(request) else told

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _by_eye(request: Request) -> bool:
    first = request.url.path.split("/")[1]
    return first not in APIS and "text/html" in request.headers.get("accept", "")


def router() -> APIRouter:
    return APIRouter(include_in_schema=False, route_class=PageRoute)


def visitor(request: Request) -> Caller | None:
    """Who looks, if they have said who they are; uncounted."""
    try:
        return caller_of(request)
    except AimassError:
        return None


async def _trouble(request: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    page = await draw(request, "trouble.html", visitor(request), status, title=HTTPStatus(status).phrase,
                      detail=told(detail, language_of(request)))
    page.headers.update(headers)
    return page
