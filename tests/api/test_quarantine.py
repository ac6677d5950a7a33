"""Code over REST: who sends it does not decide on it; what an admin approved behaves as every other model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import psutil
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub  # noqa: F401
from aimass_stream.client import Client
from aimass_stream.errors import Conflict, Forbidden, InvalidInput
from tests.support.accounts import PASSWORD
from tests.support.hostile import pickled
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

KEY = "a key for tests"
TWICE = pickled("def f(x): return 2 * x")
TOLD: dict[str, Any] = {"inputs": [{"name": "x", "shape": ["n", 2]}], "example": {"x": [[1, 2]]}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serve(settings(data_dir=tmp_path / "data", accounts=True, api_key=KEY)) as running:
        yield running


@asynccontextmanager
async def person(server: Running, name: str, role: str) -> AsyncIterator[Client]:
    """With a key that may do all that the role may."""
    async with httpx.AsyncClient(base_url=server.url, headers={"Origin": server.url}) as browser:
        own = {"Authorization": f"Bearer {KEY}"}
        made = (await browser.post("/v1/accounts", json={"name": name, "role": role}, headers=own)).json()
        accepted = await browser.post("/v1/accounts/accept", json={"token": made["token"], "password": PASSWORD})
        script = {"X-CSRF-Token": accepted.json()["csrf_token"]}
        key = (await browser.post("/v1/keys", json={}, headers=script)).json()["key"]
    async with Client(server.url, api_key=key) as client:
        yield client


async def sent(client: Client, folder: Path, name: str, content: bytes = TWICE) -> int:
    (folder / "m.pkl").write_bytes(content)
    version = await client.models.upload(name, folder / "m.pkl", manifest=TOLD)
    version = await client.models.checked(name, version.number)
    assert version.state == "quarantined", version.reason
    assert "builtins.eval, which acts on the machine" in version.reason
    return version.number


async def test_from_quarantine_to_an_answer(server: Running, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        dev = await stack.enter_async_context(person(server, "dev", "developer"))
        boss = await stack.enter_async_context(person(server, "boss", "admin"))
        root = await stack.enter_async_context(Client(server.url, api_key=KEY))
        await decided(dev, boss, root, tmp_path)
        children = set(psutil.Process().children())
        await dev.models.deploy("twice", 1)
        assert (await dev.predict("twice", [[3, 4]])).output == [[6, 8]]
        body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [5, 6]}]}
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
            answer = await http.post(f"{server.url}/v2/models/twice/infer", json=body)
        assert answer.json()["outputs"][0]["data"] == [10, 12], answer.text
        assert [each.by_name for each in await dev.models.history("twice")] == ["dev"]
        await server.state.usage.write()
        [row] = await dev.usage.find("key")
        assert row.title.startswith("aim_")
        assert row.value.startswith("key_")
        [cell] = set(psutil.Process().children()) - children
        await server.node.engine.unload("twice@1")
        assert not cell.is_running()
        assert (await dev.models.try_version("twice", 1, [[1, 1]])).output == {"output": [[2, 2]]}  # loaded anew
        log = await root.audit.find(what="model.approved")
        assert log[0].object == "twice@1"
        assert (log[0].details["reason"], list(log[0].details["files"])) == ("read it", ["m.pkl"])
        assert len(log[0].details["files"]["m.pkl"]) == 64


async def decided(dev: Client, boss: Client, root: Client, folder: Path) -> None:
    assert await sent(dev, folder, "twice") == 1
    with pytest.raises(Conflict, match="quarantined"):
        await dev.models.deploy("twice", 1)
    for denied in (dev.models.quarantine(), dev.models.approve("twice", 1, "me"), dev.models.reject("twice", 1, "x")):
        with pytest.raises(Forbidden, match="admin"):
            await denied
    await sent(boss, folder, "own", pickled("import os\nos._exit(0)"))
    waiting = await boss.models.quarantine()
    assert [(each.version.model, each.own) for each in waiting] == [("twice@1", False), ("own@1", True)]
    assert "eval" in waiting[0].version.reason
    assert [(each.creator_name, each.owner_name) for each in waiting] == [("dev", "dev"), ("boss", "boss")]
    with pytest.raises(Forbidden, match="another admin has to"):
        await boss.models.approve("own", 1, "it is good")
    with pytest.raises(InvalidInput, match="say why"):
        await root.models.reject("own", 1, " ")
    assert (await root.models.reject("own", 1, "it ends the process")).state == "refused"
    refused = await boss.models.version("own", 1)
    assert refused.reason == "an admin rejected it: it ends the process"
    await root.models.approve("own", 1, "let us see")  # what was decided may be thought over
    refused = await boss.models.checked("own", 1)
    assert (refused.state, refused.reason) == ("refused", "it could not be loaded: it ended")
    await boss.models.approve("twice", 1, "read it")
    ready = await dev.models.checked("twice", 1)
    assert (ready.state, ready.reason) == ("ready", "")
    assert ready.facts["code"]["reason"] == "read it"
    assert ready.facts["trial"]["outputs"][0]["values"] == [[2, 4]]
    assert "seccomp" in ready.facts["trial"]["cell"]
    assert await root.models.quarantine() == []
    with pytest.raises(Conflict, match="twice@1 is ready"):
        await boss.models.approve("twice", 1, "again")
