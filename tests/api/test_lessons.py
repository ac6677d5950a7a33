"""Styles that are learned as jobs, over REST: one that really is, and what is refused at once."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_stream import training
from aimass_stream.errors import Unavailable
from aimass_stream.inference import installed
from aimass_stream.training import judge
from tests.support import styles
from tests.support.options import settings
from tests.support.painters import judge as judge_file
from tests.support.painters import painted
from tests.support.picture_files import file
from tests.support.server import serve

pytestmark = pytest.mark.anyio

PAINTED = file(painted())


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of models where there is one style, and a judge whose weights are chance."""
    folder = tmp_path / "given"
    styles.write(folder, "style-udnie", title="Udnie")
    store, before = installed(), installed().folders
    store.folders = (folder,)
    monkeypatch.setattr(judge, "CHECKOUT", judge_file(tmp_path))
    monkeypatch.setattr(training, "NEEDED", ())  # what is refused here is refused without torch, too
    yield folder
    store.folders = before


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (serve(settings(data_dir=tmp_path / "data")) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as client):
        yield client


async def learn(http: httpx.AsyncClient, picture: bytes = PAINTED, **fields: str) -> httpx.Response:
    return await http.post("/v1/images/style/train", files={"style_image": ("my wall.png", picture)}, data=fields)


@pytest.mark.timeout(300)
async def test_a_style_is_learned_and_offered(http: httpx.AsyncClient, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pulled = tmp_path / "data" / "models" / judge.WEIGHTS
    await asyncio.to_thread(pulled.mkdir, parents=True)
    # the child knows nothing of what this test changed: its judge is one that was pulled
    await asyncio.to_thread(_as_pulled, judge_file(tmp_path), pulled / judge.FILE)
    answer = await learn(http, name="Thick strokes", steps="1")
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert begun["facts"] == {"style": "thick-strokes", "title": "Thick strokes", "steps": 1}
    told: list[dict[str, Any]] = []
    async with http.stream("GET", f"/v1/jobs/{begun['id']}/events", timeout=240) as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line[6:]))
    assert told[-1]["state"] == "done", told[-1]["error"]
    assert any(job["message"] == "step 1 of 1" for job in told)
    assert told[-1]["preview"] >= 1
    assert told[-1]["facts"]["style_left"] > 0
    listed = (await http.get("/v1/images/styles", params={"said": "thick stroke"})).json()
    assert [each["name"] for each in listed["styles"]] == ["thick-strokes", "udnie"]
    assert listed["meant"] == "thick-strokes"
    folder = (await http.get(f"/v1/jobs/{begun['id']}/result")).content
    names = zipfile.ZipFile(io.BytesIO(folder)).namelist()
    assert {"style-thick-strokes/model.toml", "style-thick-strokes/style.safetensors"} <= set(names)
    made = await http.post("/v1/images/style", files={"image": PAINTED}, data={"style": "thick strokes"})
    assert made.headers["x-style"] == "thick-strokes"
    again = await learn(http, name="thick STROKES")
    assert (again.status_code, "is a style 'thick-strokes' already" in again.json()["detail"]) == (409, True)


def _as_pulled(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(source), target)


async def test_what_can_not_be_learned_is_told_at_once(http: httpx.AsyncClient) -> None:
    wrong: list[tuple[dict[str, str], str, str]] = [
        ({}, "name", "what the style is to be called"), ({"name": " "}, "name", "1 to 48"),
        ({"name": "x" * 49}, "name", "1 to 48"), ({"name": "One", "steps": "0"}, "steps", "1 to"),
        ({"name": "One", "steps": "many"}, "steps", "1 to"),
        ({"name": "One", "size": "2"}, "size", "style_image, name, steps")]
    for fields, field, told in wrong:
        answer = await learn(http, PAINTED, **fields)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert told in answer.json()["detail"]
    assert (await learn(http, name="Udnie")).status_code == 409
    broken = await learn(http, PAINTED[:-500], name="Half")
    assert (broken.status_code, "cut off" in broken.json()["detail"]) == (422, True)
    for side, told in ((90, "one flat colour"), (1, "1x1 px")):
        answer = await learn(http, file(np.full((side, side, 3), 60, np.uint8)), name="Flat")
        assert (answer.status_code, answer.json()["field"]) == (422, "style_image")
        assert told in answer.json()["detail"]
    assert (await http.get("/v1/jobs")).json() == {"jobs": [], "next": None}


async def test_what_is_missing_is_told(http: httpx.AsyncClient, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await http.get("/v1/images/styles")).json()["unable"] == ""
    monkeypatch.setattr(judge, "CHECKOUT", tmp_path / "nothing")
    answer = await learn(http, name="One", steps="-1")
    assert (answer.status_code, answer.json()["field"]) == (422, "steps")  # this first: it can be mended at once
    answer = await learn(http, name="One")
    assert "--" not in answer.json()["detail"]  # nobody here is at a command line
    assert (await http.get("/v1/images/styles")).json()["unable"] == answer.json()["detail"]
    assert (answer.status_code, "aimass models pull" in answer.json()["detail"]) == (503, True)
    monkeypatch.setattr(training, "NEEDED", ("torch_that_is_not_there",))
    with pytest.raises(Unavailable, match="training needs torch_that_is_not_there"):
        training.check()
    answer = await learn(http, name="One")
    assert (answer.status_code, "pip install" in answer.json()["detail"]) == (503, True)
