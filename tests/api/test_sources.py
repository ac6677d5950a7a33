"""No endpoint's source is read while the server serves."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi import routing

from aimass_stream.server import create_app
from tests.support.options import settings


def test_no_endpoint_is_looked_for_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    create_app(settings())
    monkeypatch.delattr(inspect, "getsourcelines")
    endpoints = list(endpoints_of(create_app(settings()).routes))
    assert len(endpoints) > 200
    for endpoint in endpoints:
        context = routing._extract_endpoint_context(endpoint)
        assert context["function"] == endpoint.__name__
        assert context["line"] == endpoint.__code__.co_firstlineno


def endpoints_of(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from endpoints_of(route.original_router.routes)
        elif isinstance(route, routing.APIRoute):
            yield route.endpoint
