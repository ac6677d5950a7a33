"""What a single picture is of, over REST: a real network on plain colours, and a server that has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import aimass_stream.engines.onnx  # noqa: F401  its import takes a while: not inside a test
from aimass_stream import fonts
from aimass_stream.inference import FolderStore
from tests.support import small_networks
from tests.support.options import settings
from tests.support.picture_files import file
from tests.support.server import serve
from tests.support.shelves import shelved

pytestmark = pytest.mark.anyio

fonts.available()
RED = file(Image.new("RGB", (320, 180), (200, 60, 60)))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[FolderStore]:
    with shelved(tmp_path) as store:
        yield store


@pytest.fixture
async def http(shelf: FolderStore) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(settings()) as running, httpx.AsyncClient(base_url=running.url, timeout=60) as client:
        yield client


async def ask(http: httpx.AsyncClient, image: bytes = RED, accept: str = "*/*", **fields: str) -> httpx.Response:
    return await http.post("/v1/vision/classify", files={"image": ("my picture", image)}, data=fields,
                           headers={"accept": accept})


async def test_the_likeliest_labels_of_a_picture(http: httpx.AsyncClient, tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    told = (await ask(http, threshold="0")).json()
    assert set(told) == {"model", "labels"}
    assert told["model"] == "colours"
    scores = [each["score"] for each in told["labels"]]
    assert told["labels"][0]["label"] == "red"
    assert {each["label"] for each in told["labels"]} == {"red", "green", "blue"}
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=0.002)
    [most] = (await ask(http, top="1")).json()["labels"]
    assert most == told["labels"][0]
    assert (await ask(http, threshold="1")).json()["labels"] == []


async def test_the_picture_with_labels_in_its_corner(http: httpx.AsyncClient, tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    answer = await ask(http, accept="image/png")
    assert (answer.headers["content-type"], answer.headers["x-model"]) == ("image/png", "colours")
    changed = np.argwhere((np.asarray(Image.open(BytesIO(answer.content))) != (200, 60, 60)).any(axis=2))
    assert len(changed) > 100
    assert changed.max(axis=0)[0] < 40


async def test_what_is_refused(http: httpx.AsyncClient, tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    for fields, status, field in (({"model": "places"}, 404, "model"), ({"top": "0"}, 422, "top"),
                                  ({"top": "1.5"}, 422, "top"), ({"threshold": "2"}, 422, "threshold"),
                                  ({"tiles": "2"}, 422, "tiles")):
        refused = await ask(http, **fields)  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["field"]) == (status, field)
    assert "there are: colours" in (await ask(http, model="places")).json()["detail"]
    assert (await ask(http, b"no picture")).status_code in (415, 422)


async def test_without_a_network_it_says_what_to_put_where(http: httpx.AsyncClient) -> None:
    refused = await ask(http)
    assert refused.status_code == 503
    assert "put a folder with a network and its model.toml" in refused.json()["detail"]
    assert 'task = "classification"' in refused.json()["detail"]
    assert "AIMASS_MODEL_DIRS" in refused.json()["detail"]
