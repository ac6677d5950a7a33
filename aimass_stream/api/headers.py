"""The headers of a request, looked through once for all who ask on its way."""

from __future__ import annotations

from typing import cast

from starlette.types import Scope

KEY = "aimass.headers"  # in a request's scope


def first_of(scope: Scope) -> dict[bytes, bytes]:
    """By name in small letters; the first of those with one name."""
    given = scope["headers"]
    kept = scope.get(KEY)
    if kept is not None and kept[0] is given:  # a request made of another one has headers of its own
        return cast("dict[bytes, bytes]", kept[1])
    found: dict[bytes, bytes] = {}
    for name, value in given:
        found.setdefault(name, value)
    scope[KEY] = given, found
    return found


def text_of(headers: dict[bytes, bytes], name: bytes) -> str | None:
    """One of them, as HTTP's characters are."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
