"""openapi.json says what there is: every route, once, with references that lead somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Route

from aimass_stream.server import create_app
from tests.support.options import settings

METHODS = {"GET", "PUT", "POST", "PATCH", "DELETE"}


def served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Route) and route.include_in_schema:
            yield from ((route.path, method) for method in (route.methods or ()) if method in METHODS)


def test_every_plain_route_is_described(tmp_path: Path) -> None:
    app = create_app(settings(data_dir=tmp_path))
    described: dict[str, Any] = app.openapi()
    there = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    plain = set(served(app.router.routes))
    assert ("/v2/models/{name}/infer", "POST") in plain
    assert plain - there == set()
    assert {("/predict/{model}", "POST"), ("/v1/usage", "GET"), ("/v2/models/{name}", "GET")} <= there
    assert described["openapi"].startswith("3.1")
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(described)))
    assert names <= set(described["components"]["schemas"])
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["responses"], (path, method)
            assert operation.get("summary"), (path, method)
