"""Videos that are painted as jobs, over REST: sent, followed, looked at, fetched in parts, ended."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from aimass_stream import clips
from aimass_stream.api import jobs as api_jobs
from aimass_stream.api.videos import VideoPlace
from aimass_stream.inference import FolderStore
from tests.support import styles
from tests.support.options import settings
from tests.support.picture_files import file
from tests.support.server import Running, serve
from tests.support.shelves import shelved
from tests.support.video_files import shown, write_video

pytestmark = pytest.mark.anyio

KEY = "a key for tests"


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    folder = tmp_path_factory.mktemp("styles")
    styles.write(folder, "style-starry-night", seed=1, title="The Starry Night")
    styles.write(folder, "style-udnie", seed=2, title="Udnie")
    with shelved(folder) as store:
        yield store


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", range(0, 900, 100), sound="aac").read_bytes()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Takes long enough to be ended in the middle."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    return write_video(path, range(0, 20_000, 80), size=(480, 360)).read_bytes()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path, max_jobs=2, max_video_seconds=30)) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def send(http: httpx.AsyncClient, video: bytes, picture: bytes | None = None, **fields: str) -> httpx.Response:
    files = [("video", ("my film.MOV", video))] + ([("style_image", ("s.png", picture))] if picture else [])
    return await http.post("/v1/videos/style", files=files, data=fields)


async def follow(http: httpx.AsyncClient, job: str) -> AsyncIterator[dict[str, Any]]:
    async with http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def test_a_video_is_painted_and_can_be_fetched(http: httpx.AsyncClient, clip: bytes, tmp_path: Path) -> None:
    answer = await send(http, clip, style="星空", strength="0.5")
    assert answer.status_code == 202, answer.text
    begun = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{begun['id']}"
    assert begun["kind"] == "style-video"
    assert begun["facts"] == {"width": 160, "height": 120, "seconds": pytest.approx(0.9, abs=0.1), "sound": True,
                              "style": "starry-night", "strength": 0.5}
    told = [job async for job in follow(http, begun["id"])]
    assert told[-1]["state"] == "done"
    assert [job["progress"] for job in told] == sorted(job["progress"] for job in told)
    assert told[-1]["result"] == {"name": "my-film-starry-night.mp4", "media_type": "video/mp4",
                                  "bytes": told[-1]["result"]["bytes"]}
    assert told[-1]["facts"]["pictures"] == 9
    url = f"/v1/jobs/{begun['id']}"
    assert (await http.get(url)).json() == told[-1]
    assert (await http.get("/v1/jobs")).json() == {"jobs": [told[-1]], "next": None}
    preview = await http.get(f"{url}/preview")
    assert preview.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(preview.content)).size == (160, 120)
    whole = await http.get(f"{url}/result")
    assert (whole.headers["content-type"], len(whole.content)) == ("video/mp4", told[-1]["result"]["bytes"])
    part = await http.get(f"{url}/result", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    (tmp_path / "painted.mp4").write_bytes(whole.content)
    assert len(await asyncio.to_thread(shown, tmp_path / "painted.mp4")) == 9
    assert (await http.delete(url)).status_code == 204
    for path in (url, f"{url}/events", f"{url}/preview", f"{url}/result"):
        assert (await http.get(path)).status_code == 404


async def test_the_style_of_a_picture(http: httpx.AsyncClient, clip: bytes) -> None:
    told = (await send(http, clip, file(clips.draw(3, 64, 48)))).json()
    assert told["facts"]["style"] in ("starry-night", "udnie")
    assert told["facts"]["distance"] > 0


async def test_a_video_after_another_picture(http: httpx.AsyncClient, clip: bytes, shelf: FolderStore, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    styles.write_any(tmp_path / "more")
    monkeypatch.setattr(shelf, "folders", (*shelf.folders, tmp_path / "more"))
    noise = np.random.default_rng(3).integers(0, 256, (400, 90, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    for by, name in (("", "picture"), ("nearest", "starry-night")):
        answer = await send(http, clip, data.getvalue(), **({"by": by} if by else {}))
        told = [job async for job in follow(http, answer.json()["id"])][-1]
        assert (told["state"], told["facts"]["pictures"]) == ("done", 9), told
        assert told["facts"]["style"] in (name, "udnie")
        assert told["facts"]["style"] != "picture" or not by


async def test_a_job_is_ended_in_the_middle(http: httpx.AsyncClient, long: bytes, clip: bytes) -> None:
    running = (await send(http, long, style="udnie")).json()["id"]
    waits = (await send(http, clip, style="udnie")).json()
    assert (waits["state"], waits["waiting"]) == ("queued", 0)
    refused = await send(http, clip, style="udnie")
    assert (refused.status_code, "2 jobs run or wait" in refused.json()["detail"]) == (429, True)
    assert int(refused.headers["retry-after"]) > 0
    early = await http.get(f"/v1/jobs/{running}/result")
    assert (early.status_code, "running" in early.json()["detail"]) == (409, True)
    assert (await http.get(f"/v1/jobs/{waits['id']}/preview")).status_code == 404
    states = []
    async for job in follow(http, running):
        states.append(job["state"])
        if job["progress"] > 0 and job["state"] == "running":
            assert (await http.delete(f"/v1/jobs/{running}")).status_code == 204
    assert states[-1] == "cancelled"
    async for job in follow(http, waits["id"]):
        last = job
    assert last["state"] == "done"


async def test_the_server_stops_while_somebody_follows(http: httpx.AsyncClient, server: Running, long: bytes) -> None:
    job = (await send(http, long, style="udnie")).json()["id"]
    last: dict[str, Any] = {}
    async for last in follow(http, job):
        if last["state"] == "running" and not server.state.jobs._closed:
            await server.state.jobs.close()
    assert (last["state"], last["error"]) == ("queued", None)  # for the next one
    assert (await send(http, long, style="udnie")).status_code == 503


async def test_bad_files_and_fields_are_told_at_once(http: httpx.AsyncClient, clip: bytes, tmp_path: Path) -> None:
    slow = await asyncio.to_thread(write_video, tmp_path / "slow.mp4", (0, 40_000))
    for data, status, told in ((b"words" * 100, 422, "my film.MOV is no video file"), (b"", 422, "empty"),
                               (file(clips.draw(1, 64, 48)), 422, "is a single picture"),
                               (clip[:-300], 422, "is no video file"), (slow.read_bytes(), 413, "30 s are the most")):
        answer = await send(http, data, style="udnie")
        assert (answer.status_code, answer.json()["field"]) == (status, "video"), answer.text
        assert told in answer.json()["detail"]
    for fields, status, field, told in (
            ({"style": "Mona Lisa"}, 404, "style", "there are: starry-night, udnie"),
            ({}, 422, "style", "there are: starry-night"),
            ({"style": "udnie", "strength": "9"}, 422, "strength", "0 to 1"),
            ({"style": "udnie", "size": "2"}, 422, "size", "there are: video, style")):
        answer = await send(http, clip, None, **fields)
        assert (answer.status_code, answer.json()["field"]) == (status, field)
        assert told in answer.json()["detail"]
    none = await http.post("/v1/videos/style", files={"style_image": b"x"})
    assert none.status_code == 422
    assert (await http.get("/v1/jobs")).json() == {"jobs": [], "next": None}
    assert (await http.get("/v1/jobs/job_nothing")).status_code == 404


async def test_uploads_and_followers_have_a_limit(http: httpx.AsyncClient, clip: bytes,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(VideoPlace, "taken", 4)
        answer = await send(http, clip, style="udnie")
        assert (answer.status_code, "videos are being sent" in answer.json()["detail"]) == (429, True)
    job = (await send(http, clip, style="udnie")).json()["id"]
    monkeypatch.setattr(api_jobs, "MOST_WATCHERS", 0)
    assert (await http.get(f"/v1/jobs/{job}/events")).status_code == 429


async def test_jobs_want_the_key_and_are_counted(clip: bytes, tmp_path: Path) -> None:
    async with (serve(settings(api_key=KEY, data_dir=tmp_path)) as running,
                httpx.AsyncClient(base_url=running.url, timeout=60) as http):
        assert (await http.get("/v1/jobs")).status_code == 401
        http.headers["Authorization"] = f"Bearer {KEY}"
        job = (await send(http, clip, style="udnie")).json()["id"]
        async for _ in follow(http, job):
            pass
        counted = (await http.get("/metrics")).text
        assert 'aimass_jobs_ended_total{result="done"}' in counted
        assert 'aimass_jobs{state="running"} 0.0' in counted
        size = (await http.get(f"/v1/jobs/{job}")).json()["result"]["bytes"]
        assert f"aimass_job_bytes {float(size)}" in counted
