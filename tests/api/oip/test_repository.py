"""The protocol's metadata, health, statistics and repository, over the models that come with the package."""

from __future__ import annotations

import httpx
import pytest

from tests.support.offered import offering
from tests.support.options import settings
from tests.support.server import serve

pytestmark = pytest.mark.anyio

POINTS = {"inputs": [{"name": "points", "shape": [1, 42], "datatype": "FP32", "data": [0.5] * 42}]}
SIGNS = "/v2/models/sign-digits"


async def test_models_of_the_package_are_described_run_unloaded_and_loaded_again() -> None:
    key = "a key for tests"
    async with (serve(settings(api_key=key)) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        for answer in (await http.get(SIGNS), await http.post(f"{SIGNS}/infer", json=POINTS)):
            assert (answer.status_code, list(answer.json())) == (401, ["error"])
        assert (await http.get("/v2/health/live")).status_code == 200
        http.headers["Authorization"] = f"Bearer {key}"
        told = (await http.get("/v2")).json()
        assert (told["name"], "binary_tensor_data" in told["extensions"]) == ("aimass-stream", True)
        assert (await http.get("/v2/health/live")).status_code == 200
        assert (await http.get("/v2/health/ready")).json() == {"ready": True}
        listed = {each["name"]: each for each in (await http.post("/v2/repository/index")).json()}
        assert "asr-nano-en" not in listed, "takes whole requests, not tensors"
        assert listed["sign-digits"]["state"] == "UNAVAILABLE"
        assert "first request" in listed["sign-digits"]["reason"]
        model = (await http.get(SIGNS)).json()
        assert model["inputs"][0]["name"] == "points"
        assert (model["inputs"][0]["shape"], model["inputs"][0]["datatype"]) == ([-1, 42], "FP32")
        assert (await http.get(f"{SIGNS}/versions/{model['versions'][0]}")).json() == model
        assert (await http.get(f"{SIGNS}/versions/99")).status_code == 404
        assert (await http.get(f"{SIGNS}/ready")).json() == {"name": "sign-digits", "ready": True}
        answer = (await http.post(f"{SIGNS}/infer", json=POINTS)).json()
        assert sum(answer["outputs"][0]["data"]) == pytest.approx(1, abs=1e-4)
        ready = (await http.post("/v2/repository/index", json={"ready": True})).json()
        assert [each["name"] for each in ready] == ["sign-digits"]
        missing = await http.get("/v2/models/nothing")
        assert (missing.status_code, list(missing.json())) == (404, ["error"])
        assert (await http.post("/v2/repository/models/sign-digits/load")).status_code == 200
        assert "sign-digits" in server.state.offered.engine.models()
        assert (await http.post("/v2/repository/models/sign-digits/unload", json={})).status_code == 200
        assert "sign-digits" not in server.state.offered.engine.models()
        refused = await http.post(f"{SIGNS}/infer", json=POINTS)
        assert (refused.status_code, "unloaded" in refused.json()["error"]) == (503, True)
        assert (await http.get(f"{SIGNS}/ready")).status_code == 503
        index = (await http.post("/v2/repository/index")).json()
        assert {each["name"]: each["reason"] for each in index}["sign-digits"] == "unloaded"
        assert (await http.post("/v2/repository/models/sign-digits/load", json={
            "parameters": {"config": "{}"}})).status_code == 400
        assert (await http.post("/v2/repository/models/nothing/load")).status_code == 404
        assert (await http.post("/v2/repository/models/sign-digits/load", content=b"[")).status_code == 400
        assert (await http.post("/v2/repository/models/sign-digits/load", content=b"1" * 100_000)).status_code == 413
        assert (await http.post("/v2/repository/models/sign-digits/load")).status_code == 200
        assert (await http.post(f"{SIGNS}/infer", json=POINTS)).status_code == 200


async def test_statistics_count_what_happened() -> None:
    async with offering() as (_, http):
        one = {"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]}
        for _ in range(3):
            await http.post("/v2/models/doubler/infer", json={"inputs": [one]})
        await http.post("/v2/models/doubler/infer", json={"inputs": []})
        [told] = (await http.get("/v2/models/doubler/stats")).json()["model_stats"]
        spent = told["inference_stats"]
        assert (told["inference_count"], spent["success"]["count"], spent["fail"]["count"]) == (6, 3, 1)
        assert spent["success"]["ns"] >= spent["compute_infer"]["ns"] > 0
        assert told["execution_count"] >= 3
        assert told["last_inference"] > 1e12
        every = (await http.get("/v2/models/stats")).json()["model_stats"]
        assert told["name"] in {each["name"] for each in every}
        assert (await http.get("/v2/models/doubler/versions/1/stats")).json()["model_stats"][0]["inference_count"] == 6
