"""Where each endpoint's function stands, told to FastAPI before it looks.

FastAPI names it in errors about answers. At an endpoint's first request it has `inspect` read and tokenise the whole
file for that, on the event loop: up to 25 ms in which no session's packets go. The function's code knows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import routing


def tell(routes: Iterable[Any]) -> None:
    """Of routes, and of routers with more of them."""
    known = getattr(routing, "_endpoint_context_cache", None)  # an inner part of FastAPI: without it, all goes on
    if known is None:
        return
    for route in routes:
        if hasattr(route, "original_router"):
            tell(route.original_router.routes)
        code = getattr(getattr(route, "endpoint", None), "__code__", None)
        if code is not None:
            known[id(route.endpoint)] = {
                "file": code.co_filename, "line": code.co_firstlineno, "function": route.endpoint.__name__}
