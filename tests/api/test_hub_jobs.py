"""What the hub does for somebody, seen as jobs: checks of versions, and files that it fetches by their address."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import tests.support.accounts  # noqa: F401
from tests.support import model_hub
from tests.support.hub import hub_with
from tests.support.model_files import linear
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

MODEL = linear(bias=1)
LONG = random.Random(1).randbytes(400_000)
SHA256 = hashlib.sha256(LONG).hexdigest()


class Breaks(dict[str, int]):
    """A line that breaks when the file is looked at, and once more when it is fetched."""

    def __init__(self, after: dict[str, int]) -> None:
        super().__init__(after)
        self.left = 2

    def pop(self, name: str, usual: Any = None) -> Any:
        self.left -= name in self
        return self[name] if name in self and self.left >= 0 else usual


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    given: dict[str, Any] = {"data_dir": folder, "fetch_private": True}
    async with (serve(settings(**(given | options))) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        server.state.hub.importer._examined = model_hub._examined  # without a sandbox: hundredths of a second
        yield server, http


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server that several tests share: each has a model of its own."""
    async with opened(tmp_path_factory.mktemp("hub")) as there:
        yield there


async def last(http: httpx.AsyncClient, job: str) -> dict[str, Any]:
    """The job as it was at its end, by its events."""
    told: dict[str, Any] = {}
    async with asyncio.timeout(60), http.stream("GET", f"/v1/jobs/{job}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data:"):
                told = json.loads(line[5:])
    return told


async def submitted(http: httpx.AsyncClient, server: Running, content: bytes, model: str = "fish"
                    ) -> dict[str, Any]:
    upload = await model_hub.uploaded(server.state.hub, content, model_hub.ADMIN)
    answer = await http.post(f"/v1/hub/models/{model}/versions", json={"uploads": {"model.onnx": upload}})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_check_is_a_job(place: tuple[Running, httpx.AsyncClient]) -> None:
    server, http = place
    assert (await http.post("/v1/hub/models", json={"name": "crab"})).status_code == 201
    good = await last(http, (await submitted(http, server, MODEL, "crab"))["job"])
    assert (good["state"], good["kind"]) == ("done", "import")
    assert (good["facts"]["model"], good["facts"]["state"]) == ("crab@1", "ready")
    result = (await http.get(f"/v1/jobs/{good['id']}/result")).json()
    assert result["facts"]["trial"]
    bad = await last(http, (await submitted(http, server, b"no model", "crab"))["job"])
    assert (bad["state"], "crab@2 is refused" in bad["error"]["detail"]) == ("failed", True)


async def test_checks_are_ended_and_take_no_places_from_others(tmp_path: Path) -> None:
    async with opened(tmp_path, max_jobs=1, fetch_private=False) as (server, http):
        begun, importer = asyncio.Event(), server.state.hub.importer

        async def hangs(*_: Any) -> dict[str, Any]:
            begun.set()
            await asyncio.get_running_loop().create_future()
            return {}

        importer._examined = hangs
        await http.post("/v1/hub/models", json={"name": "fish"})
        first, second, third = [await submitted(http, server, MODEL) for _ in range(3)]
        await begun.wait()
        cancelled = await http.post(f"/v1/jobs/{second['job']}/cancel")  # which waits for its turn
        assert cancelled.status_code == 200, cancelled.text
        await last(http, second["job"])
        importer._examined = model_hub._examined
        assert (await http.delete(f"/v1/jobs/{first['job']}")).status_code == 204  # which is being checked
        assert (await last(http, third["job"]))["state"] == "done"
        found = (await http.get("/v1/hub/models/fish/versions")).json()["versions"]
        assert [(each["number"], each["state"]) for each in found] == [(3, "ready"), (2, "refused"), (1, "refused")]
        assert "cancelled" in found[1]["reason"]
        await private_addresses_are_refused(http)


async def private_addresses_are_refused(http: httpx.AsyncClient) -> None:
    with hub_with({"model.onnx": MODEL}) as there:
        url = f"{there.url}/plain/model.onnx"
        for where in (url, url.replace("http:", "https:"), "https://[::1]/x", "https://169.254.169.254/latest"):
            refused = await http.post("/v1/uploads", json={"url": where})
            assert (refused.status_code, refused.json()["field"]) == (422, "url"), refused.text
        assert there.asked == []


async def test_a_file_is_fetched_and_gone_on_with_where_the_line_broke(
        place: tuple[Running, httpx.AsyncClient]) -> None:
    _, http = place
    with hub_with({"model.onnx": MODEL, "long.bin": LONG}) as there:
        there.break_off = Breaks({"long.bin": 150_000})
        answer = await http.post("/v1/uploads", json={"url": f"{there.url}/plain/long.bin", "sha256": SHA256})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["name"], made["size"]) == ("long.bin", len(LONG))
        done = await last(http, made["job"])
        assert (done["state"], done["facts"]["sha256"]) == ("done", SHA256), done
        assert any(begun.startswith("bytes=") for _, begun in there.asked), (there.asked, done)
        assert (await http.get(f"/v1/uploads/{made['id']}")).json()["sha256"] == SHA256
        there.ignores_ranges, there.break_off = True, Breaks({"model.onnx": 100})
        again = await http.post("/v1/uploads", json={"url": f"{there.url}/plain/model.onnx", "name": "net.onnx"})
        assert (await last(http, again.json()["job"]))["facts"]["name"] == "net.onnx"
        assert (await http.post("/v1/hub/models", json={"name": "fish"})).status_code == 201
        version = await http.post("/v1/hub/models/fish/versions", json={"uploads": {
            "net.onnx": again.json()["id"]}})
        assert (await last(http, version.json()["job"]))["state"] == "done"


async def test_a_server_that_stops_fetches_on(tmp_path: Path) -> None:
    with hub_with({"long.bin": LONG}) as there:
        there.piece_pause = 0.2
        async with opened(tmp_path) as (server, http):
            made = (await http.post("/v1/uploads", json={"url": f"{there.url}/plain/long.bin"})).json()
            async with asyncio.timeout(30):
                while not (await server.state.hub.uploads.get(model_hub.ADMIN, made["id"])).offset:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        there.piece_pause = 0
        async with opened(tmp_path) as (_, http):
            done = await last(http, made["job"])
            assert (done["state"], done["facts"]["sha256"]) == ("done", SHA256), done


async def test_what_is_not_fetched(place: tuple[Running, httpx.AsyncClient]) -> None:
    _, http = place
    with hub_with({"model.onnx": MODEL, "long.bin": LONG}) as there:
        url = f"{there.url}/plain/model.onnx"
        for body, field in (({"url": f"{there.url}/plain/none"}, "url"), ({"url": "file:///etc/passwd"}, "url"),
                            ({"url": url, "sha256": "x"}, "sha256"), ({"url": url, "name": "../x"}, "files"),
                            ({"url": url, "size": 5}, "size"), ({"url": 5}, "url")):
            answer = await http.post("/v1/uploads", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["field"] in (field, "name")
        wrong = (await http.post("/v1/uploads", json={"url": url, "sha256": "0" * 64})).json()
        failed = await last(http, wrong["job"])
        assert (failed["state"], failed["error"]["status"]) == ("failed", 422)
        assert (await http.get(f"/v1/uploads/{wrong['id']}")).status_code == 404
        there.piece_pause = 0.2
        slow = (await http.post("/v1/uploads", json={"url": f"{there.url}/plain/long.bin"})).json()
        assert (await http.post(f"/v1/jobs/{slow['job']}/cancel")).status_code == 200
        await last(http, slow["job"])
        assert (await http.get(f"/v1/uploads/{slow['id']}")).status_code == 404
