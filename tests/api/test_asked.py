"""Single requests by an app: its stage says what is usual, and what became of them is counted for it."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.inference import FolderStore
from aimass_stream.painting.inline import encoded
from tests.support import recordings, styles
from tests.support.options import settings
from tests.support.picture_files import file
from tests.support.server import Running, serve
from tests.support.shelves import shelved
from tests.support.speech import speak
from tests.support.video_files import write_video

pytestmark = pytest.mark.anyio

SCENE = clips.draw(40, 128, 96)
PICTURE = file(SCENE)
SAID = recordings.wav(speak("one two three"), 48_000)
STAGES: list[dict[str, Any]] = [
    {"stage": "style", "id": "brush", "name": "udnie", "strength": 0.5, "steady": False},
    {"stage": "asr", "engine": "pocketsphinx", "language": "en"},
    {"stage": "tts", "id": "mouth", "engine": "espeak", "speed": 0.5}]
APP = {"name": "Everything", "pipeline": STAGES, "permissions": ["camera"],
       "parameters": {"style": {"path": "brush.name"}, "speed": {"path": "mouth.speed", "maximum": 2}}}


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    with shelved(styles.library(tmp_path_factory.mktemp("styles"))) as store:
        yield store


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path, max_video_seconds=30)) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def app(http: httpx.AsyncClient, **changes: Any) -> str:
    made = await http.post("/v1/apps", json={"manifest": APP | changes})
    assert made.status_code == 201, made.text
    return str(made.json()["app_id"])


async def counted(server: Running, http: httpx.AsyncClient, of: str) -> tuple[int, int, int]:
    """Requests and errors in the app's usage, and its runs."""
    await server.state.usage.write()
    rows = (await http.get(f"/v1/usage?by=app&from=0&to={time.time() + 10}")).json()["rows"]
    [row] = [row for row in rows if row["value"] == of]
    return row["requests"], row["errors"], (await http.get(f"/v1/apps/{of}/health")).json()["runs"]


async def painted(http: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await http.post("/v1/images/style", files={"image": ("a.png", PICTURE)}, data=fields)


async def test_pictures_and_videos_are_painted_as_the_app_says(server: Running, http: httpx.AsyncClient,
                                                               tmp_path: Path) -> None:
    mine = await app(http)
    usual = await painted(http, app_id=mine)
    assert (usual.status_code, usual.headers["x-style"]) == (200, "udnie"), usual.text
    assert usual.content == (await painted(http, style="udnie", strength="0.5")).content
    for fields in ({"parameters": json.dumps({"style": "starry-night"})}, {"style": "starry-night"}):
        other = await painted(http, app_id=mine, **fields)
        assert other.headers["x-style"] == "starry-night", other.text
    after = await painted(http, app_id=mine, parameters=json.dumps({"style": encoded(SCENE)}))
    assert after.headers["x-style"] == "picture", after.text
    video = write_video(tmp_path / "clip.mp4", range(0, 200, 100)).read_bytes()
    job = await http.post("/v1/videos/style", files={"video": ("a.mp4", video)}, data={"app_id": mine})
    assert job.status_code == 202, job.text
    assert (job.json()["facts"]["style"], job.json()["facts"]["strength"]) == ("udnie", 0.5)
    kept = await server.state.jobs.get(job.json()["id"], lambda owner: True)
    assert kept.row.payload["params"]["steady"] is False
    assert await counted(server, http, mine) == (5, 0, 5)


async def test_speech_is_heard_and_made_as_the_app_says(server: Running, http: httpx.AsyncClient) -> None:
    mine = await app(http)
    sent = {"file": ("clip.wav", SAID)}
    heard = await http.post("/v1/audio/transcriptions", files=sent, data={"model": "whisper-1", "app_id": mine})
    assert (heard.status_code, heard.json().get("engine")) == (200, "pocketsphinx"), heard.text
    told = await http.post("/v1/audio/transcriptions", files=sent, data={"app_id": mine, "stream": "true"})
    assert "transcript.text.done" in told.text
    assert await counted(server, http, mine) == (2, 0, 2)

    async def length(**body: Any) -> int:
        answer = await http.post("/v1/audio/speech", json={"input": "Nine boats left.", "model": "tts-1",
                                                           "response_format": "pcm"} | body)
        assert answer.status_code == 200, answer.text
        return np.frombuffer(answer.content, "<i2").size

    slow = await length(app_id=mine)
    assert slow > 1.5 * await length(app_id=mine, speed=1)
    assert slow > 2.5 * await length(app_id=mine, parameters={"speed": 2})
    assert slow > 1.5 * await length(model="espeak")
    assert await counted(server, http, mine) == (5, 0, 5)
    rows = (await http.get(f"/v1/usage?by=model&from=0&to={time.time() + 10}")).json()["rows"]
    assert {row["value"]: row["requests"] for row in rows} == {"espeak": 4, "pocketsphinx-en-us": 2}


async def test_what_an_app_cannot_do_is_said(http: httpx.AsyncClient) -> None:
    other = await app(http, pipeline=[{"stage": "mirror"}], parameters={})
    mine = await app(http)
    sound, picture = {"file": ("clip.wav", SAID)}, {"image": ("a.png", PICTURE)}
    for path, files, fields, status, field in (
            ("audio/transcriptions", sound, {"app_id": other}, 400, "app_id"),
            ("audio/transcriptions", sound, {"app_id": "nobody"}, 404, "app_id"),
            ("audio/transcriptions", sound, {"parameters": "{}"}, 400, "parameters"),
            ("images/style", picture, {"app_id": other}, 422, "app_id"),
            ("images/style", picture, {"app_id": mine, "parameters": "{"}, 422, "parameters"),
            ("images/style", picture, {"app_id": mine, "parameters": '{"speed": 3}'}, 422, "parameters.speed"),
            ("images/style", picture, {"app_id": mine, "parameters": '{"colour": 3}'}, 422, "parameters.colour"),
            ("videos/style", {"video": ("a.mp4", io.BytesIO(b"x"))}, {"app_id": other}, 422, "app_id"),
            ("audio/speech", None, {"app_id": other}, 400, "app_id"),
            ("audio/speech", None, {"app_id": mine, "parameters": {"speed": 9}}, 400, "parameters.speed")):
        body: dict[str, Any] = {"json": {"input": "Hello"} | fields} if files is None else {
            "files": files, "data": fields}
        answer = await http.post(f"/v1/{path}", **body)
        assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
        if field == "app_id" and status != 404:
            assert "mirror" in answer.json()["detail"]
