"""POST /v1/batch: each request with its own answer, in order, as it would have had alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_stream.api.batch.wanted import MOST
from tests.api.batch.place import KEY, asked
from tests.support.server import Running

pytestmark = pytest.mark.anyio


async def send(http: httpx.AsyncClient, *requests: Any, **options: Any) -> httpx.Response:
    return await http.post("/v1/batch", json={"requests": list(requests)}, **options)


async def used(server: Running, http: httpx.AsyncClient) -> tuple[int, int]:
    """Requests of the model, and those that were in error."""
    await server.state.usage.write()
    usage = (await http.get("/v1/usage?by=model")).json()["rows"]
    assert {row["value"] for row in usage} <= {"doubler"}
    return sum(row["requests"] for row in usage), sum(row["errors"] for row in usage)


async def test_each_has_its_own_answer_in_order(place: tuple[Running, httpx.AsyncClient]) -> None:
    server, http = place
    before = await used(server, http)
    infer = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [3, 4]}]}
    came = await send(
        http, {"id": "a", "method": "POST", "path": "/predict/doubler", "body": {"input": [1, 2.5]}},
        {"id": "b", "path": "/v2/models/doubler/infer", "body": infer},
        {"model": "doubler", "input": [4]}, {"model": "nobody", "input": [4]},
        {"path": "/predict/doubler", "body": {"input": "text"}}, {"path": "/predict/doubler", "body": {}},
        {"path": "/v2/models/doubler/infer", "body": infer | {"parameters": {"binary_data_output": True}}})
    assert came.status_code == 200, came.text
    told = came.json()["responses"]
    assert [each["status"] for each in told] == [200, 200, 200, 404, 422, 422, 422]
    assert [each["id"] for each in told] == ["a", "b"] + [None] * 5
    assert told[0]["body"] == {"output": [2, 5]}
    assert told[0]["headers"]["x-model"].startswith("doubler@")
    assert told[1]["body"]["outputs"][0]["data"] == [6, 8]
    assert told[2]["body"] == {"output": [8]}
    assert told[4]["body"]["input"]["type"] == "array"  # the schema, as alone
    assert "binary" in told[6]["body"]["detail"]
    assert np.subtract(await used(server, http), before).tolist() == [6, 2]


async def test_many_numbers_are_read_elsewhere_and_come_back(shared: httpx.AsyncClient) -> None:
    rows = [[float(number)] * 600 for number in range(MOST)]
    came = await send(shared, *({"model": "doubler", "input": row} for row in rows))
    assert [each["body"]["output"] for each in came.json()["responses"]] == [[2 * each for each in row]
                                                                            for row in rows]


async def test_every_request_counts_and_is_refused_for_itself(shared: httpx.AsyncClient) -> None:
    weak = (await shared.post("/v1/keys", json={"scopes": ["jobs"]})).json()["key"]
    few = (await shared.post("/v1/keys", json={"quotas": {"requests": 4}})).json()["key"]
    call = {"model": "doubler", "input": [1]}
    assert (await send(shared, call, headers={"Authorization": f"Bearer {weak}"})).status_code == 403
    assert (await send(shared, call, headers={"Authorization": ""})).status_code == 401
    told = (await send(shared, *[call] * 6, headers={"Authorization": f"Bearer {few}"})).json()["responses"]
    assert sorted(each["status"] for each in told) == [200] * 3 + [429] * 3  # the list is one, too
    assert all(int(each["headers"]["retry-after"]) > 0 for each in told if each["status"] == 429)
    assert (await send(shared, call, headers={"Authorization": f"Bearer {KEY}"})).status_code == 200


@pytest.mark.parametrize(("body", "status", "field"), [
    ({"requests": []}, 422, "requests"), ({"requests": [{"model": "m", "input": 1}] * (MOST + 1)}, 413, "requests"),
    ({}, 422, "requests"), ({"requests": {}}, 422, "requests"), ([], 422, "requests"),
    ({"requests": [5]}, 422, "requests[0]"), ({"requests": [{}]}, 422, "requests[0].path"),
    ({"requests": [{"model": "m", "input": 1}, {"model": "m"}]}, 422, "requests[1].model"),
    ({"requests": [{"model": "m", "input": 1, "more": 1}]}, 422, "requests[0].more"),
    ({"requests": [{"id": 5, "model": "m", "input": 1}]}, 422, "requests[0].id"),
    ({"requests": [{"path": "/predict/m", "body": [1]}]}, 422, "requests[0].body"),
    ({"requests": [{"method": "GET", "path": "/predict/m", "body": {}}]}, 422, "requests[0].method")])
async def test_lists_that_cannot_be_read(body: Any, status: int, field: str, shared: httpx.AsyncClient) -> None:
    answer = await shared.post("/v1/batch", json=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text


@pytest.mark.parametrize("path", [
    "/v1/keys", "/v1/batch", "/v2/models/../repository/models/doubler/unload", "/v2/repository/index", "//predict/m",
    "/predict/m/../../v1/keys", "/predict/m?x=1/y", "predict/m", "", "http://elsewhere.example/predict/m",
    "/v2/models//infer", "/predict/%2e%2e%2f%2e%2e/v1/keys"])
async def test_nothing_but_inference_is_asked(path: str, shared: httpx.AsyncClient) -> None:
    answer = await send(shared, {"path": path, "body": {}})
    assert (answer.status_code, answer.json()["field"]) == (422, "requests[0].path"), answer.text


async def test_what_is_no_json_or_too_long(shared: httpx.AsyncClient) -> None:
    assert (await shared.post("/v1/batch", content=b"{")).status_code == 422
    assert (await shared.post("/v1/batch", content=b"[" * 100_000)).status_code == 422
    assert (await shared.post("/v1/batch", content=b" " * (5 << 20))).status_code == 413


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    async with asked(tmp_path_factory.mktemp("batch"), accounts=True) as there:
        yield there


@pytest.fixture
def shared(place: tuple[Running, httpx.AsyncClient]) -> httpx.AsyncClient:
    return place[1]
