"""How a version does, over REST: requests that were asked, feedback with samples, alerts that reach a receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub
import aimass_stream.watch.watch  # noqa: F401
from aimass_stream.hub.records import Change, Deployment
from aimass_stream.signing import key_of, signature
from tests.support.model_files import linear
from tests.support.model_hub import ADMIN, _examined, submitted
from tests.support.options import settings
from tests.support.server import Running, serve
from tests.test_webhooks import SECRET, receiving

pytestmark = pytest.mark.anyio

FISH = "/v1/hub/models/fish"
FIRST = f"{FISH}/versions/1"
NAN = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32",
                              "parameters": {"binary_data_size": 12}}]}).encode()


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path_factory.mktemp("data"), webhook_secret=SECRET)) as running:
        hub = running.state.hub
        hub.importer._examined = _examined  # without a process of its own
        await submitted(hub, "fish", {"model.onnx": linear()}, ADMIN)
        await hub.deployments.deploy(ADMIN, "fish", Deployment("production", 1))
        await hub.catalogue.change(ADMIN, "fish", Change(visibility="public"))
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def test_a_version_over_rest(http: httpx.AsyncClient, server: Running) -> None:
    assert (await http.get(f"{FIRST}/watch")).json() | {"days": []} == {
        "model": "fish@1", "requests": 0, "errors": 0, "refused": 0, "days": [], "drift": None,
        "latency_ms": {"p50": None, "p95": None, "p99": None}, "feedback": {"right": 0, "wrong": 0}}
    assert (await http.post("/predict/fish", json={"input": [[1, 2, 3]]})).status_code == 200
    body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
    assert (await http.post("/v2/models/fish/infer", json=body)).status_code == 200
    assert (await http.post("/predict/fish", json={"input": "fish"})).status_code == 422
    server.state.watch.sampler._due.clear()
    assert (await http.post("/v2/models/fish/infer", content=NAN + np.full(3, np.nan, np.float32).tobytes(), headers={
        "Inference-Header-Content-Length": str(len(NAN))})).status_code == 200
    told = (await http.get(f"{FISH}/versions/production/watch")).json()
    assert (told["requests"], told["errors"], told["refused"]) == (4, 0, 1)
    assert told["latency_ms"]["p50"] > 0
    assert [day["requests"] for day in told["days"]] == [4]
    assert [each["name"] for each in told["drift"]["inputs"]] == ["x[0]", "x[1]", "x[2]"]
    assert (told["drift"]["inputs"][1]["mean"], told["drift"]["inputs"][1]["missing"]) == (2, 0.5)
    assert (await http.delete(f"{FIRST}/watch/baseline")).status_code == 204
    assert (await http.get(f"{FIRST}/watch")).json()["drift"] is None
    assert [(await http.get(path)).status_code for path in (
        f"{FISH}/versions/9/watch", "/v1/hub/models/bird/versions/1/watch", f"{FIRST}/watch?days=0")] == [404, 404, 422]
    built_in = await http.get("/v1/hub/models/sign-digits/versions/1/watch")
    assert built_in.json()["requests"] == 0
    await people_say_what_they_think(http)


async def people_say_what_they_think(http: httpx.AsyncClient) -> None:
    async def give(**said: object) -> httpx.Response:
        return await http.post(f"{FIRST}/feedback", json=said)

    assert (await http.get(f"{FISH}/feedback")).json() == {"collect_samples": False}
    assert (await give(verdict="wrong", input=[[1, 2, 3]])).json()["sample"] is False
    assert (await http.put(f"{FISH}/feedback", json={"collect_samples": True})).status_code == 200
    again = [await http.post(f"{FIRST}/feedback", json={"verdict": "wrong"}, headers={"Idempotency-Key": "once"})
             for _ in range(2)]
    assert again[0].json() == again[1].json()
    assert (await http.delete(f"{FIRST}/feedback/{again[0].json()['id']}")).status_code == 204
    kept = await give(verdict="wrong", comment="<script>x</script>' OR 1=1", input=[[1, 2, 3]], expected=[[23, 28]])
    assert (kept.status_code, kept.json()["sample"]) == (201, True)
    for said, status in (({"verdict": "maybe"}, 422), ({"verdict": "right", "score": 1}, 422),
                         ({"verdict": "right", "comment": "x" * 4001}, 422),
                         ({"verdict": "right", "comment": "\0"}, 422),
                         ({"verdict": "right", "input": "x" * 300_000}, 413),
                         ({"verdict": "right", "input": "x" * 1_100_000}, 413)):
        refused = await give(**said)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    nan = await http.post(f"{FIRST}/feedback", content='{"verdict": "right", "input": NaN}',
                          headers={"Content-Type": "application/json"})
    assert nan.status_code == 422
    first = await http.get(f"{FIRST}/feedback", params={"verdict": "wrong", "limit": 1})
    assert [each["comment"] for each in first.json()["feedback"]] == ["<script>x</script>' OR 1=1"]
    rest = await http.get(f"{FIRST}/feedback", params={"limit": 5, "cursor": first.json()["next"]})
    assert ([each["sample"] for each in rest.json()["feedback"]], rest.json()["next"]) == ([None], None)
    lines = await http.get(f"{FIRST}/feedback/samples")
    assert lines.headers["content-type"] == "application/x-ndjson"
    [line] = [json.loads(each) for each in lines.text.splitlines()]
    assert (line["input"], line["expected"], line["verdict"]) == ([[1, 2, 3]], [[23, 28]], "wrong")
    assert (await http.delete(f"{FIRST}/feedback/{kept.json()['id']}")).status_code == 204
    assert (await http.delete(f"{FIRST}/feedback/{kept.json()['id']}")).status_code == 404
    assert (await http.delete(f"{FIRST}/feedback")).status_code == 204
    assert (await http.get(f"{FIRST}/watch")).json()["feedback"] == {"right": 0, "wrong": 0}


async def test_an_alert_reaches_its_webhook_and_no_private_one(http: httpx.AsyncClient, server: Running) -> None:
    async def put(**rule: object) -> httpx.Response:
        return await http.put(f"{FISH}/alerts", json={"rules": [{"metric": "error_rate", "above": 0.5} | rule]})

    for wrong in ({"webhook": "https://127.0.0.1/x"}, {"webhook": "https://localhost/x"}, {"webhook": "https://[::1]/"},
                  {"webhook": "http://example.com/"}, {"webhook": "https://u:p@example.com/"}, {"webhook": "gopher:x"},
                  {"above": -1}, {"over_s": 5}, {"metric": "weather"}, {"min_requests": 0}, {"url": "x"}):
        refused = await put(**wrong)
        assert refused.status_code == 422, wrong
    assert (await put(version=3)).status_code == 404
    assert (await http.get(f"{FISH}/alerts")).json() == {"alerts": []}
    server.state.settings.webhook_private = True
    async with receiving() as receiver:
        made = await put(min_requests=2, webhook=f"http://127.0.0.1:{receiver.port}/fish")
        assert made.json()["alerts"][0]["state"] == "well"
        tag = (await http.get(f"{FISH}/alerts")).headers["etag"]
        assert tag == made.headers["etag"]
        assert (await http.get(f"{FISH}/alerts", headers={"If-None-Match": tag})).status_code == 304
        late = await http.put(f"{FISH}/alerts", json={"rules": []}, headers={"If-Match": '"1"'})
        assert late.status_code == 412
        for _ in range(20):  # more than other tests asked in the same minutes
            server.state.watch.counts.request("fish@1", 0.1, RuntimeError("it broke"))
        await server.state.watch.look()
        await asyncio.wait_for(receiver.came.wait(), 30)
        await server.state.watch.look()
        [(line, headers, body)] = receiver.got
    assert line.startswith("POST /fish")
    assert headers["webhook-signature"] == signature(
        key_of(SECRET), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    told = json.loads(body)
    assert (told["type"], told["data"]["model"]) == ("model.alert.firing", "fish")
    assert 0.5 < told["data"]["value"] <= 1
    [alert] = (await http.get(f"{FISH}/alerts")).json()["alerts"]
    assert (alert["state"], alert["value"], alert["detail"]) == ("firing", told["data"]["value"], "")
    log = (await http.get("/v1/audit", params={"what": "model.alert.firing"})).json()
    assert [each["object"] for each in log["entries"]] == ["fish"]
    assert (await http.delete(f"{FISH}/alerts")).status_code == 204
    assert (await http.get(f"{FISH}/alerts")).json() == {"alerts": []}
