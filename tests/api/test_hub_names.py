"""Uploaded models that paint and that hear, by their names: in sessions, pictures, recordings and realtime sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ctranslate2  # noqa: F401  its import takes a while: not inside a test
import httpx
import onnxruntime  # noqa: F401
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub  # noqa: F401
from aimass_stream import clips
from aimass_stream.api import videos
from aimass_stream.engines import faster_whisper, style  # noqa: F401
from aimass_stream.errors import InvalidPipeline
from aimass_stream.hub.records import Deployment
from aimass_stream.ports import ROLES, AppCall, Caller
from aimass_stream.spec import PipelineSpec
from tests.support import styles, whisper
from tests.support.model_hub import _examined, submitted
from tests.support.options import settings
from tests.support.picture_files import file
from tests.support.realtime import silence, talking
from tests.support.server import Running, serve
from tests.support.speech import write_wav
from tests.support.video_files import write_video
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

WHO = Caller("somebody", user="usr_somebody", role="admin", scopes=ROLES["admin"])
PAINTS: dict[str, Any] = {
    "engine": "style", "task": "style-transfer", "card": {"rungs": ["wide", "narrow", "half"]},
    "inputs": [{"name": "picture", "shape": ["height", "width", 3], "dtype": "uint8", "example": [48, 64, 3]},
               {"name": "rung", "shape": [1], "dtype": "int64"}, {"name": "share", "shape": [1]}],
    "outputs": [{"name": "styled", "shape": ["height", "width", 3], "dtype": "uint8"}],
    "example": {"picture": [[[0, 0, 0]] * 64] * 48, "rung": [0], "share": [1]}}


@asynccontextmanager
async def having(folder: Path, *names: str) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server with `brush@1`, `brush@2` that paint, and `ear@1`, that hears nonsense; each deployed."""
    async with (serve(settings(data_dir=folder / "data")) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        hub = server.state.hub
        hub.importer._examined = _examined  # without a sandbox it is quicker
        for name in names:
            version = await submitted(hub, name.partition("@")[0], *made(folder, name)[:1], caller=WHO,
                                      **made(folder, name)[1])
            assert (version.served, version.state) == (name, "ready"), version.reason
            await hub.deployments.deploy(WHO, version.name, Deployment("production", version.number))
        yield server, http


def made(folder: Path, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    if name.startswith("ear"):
        place = whisper.make(folder / name)
        return {path.name: path.read_bytes() for path in place.iterdir()}, {"task": "speech-recognition"}
    return {"style.safetensors": styles.safetensors(styles.weights(int(name[-1])))}, PAINTS


async def opened(server: Running, *stages: dict[str, Any]) -> Any:
    return await server.node.open(PipelineSpec.parse(list(stages)), caller=WHO, transport="websocket")


async def test_in_a_session(tmp_path: Path) -> None:
    """They keep the versions that they began with, which can't be deleted meanwhile."""
    async with having(tmp_path, "brush@1", "ear@1") as (server, http):
        session = await opened(server, {"stage": "style", "name": "brush", "second": "starry-night"},
                               {"stage": "asr", "model": "ear@production"})
        assert [each.params for each in session.spec.stages] == [{"name": "brush@1", "second": "starry-night"},
                                                                 {"model": "ear@1"}]
        await submitted(server.state.hub, "brush", *made(tmp_path, "brush@2")[:1], caller=WHO, **PAINTS)
        await http.put("/v1/hub/models/brush/aliases/production", json={"version": 2})
        await session.update(pipeline=[{"stage": "style", "name": "brush"}])
        assert session.spec.json() == [{"stage": "style", "name": "brush@1"}]
        refused = await http.delete("/v1/hub/models/brush/versions/1")
        assert (refused.status_code, refused.json()["used_by"]) == (409, [session.id])
        for stage, name, told in (("asr", "brush", "brush@2 is a model for style-transfer; one for speech"),
                                  ("style", "ear", "ear@1 is a model for speech-recognition; one for style"),
                                  ("style", "brush@9", "no version 9"), ("style", "gibberish-xyz", "no such style")):
            with pytest.raises(InvalidPipeline, match=told):
                await opened(server, {"stage": stage, "name" if stage == "style" else "model": name})
        with pytest.raises(InvalidPipeline, match=r"asr\.model: there is no deployed model"):
            await session.update(pipeline=[{"stage": "asr", "model": "nobody@1"}])
        await server.node.end(session.id, "over")
        assert (await http.delete("/v1/hub/models/brush/versions/1")).status_code == 204
        await http.patch("/v1/hub/models/ear", json={"task": "speech-recognition"})
        page = (await http.get("/models/ear")).text
        assert "%22stage%22%3A%22asr%22%2C%22model%22%3A%22ear%401%22" in page, re.findall("/#pipeline[^ ]*", page)


async def test_in_a_realtime_session(tmp_path: Path) -> None:
    async with having(tmp_path, "brush@1", "ear@1") as (server, http), talking(server.ws_url) as talk:
        await talk.configure(audio={"input": {"transcription": {"model": "ear", "language": "en"}}})
        await talk.say(silence(0.2))
        await until(lambda: [each.held for each in server.node.sessions()] == [("ear@1",)])
        [session] = server.node.sessions()
        refused = await http.delete("/v1/hub/models/ear/versions/1")
        assert (refused.status_code, session.id in refused.json()["used_by"]) == (409, True)
        await talk.send("session.update", session={"type": "realtime", "audio": {"input": {
            "transcription": {"model": "brush"}}}})
        assert "one for speech-recognition is wanted" in (await talk.until("error"))["error"]["message"]


async def test_in_pictures_recordings_and_videos(tmp_path: Path) -> None:
    async with having(tmp_path, "brush@1", "ear@1") as (server, http):
        picture = file(clips.draw(0, 64, 48))
        write_wav(tmp_path / "a.wav", silence(0.3, 48_000))
        sound = ("a.wav", (tmp_path / "a.wav").read_bytes())
        painted = await http.post("/v1/images/style", data={"style": "brush"}, files={"image": picture})
        assert (painted.status_code, painted.headers["x-style"]) == (200, "brush@1"), painted.text
        heard = await http.post("/v1/audio/transcriptions", files={"file": sound},
                                data={"model": "ear", "response_format": "verbose_json"})
        assert heard.status_code == 200, heard.text
        assert heard.json()["model"] == "ear@1"
        for path, files, data, told in (
                ("/v1/images/style", {"image": picture}, {"style": "ear"}, "one for style-transfer is wanted"),
                ("/v1/images/style", {"image": picture}, {"style": "brush@7"}, "no version 7"),
                ("/v1/audio/transcriptions", {"file": sound}, {"model": "brush"}, "one for speech-recog"),
                ("/v1/audio/transcriptions", {"file": sound}, {"model": "ear@x"}, "no alias 'x'"),
                ("/v1/vision/detect", {"image": picture}, {"model": "brush"}, "one for detection or face-detection")):
            refused = await http.post(path, files=files, data=data)
            assert 400 <= refused.status_code < 500
            assert told in refused.text
        write_video(tmp_path / "a.mp4", range(0, 200, 40), size=(64, 48))
        begun = await http.post("/v1/videos/style", data={"style": "brush"},
                                files={"video": ("a.mp4", (tmp_path / "a.mp4").read_bytes())})
        assert (begun.status_code, begun.json()["facts"]["style"]) == (202, "brush@1"), begun.text
        job = begun.json()
        assert job["id"] in (await http.delete("/v1/hub/models/brush/versions/1")).json()["used_by"]
        async with http.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
            await events.aread()  # until it is over
        job = (await http.get(f"/v1/jobs/{job['id']}")).json()
        assert job["state"] == "done", job
        assert await videos.held(server.state.jobs) == {}


async def test_in_apps(tmp_path: Path) -> None:
    """They keep the names, which mean what is deployed when somebody begins."""
    async with having(tmp_path, "brush@1") as (server, http):
        await submitted(server.state.hub, "brush", *made(tmp_path, "brush@2")[:1], caller=WHO, **PAINTS)
        manifest = {"name": "Brushes", "pipeline": [{"stage": "style", "id": "brush", "name": "brush"}],
                    "parameters": {"painting": {"path": "brush.name"}},
                    "example": {"input": {"picture": {"draw": "A"}}, "expect": {"video": 1},
                                "parameters": {"painting": "brush@production"}}}
        made_app = await http.post("/v1/apps", json={"slug": "brushes", "manifest": manifest})
        assert made_app.status_code == 201, made_app.text
        [painting] = (await http.get("/v1/apps/brushes")).json()["schema"]["properties"].values()
        assert (painting["default"], "brush" in painting["enum"]) == ("brush", True)
        call = AppCall("brushes")
        for painted, parameters in (("brush@1", {}), ("starry-night", {"painting": "starry-night"}),
                                    ("brush@1", {"painting": "brush@production"})):
            session = await server.node.open(PipelineSpec(), caller=WHO, transport="websocket",
                                             app=AppCall("brushes", parameters))
            assert [each.params["name"] for each in session.spec.stages] == [painted]
            await session.update(parameters={"painting": "brush"})
            assert [each.params["name"] for each in session.spec.stages] == ["brush@1"]
            await server.node.end(session.id, "over")
        await server.state.hub.deployments.deploy(WHO, "brush", Deployment("production", 1, 2, 50))
        begun = [(await server.state.apps.start(WHO, call))[1].stages[0].params["name"] for _ in range(4)]
        assert begun == ["brush@1", "brush@2"] * 2  # looked up once each, or a canary of half would get all or none
        styled = await http.post("/v1/images/style", data={"app_id": "brushes"},
                                 files={"image": file(clips.draw(0, 64, 48))})
        assert (styled.status_code, styled.headers["x-style"]) == (200, "brush@1"), styled.text
        for name, told in (("brush@9", "no version 9"), ("bird", "no such style"), ("brush@x", "no alias 'x'")):
            wrong = manifest | {"pipeline": [{"stage": "style", "id": "brush", "name": name}]}
            refused = await http.put("/v1/apps/brushes/versions/1", json={"manifest": wrong})
            assert (refused.status_code, refused.json()["field"]) == (422, "pipeline[0].name"), refused.text
            assert told in refused.text
            with pytest.raises(InvalidPipeline, match=told) as wrongly:
                await server.state.apps.start(WHO, AppCall("brushes", {"painting": name}))
            assert wrongly.value.field == "parameters.painting"
        private = await http.post("/v1/apps/brushes/versions/1/submit")
        assert (private.status_code, private.json()["field"]) == (422, "pipeline[0].name"), private.text
        assert "everybody may use" in private.text
        await http.patch("/v1/hub/models/brush", json={"visibility": "public"})
        assert (await http.post("/v1/apps/brushes/versions/1/submit")).json()["state"] == "submitted"
