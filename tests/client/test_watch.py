"""How a version does, by the client and by `aimass`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub
import aimass_stream.watch.watch  # noqa: F401
from aimass_stream.client import Client
from aimass_stream.errors import Conflict, InvalidInput, NotFound
from aimass_stream.hub.image import Wheel
from aimass_stream.hub.records import Change, Deployment
from tests.support.command import Done, here
from tests.support.model_files import linear
from tests.support.model_hub import ADMIN, _examined, submitted
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

RULE = {"metric": "error_rate", "above": 0.05, "over_s": 600}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path / "data")) as running:
        hub = running.state.hub
        hub.importer._examined = _examined  # without a process of its own
        await submitted(hub, "fish", {"model.onnx": linear()}, ADMIN)
        await hub.deployments.deploy(ADMIN, "fish", Deployment("production", 1))
        await hub.catalogue.change(ADMIN, "fish", Change(visibility="public"))
        running.state.wheel = Wheel(tmp_path / "wheel", root=tmp_path)  # no source tree, whose wheel would be built
        yield running


async def test_the_client(server: Running, tmp_path: Path) -> None:
    async with Client(server.url) as client:
        await client.predict("fish", [[1, 2, 3]])
        seen = await client.watch.show("fish", days=1)
        assert (seen["requests"], seen["model"]) == (1, "fish@1")
        assert not await client.watch.collects("fish")
        await client.watch.collect("fish", True)
        said = await client.watch.give("fish", 1, "wrong", "no fish", input=[[1, 2, 3]], expected=None)
        assert said.sample
        [found] = await client.watch.feedback("fish", verdict="wrong")
        assert (found.comment, found.sample) == ("no fish", {"input": [[1, 2, 3]], "expected": None})
        [sample] = await client.watch.samples("fish")
        assert sample["input"] == [[1, 2, 3]]
        await client.watch.delete_feedback("fish", 1, said.id)
        await client.watch.delete_feedback("fish", 1)
        assert await client.watch.feedback("fish") == []
        [alert] = await client.watch.put_alerts("fish", [RULE])
        assert (alert.metric, alert.over_s, alert.state) == ("error_rate", 600, "well")
        assert await client.watch.alerts("fish") == [alert]
        await client.watch.begin_anew("fish")
        with pytest.raises(InvalidInput, match="no webhooks"):
            await client.watch.put_alerts("fish", [RULE | {"webhook": "https://example.com"}])
        with pytest.raises(NotFound):
            await client.watch.show("bird")
        paths = await client.models.image("fish", tmp_path / "image")
        names = [path.relative_to(tmp_path / "image").as_posix() for path in paths]
        assert names == [".dockerignore", "Dockerfile", "README.md", "models/fish/model.onnx", "models/fish/model.toml",
                         "requirements.txt"]
        with pytest.raises(InvalidInput, match="not an empty folder"):
            await client.models.image("fish", tmp_path / "image")
        with pytest.raises(Conflict, match="comes with every installation"):
            await client.models.image("sign-digits", tmp_path / "other")


async def test_the_commands(server: Running, tmp_path: Path) -> None:
    async def aimass(*arguments: str) -> Done:
        return await asyncio.to_thread(here, "models", *arguments, AIMASS_URL=server.url)

    async with Client(server.url) as client:
        await client.predict("fish", [[1, 2, 3]])
    shown = await aimass("watch", "fish")
    assert "fish@1" in shown.out, shown.err
    assert "x[2]" in shown.out
    assert json.loads((await aimass("watch", "fish@1", "--json")).out)["requests"] == 1
    assert "not kept" in (await aimass("feedback", "fish", "wrong", "--input", "[[1, 2, 3]]")).out
    assert (await aimass("feedback", "fish", "--collect")).code == 0
    kept = await aimass("feedback", "fish", "wrong", "--comment", "a bird", "--input", "[[1, 2, 3]]")
    assert "is kept" in kept.out, kept.err
    assert "a bird" in (await aimass("feedback", "fish")).out
    assert json.loads((await aimass("samples", "fish")).out)["input"] == [[1, 2, 3]]
    assert "error_rate > 0.05" in (await aimass("alerts", "fish", "--rule", "error_rate>0.05", "--over", "600")).out
    assert "No rules" in (await aimass("alerts", "fish", "--clear")).out
    for wrong in (("alerts", "fish", "--rule", "error_rate"), ("feedback", "fish", "perhaps")):
        assert (await aimass(*wrong)).code == 2
    assert (await aimass("alerts", "fish", "--rule", "weather>1")).code == 1
    made = await aimass("image", "fish", "--out", str(tmp_path / "image"))
    assert (made.code, (tmp_path / "image" / "Dockerfile").exists()) == (0, True), made.err
    assert "docker build -t fish" in made.err
