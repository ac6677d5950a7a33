"""The short form: {"input": ...} to {"output": ...}, with numbers, lists, texts and pictures."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import httpx
import jsonschema
import numpy as np
import pytest

from tests.support.giving import giving
from tests.support.models import Adder, Doubler
from tests.support.offered import Mirror, Pile, Reciprocal
from tests.support.options import settings
from tests.support.server import serve

pytestmark = pytest.mark.anyio


def png(height: int = 64, width: int = 96) -> bytes:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = (0, 0, 255)
    return cv2.imencode(".png", picture)[1].tobytes()


def pixels(url: str) -> Any:
    assert url.startswith("data:image/png;base64,")
    return cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)


async def refused(http: httpx.AsyncClient, model: str, body: Any, status: int = 422) -> dict[str, Any]:
    answer = await http.post(f"/predict/{model}", json=body)
    assert answer.status_code == status, (model, str(body)[:80], answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    return told


async def test_models_of_the_package_in_the_shortest_way() -> None:
    async with (serve(settings(predict="sign-digits", fetch_private=True)) as server,
                httpx.AsyncClient(base_url=server.url, timeout=120) as http):
        # a server with one model needs no name, as in the mission's own example
        chances = (await http.post("/predict", json={"input": [0.5] * 42})).json()["output"]
        assert (len(chances), sum(chances)) == (10, pytest.approx(1, abs=1e-4))
        two = (await http.post("/predict/sign-digits", json={"input": [[0.5] * 42] * 2})).json()["output"]
        assert two[0] == two[1] == pytest.approx(chances, abs=1e-4)
        described = (await http.get("/predict")).json()
        assert (described["model"], described["input"]["minItems"]) == ("sign-digits", 42)
        jsonschema.validate([0.5] * 42, described["input"])
        told = await refused(http, "sign-digits", {"input": [0.5] * 41})
        assert (told["input"], "42" in told["detail"]) == (described["input"], True)

        picture = base64.b64encode(png()).decode()
        painted = await http.post("/predict/golden-hour", json={"input": picture})
        assert pixels(painted.json()["output"]).shape == (64, 96, 3)
        assert painted.headers["x-model"].startswith("golden-hour@")
        form = await http.post("/predict/golden-hour", files={"input": ("a.png", png(), "image/png")})
        assert form.json() == painted.json()
        async with giving({"/a.png": "200 OK", "/b": "404 Not Found"}, png()) as (place, _):
            named = await http.post("/predict/golden-hour", json={"input": f"{place}/a.png"})
            assert named.json() == painted.json()
            assert "404" in (await refused(http, "golden-hour", {"input": f"{place}/b"}))["detail"]
        url = await http.post("/predict/opencv-faces", json={"input": f"data:image/png;base64,{picture}"})
        assert url.json()["output"] == {"boxes": [], "scores": [], "points": [], "texts": []}
        schema = (await http.get("/predict/golden-hour")).json()["input"]
        for wrong in ("", "no base64!", "data:image/png,abc", base64.b64encode(b"no picture").decode(), 5, None, [[1]]):
            assert (await refused(http, "golden-hour", {"input": wrong}))["input"] == schema
        broken = base64.b64encode(png()[:60] + b"x" * 100_000).decode()  # too long to be read on the loop
        assert "picture" in (await refused(http, "golden-hour", {"input": broken}))["detail"]
        assert (await http.post("/predict/sign-digits", files={"input": ("a", png())})).status_code == 422
        assert (await http.post("/predict/asr-nano-en", json={"input": 1})).status_code == 404


async def test_numbers_lists_and_texts() -> None:
    there = [Doubler(), Adder(), Reciprocal(), Mirror("texts", "object", (None,), "text"),
             Mirror("row", "float32", (4,)), Mirror("wide", "float64")]
    async with serve(settings()) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        for model in there:
            await server.state.offered.engine.add(model)
        server.state.offered.catalogue = Pile(*there)

        async def ask(model: str, value: Any) -> Any:
            answer = await http.post(f"/predict/{model}", json={"input": value})
            assert answer.status_code == 200, answer.text
            return answer.json()["output"]

        assert await ask("doubler", [1, 2.5]) == [2, 5]
        assert await ask("doubler", [[1], [3]]) == [[2], [6]]
        assert await ask("doubler", {"x": [1, 2]}) == [2, 4]
        assert await ask("texts", "天气") == "天气"
        assert await ask("texts", ["a", ""]) == ["a", ""]
        assert await ask("row", [1, 2, 3, 4]) == [1, 2, 3, 4]
        assert [await ask("adder", [2]), await ask("adder", [3])] == [[2], [3]]
        assert await ask("reciprocal", [4, 0]) == {"inverse": [0.25, None], "rows": 0}
        long = np.random.default_rng(1).normal(size=(2, 8000)).round(4).tolist()
        assert await ask("wide", long) == long
        values: list[Any] = [None, "text", {}, {"z": [1]}, [], [[]], [[1], [2, 3]], [[[1]]], ["1"], [1e99], [None]]
        for value in values:
            told = await refused(http, "doubler", {"input": value})
            assert told["field"].startswith("input") or "x" in told["detail"], told
            assert told["input"]["type"] == "array"
        assert (await refused(http, "wide", {"input": [*long[:1], long[0] + [1]]}))["status"] == 422
        for body in ({}, {"input": [1], "more": 1}, [1], 5):
            assert (await http.post("/predict/doubler", json=body)).status_code in (400, 422)
        assert (await http.post("/predict/doubler", content=b"{")).status_code == 400
        several = await http.post("/predict", json={"input": [1]})
        assert (several.status_code, "6 models" in several.json()["detail"]) == (422, True)
        assert (await http.post("/predict/nothing", json={"input": [1]})).status_code == 404
