"""Weights that a server fetches while it runs, from a hub that plays along or does not."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from aimass_stream.engines import faster_whisper
from aimass_stream.errors import InvalidInput, NotFound
from aimass_stream.events import DownloadProgress
from aimass_stream.hearing.recognizers import chosen, open_recognizer
from aimass_stream.inference import installed
from aimass_stream.settings import Settings
from aimass_stream.weights import WeightFile, background, folder_of
from aimass_stream.weights.background import Fetcher
from tests.support.hub import TestHub, offered, weights
from tests.support.options import settings
from tests.support.server import serve
from tests.support.session import open_session
from tests.support.whisper import make as make_whisper

pytestmark = pytest.mark.anyio

FILES = {"model.bin": bytes(range(256)) * 2000, "config.json": b"{}"}
SOME = weights(WeightFile("model.bin", "model.bin"), WeightFile("config.json", "config.json"), default=True)
OTHER = weights(WeightFile("c.json", "config.json"), name="useless", needs="no_such_module", default=True)


async def _until(fetcher: Fetcher, name: str, state: str) -> DownloadProgress:
    async with asyncio.timeout(30):
        while name not in fetcher.news or fetcher.news[name].state != state:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return fetcher.news[name]


def _settings(hub: TestHub, folder: Path, **options: object) -> Settings:
    return settings(hub=hub.url, data_dir=folder, **({"fetch": True} | options))


async def test_the_default_set_comes_by_itself_on_first_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                             caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with offered(monkeypatch, FILES, SOME, OTHER) as hub:
        told: list[DownloadProgress] = []
        fetcher = Fetcher(_settings(hub, tmp_path), told.append)
        await fetcher.start()
        last = await _until(fetcher, SOME.name, "ready")
        await fetcher.close()
    assert last.done == last.total == sum(map(len, FILES.values()))
    assert (told[0].state, told[-1].state) == ("running", "ready")
    assert {news.name for news in told} == {SOME.name}  # the other one can't be used here
    assert (folder_of(fetcher._settings) / SOME.name / "model.bin").read_bytes() == FILES["model.bin"]
    assert "fetching some-weights" in caplog.text
    assert "some-weights is here" in caplog.text
    asked = len(hub.asked)
    again = Fetcher(_settings(hub, tmp_path))
    await again.start()
    await asyncio.gather(*again._tasks.values())
    assert len(hub.asked) == asked


@pytest.mark.parametrize("how", ["silent", "gone", "empty", "forbidden"])
async def test_without_a_hub_nothing_waits_and_nothing_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str,
                                                             caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(background, "ANSWER", 0.3)
    with offered(monkeypatch, FILES, SOME) as hub:
        options = _settings(hub, tmp_path, fetch=how != "forbidden")
        if how == "silent":
            hub.silent.set()
        if how == "gone":
            options = settings(hub="http://127.0.0.1:9", data_dir=tmp_path, fetch=True)
        if how == "empty":
            hub.files.clear()
        async with asyncio.timeout(30):
            async with serve(options) as server, httpx.AsyncClient(base_url=server.url) as http:
                assert (await http.get("/healthz")).status_code == 200
                fetcher: Fetcher = server.server.config.app.state.fetcher  # type: ignore[union-attr]
                await asyncio.gather(*fetcher._tasks.values())
                assert (await http.get("/v1/models")).json()["weights"][0]["state"] == "absent"
    assert ("no weights are fetched" in caplog.text) == (how != "forbidden")
    assert ("the hub does not answer (within 0.3 s)" in caplog.text) == (how == "silent")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_operator_has_weights_fetched_and_sessions_are_told(monkeypatch: pytest.MonkeyPatch,
                                                                     tmp_path: Path) -> None:
    with offered(monkeypatch, FILES, SOME, OTHER) as hub:
        hub.piece_pause = 0.02
        async with (serve(_settings(hub, tmp_path, fetch=False)) as server,
                    httpx.AsyncClient(base_url=server.url) as http):
            _, sink = await open_session(server.node)
            begun = await http.post("/v1/models/some-weights/pull")
            assert (begun.status_code, begun.json()["state"]) == (202, "running")
            assert (await http.get("/v1/models")).json()["weights"][0]["state"] == "running"
            fetcher: Fetcher = server.server.config.app.state.fetcher  # type: ignore[union-attr]
            await _until(fetcher, "some-weights", "ready")
            listed = (await http.get("/v1/models")).json()["weights"][0]
            assert (listed["state"], listed["licence"], listed["progress"]["state"]) == ("ready", "MIT", "ready")
            assert "some-weights" in {entry.name for entry in installed().entries()}  # engines find it now
            told = [event.data["state"] for event in sink.events if event.type == "download.progress"]
            assert told[0] == "running"
            assert told[-1] == "ready"
            assert (await http.post("/v1/models/some-weights/pull")).json()["state"] == "ready"
            assert (await http.post("/v1/models/nothing/pull")).status_code == 404
            useless = await http.post("/v1/models/useless/pull")
            assert (useless.status_code, "no_such_module" in useless.text) == (400, True)


async def test_a_failure_is_told_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with offered(monkeypatch, FILES, SOME) as hub:
        hub.gives["model.bin"] = FILES["model.bin"][::-1]
        fetcher = Fetcher(_settings(hub, tmp_path, fetch=False))
        fetcher.begin(SOME.name)
        failed = await _until(fetcher, SOME.name, "failed")
        assert "is not the file that was meant" in failed.detail
        hub.gives.clear()
        await asyncio.gather(*fetcher._tasks.values())
        fetcher.begin(SOME.name)
        await _until(fetcher, SOME.name, "ready")
        await fetcher.close()


async def test_closing_stops_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with offered(monkeypatch, FILES, SOME) as hub:
        hub.silent.set()
        fetcher = Fetcher(_settings(hub, tmp_path, fetch=False))
        fetcher.begin(SOME.name)
        async with asyncio.timeout(10):
            await fetcher.close()
        with pytest.raises(NotFound):
            fetcher.begin("nothing")
        with pytest.raises(NotFound):
            fetcher.begin("useless")
    with offered(monkeypatch, FILES, OTHER), pytest.raises(InvalidInput, match="no_such_module"):
        fetcher.begin("useless")


async def test_recognisers_switch_over_to_what_was_pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real Whisper folder comes from the hub; the next session's `auto` is another one than the last's."""
    made = await asyncio.to_thread(make_whisper, tmp_path / "made")
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    pulled = weights(*(WeightFile(name, name) for name in files), name="whisper-tiny.en",
                     engine="aimass_stream.engines.faster_whisper:FasterWhisper")
    monkeypatch.setattr(faster_whisper, "cached", dict)
    with offered(monkeypatch, files, pulled) as hub:
        options = _settings(hub, tmp_path, fetch=False)
        async with serve(options) as server:
            before = await asyncio.to_thread(chosen, options)
            fetcher: Fetcher = server.server.config.app.state.fetcher  # type: ignore[union-attr]
            fetcher.begin(pulled.name)
            await _until(fetcher, pulled.name, "ready")
            after = await asyncio.to_thread(chosen, options)
            assert before.model != pulled.name
            assert (after.engine, after.model) == ("whisper", pulled.name)
            recognizer = await open_recognizer(server.node.engine, options, session="s_test")
            assert (recognizer.engine, recognizer.model) == ("whisper", pulled.name)
            await recognizer.close()
            model = folder_of(options) / pulled.name / "model.bin"
            model.write_bytes(model.read_bytes()[:-1] + b"!")
            await server.node.engine.unload(pulled.name)
            with pytest.raises(InvalidInput, match="SHA-256 differs"):
                await open_recognizer(server.node.engine, options, session="s_test")
