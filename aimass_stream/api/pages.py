"""The web pages at `/` and `/paint`, and files under `/web/`, as they lie on disk: there is no build step. Modules for
pages of others (the browser SDK and its adapters) are served without what only people read.

Everything the page needs comes from here and nothing from elsewhere; the Content-Security-Policy says so to
the browser. Files are checked again on every use (`no-cache` with an ETag), so that a new version of the
server is never mixed with modules of the old one, and one that did not change costs a 304.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zopfli.gzip
from fastapi import APIRouter, Request, Response

from ..errors import NotFound
from .small import small

router = APIRouter(include_in_schema=False)

_PACKAGE = Path(__file__).resolve().parents[1]
ROOT = next(path for path in (_PACKAGE / "_web", _PACKAGE.parent / "web") if (path / "index.html").is_file())

TYPES = {  # what may be served at all; everything else in the folder is no page's business
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
COMPRESSED = frozenset({".html", ".css", ".js", ".svg", ".json", ".webmanifest"})
FOLDERS = frozenset({"index.html", "paint.html", "docs.html", "css", "js", "fonts", "images", "words", "sdk",
                     "adapters"})
SMALL = frozenset({"sdk", "adapters"})  # folders of what pages elsewhere load, so that every byte counts
NAME = re.compile(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+(\.[A-Za-z0-9]+)+")

HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None  # gzip, where it pays
    etag: str


@functools.lru_cache(maxsize=256)
def _read(path: Path, modified: int, size: int) -> _File:
    """One version of a file; `modified` (ns) and `size` only tell versions apart."""
    body = path.read_bytes()
    packed = None
    if path.parent.name in SMALL and path.suffix == ".js":
        body = small(body)
        packed = zopfli.gzip.compress(body)  # up to 0.1 s, once, beside the loop and without the interpreter's lock
    elif path.suffix in COMPRESSED:
        packed = gzip.compress(body, 9, mtime=0)
    return _File(body, packed, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _find(name: str) -> Path:
    """The file of that name under ROOT; raises `NotFound` for anything that is not the page's."""
    folder, _, _ = name.rpartition("/")
    if not NAME.fullmatch(name) or (folder or name) not in FOLDERS or Path(name).suffix not in TYPES:
        raise NotFound("there is no such page")
    path = (ROOT / name).resolve()
    if not path.is_relative_to(ROOT) or not path.is_file():
        raise NotFound("there is no such page")
    return path


def policy(host: str, forms: str = "'none'", frames: Sequence[str] = (), types: str = "'none'") -> str:
    """The Content-Security-Policy. `host` is named for websockets, which older Safaris don't count as 'self'.

    `forms` is where they may go, `frames` are origins whose pages may show this one, `types` the name of the one policy
    of trusted types that a script may make.
    """
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return "; ".join((
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        f"connect-src 'self'{sockets}",
        "manifest-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        f"form-action {forms}",
        " ".join(("frame-ancestors 'self'", *frames)),
        "require-trusted-types-for 'script'",
        f"trusted-types {types}",
    ))


def headers_of(request: Request) -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(request.headers.get("host", "")),
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }


def serve(request: Request, name: str) -> Response:
    """A file of the pages, by its name below /web/. Raises `NotFound`. Not for the loop: it reads the file."""
    path = _find(name)
    state = path.stat()
    file = _read(path, state.st_mtime_ns, state.st_size)
    headers = headers_of(request)
    packed = file.packed is not None and "gzip" in request.headers.get("accept-encoding", "")
    # the two encodings are different bytes, so they have different strong tags (RFC 9110, section 8.8.3)
    headers["ETag"] = f'{file.etag[:-1]}-gz"' if packed else file.etag
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    body = file.packed if packed else file.body
    return Response(body, media_type=TYPES[path.suffix], headers=headers)


@router.api_route("/", methods=["GET", "HEAD"])
def page(request: Request) -> Response:
    """The page. Plain functions: starlette runs them in a thread, since they read files."""
    return serve(request, "index.html")


@router.api_route("/paint", methods=["GET", "HEAD"])
def paint(request: Request) -> Response:
    """Pictures and short videos, painted."""
    return serve(request, "paint.html")


@router.api_route("/docs", methods=["GET", "HEAD"])
def docs(request: Request) -> Response:
    """openapi.json, to be read."""
    return serve(request, "docs.html")


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
def favicon(request: Request) -> Response:
    """Browsers ask for it beside documents that name none, such as /openapi.json."""
    return serve(request, "images/icon.svg")


@router.api_route("/sdk/{name}", methods=["GET", "HEAD"])
def sdk(name: str, request: Request) -> Response:
    """A module of the browser SDK, for pages from anywhere: it is code that says nothing of this server."""
    return _module(request, f"sdk/{name}")


@router.api_route("/adapters/{name}", methods=["GET", "HEAD"])
def adapter(name: str, request: Request) -> Response:
    """What puts the browser SDK into other people's pages, for these pages."""
    return _module(request, f"adapters/{name}")


def _module(request: Request, name: str) -> Response:
    if not name.endswith(".js"):
        raise NotFound("there is no such module")
    response = serve(request, name)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@router.api_route("/web/{name:path}", methods=["GET", "HEAD"])
def file(name: str, request: Request) -> Response:
    return serve(request, name)
