"""Models that come, change and go while a server runs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream.errors import InvalidInput
from aimass_stream.inference import Engine, FolderStore, arrivals, installed
from aimass_stream.inference.arrivals import Change, versions, watch
from tests.support import styles
from tests.support.options import settings
from tests.support.server import serve
from tests.support.session import open_session

pytestmark = pytest.mark.anyio


def arrive(folder: Path, name: str, title: str = "") -> None:
    """All at once, as a training has it."""
    styles.write(folder.parent / "made", name, title=title)
    folder.mkdir(exist_ok=True)
    (folder.parent / "made" / name).rename(folder / name)


async def test_every_change_is_told_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    styles.write(second, "style-old")
    told: asyncio.Queue[Change] = asyncio.Queue(8)
    store = FolderStore([first, second])
    watching = asyncio.create_task(watch(store, versions(store), told.put, every=0.01))
    async with asyncio.timeout(30):
        arrive(first, "style-new")
        assert await told.get() == Change(("style-new",), (), ())
        os.utime(first / "style-new" / "model.toml", ns=(1, 1))
        assert await told.get() == Change((), ("style-new",), ())
        arrive(first, "style-old")  # in an earlier folder: it is the one that counts now
        assert await told.get() == Change((), ("style-old",), ())
        (first / "style-new").rename(first / ".style-new.old")
        assert await told.get() == Change((), (), ("style-new",))
    watching.cancel()
    assert told.empty()


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(arrivals.watch, "__defaults__", (0.02,))
    store, before = installed(), installed().folders
    yield
    store.folders = before


@pytest.mark.usefixtures("_quickly")
async def test_a_running_server_offers_a_style_that_comes(tmp_path: Path) -> None:
    async with serve(settings(data_dir=tmp_path)) as server, httpx.AsyncClient(base_url=server.url) as http:

        async def offered() -> list[str]:
            stages = (await http.get("/v1/stages")).json()["stages"]
            style = next(stage for stage in stages if stage["name"] == "style")
            return list(style["params"]["properties"]["name"]["enum"])

        _, sink = await open_session(server.node)
        assert "my-cat" not in await offered()
        arrive(tmp_path / "models", "style-my-cat", "My cat")
        await sink.until(lambda: len(sink.typed("models.changed")) == 1)
        news = sink.typed("models.changed")[-1].data
        assert news["added"] == [{"name": "style-my-cat", "title": "My cat", "task": "style-transfer"}]
        assert "my-cat" in await offered()
        shutil.rmtree(tmp_path / "models" / "style-my-cat")
        await sink.until(lambda: len(sink.typed("models.changed")) == 2)
        assert sink.typed("models.changed")[-1].data["removed"] == ["style-my-cat"]
        assert "my-cat" not in await offered()


async def test_sessions_go_on_with_a_style_that_was_made_again(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    inputs = {"picture": picture, "rung": np.zeros(1, np.int64), "share": np.ones(1, np.float32)}
    styles.write(tmp_path, "style-one", seed=1)
    engine = Engine(FolderStore([tmp_path]))
    try:
        await engine.renew("style-one")  # nobody uses it
        assert not engine.models()
        await engine.load("style-one")
        before = (await engine.submit("style-one", inputs, session="s"))["styled"]
        styles.write(tmp_path, "style-one", seed=2)

        async def ask() -> list[NDArray[Any]]:
            return [(await engine.submit("style-one", inputs, session="s"))["styled"] for _ in range(20)]

        asking = asyncio.create_task(ask())
        await engine.renew("style-one")
        seen = await asking  # none of them failed
        after = (await engine.submit("style-one", inputs, session="s"))["styled"]
        assert np.array_equal(seen[0], before)
        assert not np.array_equal(after, before)
        (tmp_path / "style-one" / "style.safetensors").write_bytes(b"nothing")
        with pytest.raises(InvalidInput):
            await engine.renew("style-one")
        assert np.array_equal((await engine.submit("style-one", inputs, session="s"))["styled"], after)
    finally:
        await engine.close()
