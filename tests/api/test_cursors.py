"""Pages by cursor: every row once while others come and go, and no crash for what was never a cursor."""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.api import cursors, problems
from aimass_stream.api.cursors import CursorQuery, LimitQuery
from aimass_stream.errors import InvalidInput

Row = tuple[float, str]

FOREIGN = ["", "x", "é", "a" * 512, *(urlsafe_b64encode(text.encode()).decode() for text in (
    "null", "{}", "[]", "[1]", '["a","b"]', '[1,2]', '[true,"b"]', '[NaN,"b"]', '[1e999,"b"]', "[" * 300,
    f'[{"9" * 400},"b"]'))]


def rows_after(rows: list[Row], after: cursors.Position | None, limit: int) -> list[Row]:
    return sorted(row for row in rows if after is None or row > after)[:limit + 1]


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40))
def test_a_cursor_is_the_position(created: float, name: str) -> None:
    assert cursors.decode(cursors.encode((created, name)), float, str) == (created, name)


@pytest.mark.parametrize("cursor", FOREIGN)
def test_what_was_never_a_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as told:
        cursors.decode(cursor, float, str)
    assert told.value.field == "cursor"


def test_a_number_that_no_database_has_is_refused() -> None:
    with pytest.raises(InvalidInput):
        cursors.decode(cursors.encode((1 << 63, "a")), int, str)
    assert cursors.decode(cursors.encode((2, "a")), float, str) == (2.0, "a")
    assert math.isclose(float(cursors.decode(cursors.encode((2.5,)), float)[0]), 2.5)  # type: ignore[index]


@pytest.fixture
def rows() -> list[Row]:
    return [(float(number // 3), f"row{number:03}") for number in range(50)]


@pytest.fixture
def app(rows: list[Row]) -> FastAPI:
    app = FastAPI()
    problems.install(app)

    @app.get("/rows")
    async def listed(request: Request, response: Response, cursor: CursorQuery = None,
                     limit: LimitQuery = 7) -> dict[str, object]:
        found = rows_after(rows, cursors.decode(cursor, float, str), limit)
        shown, following = cursors.page(found, limit, lambda row: row)
        cursors.link(request, response, following)
        return {"rows": shown, "next": following}

    return app


@pytest.mark.anyio
async def test_rows_come_once_though_others_come_and_go(app: FastAPI, rows: list[Row]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        seen: list[str] = []
        url = "/rows?limit=7"
        while url:
            answer = await http.get(url)
            seen += [name for _, name in answer.json()["rows"]]
            url = answer.links.get("next", {}).get("url", "")
            assert bool(url) == (answer.json()["next"] is not None)
            rows.append((-1.0, f"early{len(seen)}"))  # comes before all that was seen
            del rows[:1 if len(seen) == 7 else 0]
        assert seen == [f"row{number:03}" for number in range(50)]
        assert (await http.get("/rows?cursor=nonsense")).status_code == 422
        assert (await http.get(f"/rows?limit={cursors.MOST + 1}")).status_code == 422
