"""Conversions over REST: what there is, a job and what came of it, and who may begin one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.conversions.orders
import aimass_stream.hub.hub  # noqa: F401
from aimass_stream.client import Client
from aimass_stream.hub.conversions import kinds
from tests.support.command import Done, here
from tests.support.conversions import layers
from tests.support.model_hub import _examined
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path_factory.mktemp("data"))) as running:
        running.state.hub.importer._examined = _examined  # without a process of its own
        yield running


async def test_a_version_is_converted_and_followed(server: Running, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(layers())
    async with Client(server.url) as client, httpx.AsyncClient(base_url=server.url) as http:
        version = await client.models.upload("fish", tmp_path / "model.onnx")
        assert (await client.models.checked("fish", version.number)).state == "ready"
        begun = await client.models.convert("fish", "half", 1, idempotency_key="a")
        assert begun.kind == "model-conversion"
        assert (await client.models.convert("fish", "half", 1, idempotency_key="a")).id == begun.id
        job = await client.jobs.wait(begun.id)
        assert job.facts["version"] == 2
        made = await client.models.version("fish", 2)
        assert made.facts["conversion"]["size"]["after"] < made.facts["conversion"]["size"]["before"]
        path = await client.jobs.result(job.id, tmp_path / "report.json")
        assert '"model": "fish"' in path.read_text(encoding="utf-8")
        route = "/v1/hub/models/fish/versions/1/conversions"
        wrong = await http.post(route, json={"kind": "onnx"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "kind")
        assert (await http.post(route, json={"kind": "half", "colour": 1})).status_code == 422
        assert (await http.post(route.replace("fish", "cod"), json={"kind": "half"})).status_code == 404

        async def aimass(*arguments: str) -> Done:
            return await asyncio.to_thread(lambda: here(*arguments, AIMASS_URL=server.url))

        done = await aimass("models", "convert", "fish@1", "prune", "--option", "share=0.75", "--follow")
        assert done.code == 0, done.err
        assert "fish@3 is prune of fish@1" in done.out
        assert "75.0%" in done.out
        refused = await aimass("models", "convert", "fish@1", "prune", "--option", "share=2")
        assert refused.code == 1
        assert "share is 0.01 to 0.99" in " ".join(refused.err.split())
        assert (await aimass("models", "convert", "fish@1", "prune", "--option", "share")).code == 2
        listed = await aimass("models", "conversions")
        assert 'across="tensor" (tensor, model)' in listed.out
        assert "  mxnet: -symbol.json, .params" in listed.out


async def test_what_there_is_and_what_it_needs(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        told = {each["kind"]: each for each in (await http.get("/v1/hub/conversions")).json()["conversions"]}
        assert told["int8"]["takes"] == [{"format": "onnx", "here": True, "install": ""}]
        assert told["prune"]["options"][1]["choices"] == ["tensor", "model"]
        monkeypatch.setattr(kinds, "find_spec", lambda _: None)
        told = {each["kind"]: each for each in (await http.get("/v1/hub/conversions")).json()["conversions"]}
        assert told["int8"]["takes"][0] == {
            "format": "onnx", "here": False, "install": "pip install 'aimass-stream[convert]'"}
