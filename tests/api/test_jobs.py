"""Jobs over REST, whatever began them: asked for twice, cancelled, told to a webhook, and alive after a kill."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aimass_stream import sandbox
from aimass_stream.jobs import Work
from aimass_stream.ports import Caller
from aimass_stream.signing import signature
from tests.support import laborious, postgres, styles
from tests.support.options import settings
from tests.support.server import Running, serve, served
from tests.support.shelves import shelved
from tests.support.video_files import write_video
from tests.test_webhooks import KEY, SECRET, Receiver, receiving

anyio = pytest.mark.anyio

LIMITS = sandbox.Limits(seconds=30)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[None]:
    styles.write(tmp_path / "styles", "style-udnie", title="Udnie")
    with shelved(tmp_path / "styles"):
        yield


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    given = settings(data_dir=tmp_path, webhook_secret=SECRET, webhook_private=True)
    async with serve(given) as running:
        running.state.jobs.register("waits", lambda payload: Work(laborious.waits, (), LIMITS))
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as there:
        yield there


async def send(http: httpx.AsyncClient, video: bytes, strength: str = "1", **more: Any) -> httpx.Response:
    return await http.post("/v1/videos/style", files={"video": ("clip.mp4", video)},
                           data={"style": "udnie", "strength": strength}, **more)


async def last(http: httpx.AsyncClient, job: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    async with http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                told = json.loads(line[6:])
    return told


@anyio
async def test_a_job_that_is_asked_for_twice_is_one_and_its_webhook_is_told(
        http: httpx.AsyncClient, receiver: Receiver, shelf: None, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", range(0, 300, 100), size=(64, 48)).read_bytes()
    key = {"Idempotency-Key": "once"}
    hook = {"webhook": f"http://127.0.0.1:{receiver.port}/told"}
    first = await send(http, clip, headers=key, params=hook)
    assert first.status_code == 202, first.text
    again = await send(http, clip, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["location"] == first.headers["location"]
    other = await send(http, clip, "0.5", headers=key)
    assert (other.status_code, other.json()["field"]) == (409, "idempotency_key")
    done = await last(http, first.json()["id"])
    assert (done["state"], done["attempts"]) == ("done", 1)
    await receiver.came.wait()
    [(line, headers, body)] = receiver.got
    assert line == "POST /told HTTP/1.1"
    told = json.loads(body)
    assert (told["type"], told["data"]) == ("job.done", done)
    assert headers["webhook-id"] == f"msg_{done['id']}"
    stamp = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == signature(KEY, headers["webhook-id"], stamp, body)
    for wrong in ("not a URL", "file:///etc/passwd", "http://me:secret@example.org/"):
        refused = await send(http, clip, params={"webhook": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "webhook")


@anyio
async def test_jobs_are_cancelled_and_seen_by_whose_they_are(http: httpx.AsyncClient, server: Running) -> None:
    jobs = server.state.jobs
    theirs = await jobs.begin("waits", {}, owner="usr_else")
    mine = await jobs.begin("waits", {}, owner="")
    assert [job["id"] for job in (await http.get("/v1/jobs")).json()["jobs"]] == [mine.id]
    everybody = (await http.get("/v1/jobs", params={"everybody": "true"})).json()["jobs"]
    assert [job["id"] for job in everybody] == [mine.id, theirs.id]
    first = await http.get("/v1/jobs", params={"everybody": "true", "limit": 1})
    second = await http.get(first.headers["link"].partition(">")[0].lstrip("<"))
    assert [page.json()["jobs"][0]["id"] for page in (first, second)] == [mine.id, theirs.id]
    assert second.json()["next"] is None
    for query, found in (({"kind": "waits"}, [mine.id]), ({"kind": "other"}, []), ({"state": "done"}, [])):
        assert [job["id"] for job in (await http.get("/v1/jobs", params=query)).json()["jobs"]] == found
    assert (await http.get("/v1/jobs", params={"cursor": "nonsense"})).status_code == 422
    assert not Caller("a person", user="usr_me").owns(theirs.row.owner)
    for job in (mine, theirs):  # one that waits and one that runs; whoever runs the server may end both
        answer = await http.post(f"/v1/jobs/{job.id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert (await http.post(f"/v1/jobs/{job.id}/cancel")).status_code == 409
        assert (await http.get(f"/v1/jobs/{job.id}")).json()["expires"] > 0
    assert (await http.post("/v1/jobs/job_nothing/cancel")).status_code == 404


@pytest.fixture
def shared() -> str:
    return postgres.emptied()


@anyio
async def test_a_server_on_postgresql(shared: str) -> None:
    async with (serve(settings(database=shared)) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        server.state.jobs.register("writes", lambda payload: Work(laborious.writes, ("words",), LIMITS))
        job = await server.state.jobs.begin("writes", {}, owner="", name="words.txt", media_type="text/plain")
        assert (await last(http, job.id))["state"] == "done"
        answer = await http.get(f"/v1/jobs/{job.id}/result")
        assert (answer.text, answer.headers["content-disposition"]) == ("words", 'inline; filename="words.txt"')


def follow(http: httpx.Client, job: str) -> Iterator[dict[str, Any]]:
    with http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


def test_a_job_outlives_a_killed_server(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", range(0, 500, 100), size=(64, 48)).read_bytes()
    data = ("--data-dir", str(tmp_path / "data"))
    with served(*data) as (url, process), httpx.Client(base_url=url, timeout=60) as http:
        listed = http.get("/v1/images/styles")
        assert listed.status_code == 200, listed.text
        style = listed.json()["styles"][0]["name"]
        begun = http.post("/v1/videos/style", files={"video": ("clip.mp4", clip)}, data={"style": style}).json()
        assert any(job["state"] == "running" for job in follow(http, begun["id"]))
        os.kill(process.pid, signal.SIGKILL)
    with served(*data) as (url, _), httpx.Client(base_url=url, timeout=60) as http:
        *_, done = follow(http, begun["id"])
        assert (done["state"], done["attempts"], done["facts"]["pictures"]) == ("done", 2, 5)
        assert len(http.get(f"/v1/jobs/{begun['id']}/result").content) == done["result"]["bytes"]
