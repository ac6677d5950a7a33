"""The model hub over REST: a file is uploaded, checked, tried, deployed, asked, compared, and taken away again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub  # noqa: F401
from aimass_stream.ports import ROLES, Caller
from aimass_stream.spec import PipelineSpec
from tests.support.model_files import linear
from tests.support.options import settings
from tests.support.server import Running, serve
from tests.support.small_networks import colours

pytestmark = pytest.mark.anyio

MODEL = linear(bias=1)
PART = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path / "data")) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def upload(http: httpx.AsyncClient, content: bytes, name: str = "model.onnx") -> str:
    digest = hashlib.sha256(content).hexdigest()
    begun = await http.post("/v1/uploads", json={"name": name, "size": len(content), "sha256": digest})
    assert begun.status_code == 201, begun.text
    where = begun.headers["location"]
    for start in range(0, len(content), 100):
        answer = await http.patch(where, content=content[start : start + 100], headers=PART | {
            "Upload-Offset": str(start)})
        assert answer.status_code == 204, answer.text
    assert answer.headers["upload-sha256"] == digest
    return where.rpartition("/")[2]


async def version(http: httpx.AsyncClient, name: str, content: bytes, **told: Any) -> dict[str, Any]:
    """A new one, as it is once it is checked."""
    sent = await http.post(f"/v1/hub/models/{name}/versions", json={
        "uploads": {"model.onnx": await upload(http, content)}, "manifest": told})
    assert sent.status_code == 202, sent.text
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = (await http.get(sent.headers["location"])).json()
            if found["state"] != "checking":
                return found
            await asyncio.sleep(0.05)


async def test_from_an_upload_to_an_answer_and_back(http: httpx.AsyncClient, server: Running) -> None:
    made = await http.post("/v1/hub/models", json={
        "name": "fish", "title": "Fish", "task": "regression", "tags": ["Sea"], "card": "# Fish <script>x</script>",
        "visibility": "public"})
    assert made.status_code == 201, made.text
    assert "<script>" not in made.json()["card_html"]
    first = await version(http, "fish", MODEL, example={"x": [[1, 2, 3]]})
    assert (first["state"], first["reason"], first["model"]) == ("ready", "", "fish@1")
    assert first["facts"]["trial"]["outputs"][0]["values"] == [[23, 29]]
    tried = await http.post("/v1/hub/models/fish/versions/1/try", json={"input": [[1, 1, 1]]})
    assert tried.json()["output"] == {"y": [[10, 13]]}
    assert (await http.post("/predict/fish", json={"input": [[1, 1, 1]]})).status_code == 404
    deployed = await http.put("/v1/hub/models/fish/aliases/production", json={"version": 1})
    assert deployed.status_code == 200, deployed.text
    asked = await http.post("/predict/fish", json={"input": [[1, 1, 1]]})
    assert asked.status_code == 200, asked.text
    assert asked.headers["x-model"] == "fish@1"
    metadata = (await http.get("/v2/models/fish/versions/1")).json()
    assert metadata["inputs"][0]["shape"] == [-1, 3]
    second = await version(http, "fish", linear(bias=5))
    await http.put("/v1/hub/models/fish/aliases/production", json={"version": second["number"]})
    assert (await http.post("/predict/fish", json={"input": [[1, 1, 1]]})).headers["x-model"] == "fish@2"
    back = await http.post("/v1/hub/models/fish/aliases/production/rollback")
    assert back.json()["version"] == 1
    assert (await http.post("/predict/fish", json={"input": [[1, 1, 1]]})).headers["x-model"] == "fish@1"
    assert [each["version"] for each in (await http.get("/v1/hub/models/fish/aliases/production/history")).json()[
        "deployments"]] == [1, 2, 1]
    auto = (await http.get("/v1/hub/auto", params={"task": "regression"})).json()
    assert auto["model"] == "fish@1"
    assert "regression" in auto["reason"]
    by_auto = await http.post("/predict/auto:regression", json={"input": [[1, 1, 1]]})
    assert (by_auto.headers["x-model"], by_auto.headers["x-model-reason"]) == ("fish@1", auto["reason"])
    compared = (await http.get("/v1/hub/models/fish/compare", params={"a": "1", "b": "latest"})).json()
    assert compared["files"]["changed"].keys() == {"model.onnx"}
    assert compared["operators"] == {"added": [], "removed": [], "changed": {}}
    graph = (await http.get("/v1/hub/models/fish/versions/production/graph")).json()
    assert [node["kind"] for node in graph["nodes"]] == ["MatMul", "Add"]
    file = await http.get("/v1/hub/models/fish/versions/1/files/model.onnx", headers={"Range": "bytes=0-9"})
    assert (file.status_code, file.content) == (206, MODEL[:10])
    for path in ("/v1/hub/models/fish", "/v1/hub/models/fish/versions/1"):
        refused = await http.delete(path)
        assert refused.status_code == 409
        assert "the alias production" in refused.json()["detail"]
    assert (await http.delete("/v1/hub/models/fish/aliases/production")).status_code == 204
    assert (await http.delete("/v1/hub/models/fish")).status_code == 204
    assert (await http.get("/v1/hub/models/fish")).status_code == 404
    assert "fish@1" not in server.node.engine.models()


REFUSED: list[tuple[dict[str, Any], dict[str, str], int]] = [
    ({"name": "../m", "size": 5}, {}, 422), ({"name": "m", "size": 0}, {}, 422), ({"name": "m"}, {}, 422),
    ({"name": "m", "size": 1 << 50}, {}, 413), ({"name": "m", "size": 5, "sha256": "x"}, {}, 422),
    ({}, {"Upload-Length": "many"}, 422), ({}, {"Upload-Length": "5", "Upload-Metadata": "filename !"}, 422)]


async def test_uploads_by_tus(http: httpx.AsyncClient) -> None:
    options = await http.options("/v1/uploads")
    assert options.headers["tus-extension"] == "creation,termination,expiration"
    name = base64.b64encode(b"model.onnx").decode()
    begun = await http.post("/v1/uploads", headers={"Upload-Length": "5", "Upload-Metadata": f"filename {name}"})
    where = begun.headers["location"]
    part = await http.patch(where, content=b"ab", headers=PART | {"Upload-Offset": "0"})
    assert (part.status_code, part.headers["upload-offset"]) == (204, "2")
    head = await http.head(where)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("2", "5")
    wrong = await http.patch(where, content=b"x", headers=PART | {"Upload-Offset": "0"})
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 2)
    assert (await http.patch(where, content=b"x", headers={"Upload-Offset": "2"})).status_code == 415
    assert (await http.patch(where, content=b"x" * 9, headers=PART | {"Upload-Offset": "2"})).status_code == 413
    assert (await http.delete(where)).status_code == 204
    assert (await http.head(where)).status_code == 404
    for body, headers, status in REFUSED:
        answer = await http.post("/v1/uploads", json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert (await http.get("/v1/uploads")).json() == {"uploads": []}


async def test_the_catalogue(http: httpx.AsyncClient) -> None:
    for number in range(3):
        await http.post("/v1/hub/models", json={"name": f"fish-{number}", "tags": ["sea"]})
    first = await http.get("/v1/hub/models", params={"tag": "sea", "limit": 2})
    assert [model["name"] for model in first.json()["models"]] == ["fish-2", "fish-1"]
    assert "cursor=" in first.headers["link"]
    rest = await http.get("/v1/hub/models", params={"tag": "sea", "limit": 2, "cursor": first.json()["next"]})
    assert ([model["name"] for model in rest.json()["models"]], rest.json()["next"]) == (["fish-0"], None)
    built_in = (await http.get("/v1/hub/models", params={"q": "scream", "built_in": "true"})).json()["models"]
    assert [model["name"] for model in built_in] == ["style-scream"]
    assert {"tag": "sea", "models": 3} in (await http.get("/v1/hub/tags")).json()
    assert (await http.get("/v1/hub/models", params={"cursor": "x"})).status_code == 422
    await not_overwritten(http)
    await rated_and_commented(http)


async def not_overwritten(http: httpx.AsyncClient) -> None:
    """What others changed meanwhile."""
    made = await http.post("/v1/hub/models", json={"name": "fish"})
    tag = made.headers["etag"]
    assert (await http.get("/v1/hub/models/fish", headers={"If-None-Match": tag})).status_code == 304
    changed = await http.patch("/v1/hub/models/fish", json={"title": "Fish"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["title"]) == (200, "Fish")
    late = await http.patch("/v1/hub/models/fish", json={"title": "Bird"}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert (await http.patch("/v1/hub/models/fish", json={"owner": "me"})).status_code == 422


async def rated_and_commented(http: httpx.AsyncClient) -> None:
    assert (await http.put("/v1/hub/models/fish/rating", json={"stars": 4})).json() == {"rating": 4, "ratings": 1}
    said = await http.post("/v1/hub/models/fish/comments", json={"text": "<b>good</b>"})
    assert said.status_code == 201
    comments = (await http.get("/v1/hub/models/fish/comments")).json()["comments"]
    assert [each["text"] for each in comments] == ["<b>good</b>"]
    assert (await http.delete(f"/v1/hub/models/fish/comments/{said.json()['id']}")).status_code == 204
    assert (await http.put("/v1/hub/models/fish/rating", json={"stars": 6})).status_code == 422


async def test_a_model_of_the_hub_in_a_session(http: httpx.AsyncClient, server: Running, tmp_path: Path) -> None:
    """It keeps the version that it began with, and that version can't be deleted."""
    folder = tmp_path / "made"
    folder.mkdir()
    colours(folder)
    await http.post("/v1/hub/models", json={"name": "hues", "task": "classification", "visibility": "public"})
    options = {"labels": ["red", "green", "blue"], "colour": "rgb", "scale": 255, "fit": "crop"}
    for number in (1, 2):
        found = await version(http, "hues", (folder / "colours" / "model.onnx").read_bytes(), options=options)
        assert (found["state"], found["number"]) == ("ready", number), found["reason"]
    await http.put("/v1/hub/models/hues/aliases/production", json={"version": 1})
    caller = Caller("somebody", role="admin", scopes=ROLES["admin"])
    spec = PipelineSpec.parse([{"stage": "classify", "model": "hues"}])
    session = await server.node.open(spec, caller=caller, transport="websocket")
    await http.put("/v1/hub/models/hues/aliases/production", json={"version": 2})
    await session.update(pipeline=[{"stage": "classify", "model": "hues", "top": 1}])
    assert session.spec.json() == [{"stage": "classify", "model": "hues@1", "top": 1}]
    refused = await http.delete("/v1/hub/models/hues/versions/1")
    assert refused.status_code == 409
    assert session.id in refused.json()["detail"]
    await server.node.end(session.id, "over")
    assert (await http.delete("/v1/hub/models/hues/versions/1")).status_code == 204
