"""Models, uploads, people and jobs through the client, with asyncio and without, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from aimass_stream import errors
from aimass_stream.client import Client, SyncClient, blocking
from aimass_stream.client.accounts import Account, Audit, Keys, Teams, Users
from aimass_stream.client.apps import Apps
from aimass_stream.client.connection import part
from aimass_stream.client.hub import Models
from aimass_stream.client.jobs import Jobs
from aimass_stream.client.records import Model, Version, read
from aimass_stream.client.uploads import Uploads
from aimass_stream.client.usage import Usage
from aimass_stream.client.watch import Watch
from tests.support.accounts import PASSWORD
from tests.support.model_files import MATRIX, linear
from tests.support.options import settings
from tests.support.server import serve, served

pytestmark = pytest.mark.anyio


NOT_FOR_ALL = {"send", "checked", "streamed", "pages", "use", "stream", "rtc"}  # of the asynchronous client alone


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as (url, _):
        yield url


def test_what_is_told_becomes_records() -> None:
    model = read(Model, {"name": "fish", "rating": None, "deployed": {"production": 2}, "of a newer server": 1})
    assert (model.name, model.rating, model.deployed, model.title) == ("fish", None, {"production": 2}, "")
    version = read(Version, {"name": "fish", "number": 1, "model": "fish@1", "state": "ready",
                             "files": [{"path": "a", "size": 1, "sha256": "00"}]})
    assert version.files[0].path == "a"


def test_a_name_is_one_part_of_a_path() -> None:
    assert [part(name) for name in ("fish@1", "a/b", "..", "?x=#", 3)] == [
        "fish@1", "a%2Fb", "%2E%2E", "%3Fx%3D%23", "3"]


def test_every_call_has_its_twin_without_asyncio() -> None:
    for twin in (Models, Uploads, Jobs, Account, Keys, Users, Teams, Audit, Usage, Apps, Watch, Client):
        other = getattr(blocking, f"Sync{twin.__name__}")
        for name, method in inspect.getmembers(twin, inspect.isfunction):
            if not name.startswith("_") and (twin is not Client or name not in NOT_FOR_ALL):
                assert hasattr(other, name), f"{other.__name__}.{name}"
                assert not inspect.iscoroutinefunction(getattr(other, name)), name
                if name != "close":
                    assert getattr(other, name).__doc__ == method.__doc__


async def test_a_model_is_uploaded_deployed_asked_and_rolled_back(url: str, tmp_path: Path) -> None:
    one, two = tmp_path / "model.onnx", tmp_path / "better.onnx"
    one.write_bytes(linear(bias=1))
    two.write_bytes(linear(2 * MATRIX, bias=1))
    told: list[tuple[str, int, int]] = []
    async with Client(url) as client:
        first = await client.models.upload("fish", one, manifest={"example": {"x": [[1, 2, 3]]}}, note="first",
                                           told=lambda *news: told.append(news))
        assert (first.state, first.number, told[-1]) == ("checking", 1, ("model.onnx", 187, 187))
        first = await client.models.checked("fish", 1)
        assert (first.state, first.reason, first.note) == ("ready", "", "first")
        assert [file.path for file in first.files] == ["model.onnx", "model.toml"]
        second = await client.models.checked("fish", (await client.models.upload("fish", {"model.onnx": two})).number)
        assert (second.state, second.reason) == ("ready", "")
        await client.models.change("fish", title="Fish", task="regression", tags=["sea"], card="# A fish")
        (found,) = await client.models.find("fish", task="regression")
        assert (found.title, found.tags, found.mine, found.deployed) == ("Fish", ["sea"], True, {})
        assert (await client.models.show("fish")).card == "# A fish"
        assert (await client.models.try_version("fish", 2, [[1, 1, 1]])).output == {"y": [[19, 25]]}
        await client.models.deploy("fish", 1)
        answer = await client.predict("fish", [[1, 1, 1]])
        assert (answer.output, answer.model) == ([[10, 13]], "fish@1")
        assert (await client.describe("fish")).input["type"] == "array"
        await client.models.deploy("fish", 2)
        assert (await client.predict("fish", [[1, 1, 1]])).output == [[19, 25]]
        assert (await client.models.roll_back("fish")).version == 1
        assert [each.version for each in await client.models.history("fish")] == [1, 2, 1]
        assert [each.version for each in (await client.models.aliases("fish")).aliases] == [1]
        assert (await client.models.compare("fish", 1, "latest"))["versions"] == ["fish@1", "fish@2"]
        assert (await client.models.rate("fish", 4)).rating == 4
        assert (await client.models.comment("fish", "<b>good</b>")).text == "<b>good</b>"
        assert [each.text for each in await client.models.comments("fish")] == ["<b>good</b>"]
        with pytest.raises(errors.Conflict) as refused:
            await client.models.delete_version("fish", 1)
        assert refused.value.data["used_by"]
        with pytest.raises(errors.InvalidInput) as wrong:
            await client.predict("fish", "one")
        assert wrong.value.problem()["input"]["type"] == "array"


async def test_files_are_fetched_and_looked_at(url: str, tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    source.write_bytes(linear())
    async with Client(url) as client:
        await client.models.upload("eel", source, manifest={"example": {"x": [[1, 2, 3]]}})
        version = await client.models.checked("eel", 1)
        half = tmp_path / "into" / ".model.onnx.part"
        half.parent.mkdir()
        half.write_bytes(source.read_bytes()[:90])
        told: list[tuple[int, int]] = []
        paths = await client.models.download("eel", tmp_path / "into", told=lambda *news: told.append(news))
        assert paths[0].read_bytes() == source.read_bytes()
        assert told[0] == (90, version.size)
        assert told[-1] == (version.size, version.size)
        half.write_bytes(b"x" * 90)  # of something else
        with pytest.raises(errors.InvalidInput, match="damaged"):
            await client.models.download("eel", tmp_path / "into")
        assert not half.exists()
        assert (await client.models.graph("eel"))["count"]["nodes"] == 2


@asynccontextmanager
async def cut_once(url: str, after: int) -> AsyncIterator[str]:
    """The server behind a line that breaks when so many bytes have gone to it."""
    left, calls = after, []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        nonlocal left
        while piece := await reader.read(16384):
            writer.write(piece)
            await writer.drain()
            if counts and left > 0:
                left -= len(piece)
                if left <= 0:
                    return

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(asyncio.current_task())
        there, here = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        ways = [asyncio.create_task(pump(reader, here, counts=True)),
                asyncio.create_task(pump(there, writer, counts=False))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for each in (here, writer):
            each.transport.abort()
            with contextlib.suppress(OSError):
                await each.wait_closed()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as proxy:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    await asyncio.gather(*(call for call in calls if call is not None))


async def test_an_upload_goes_on_after_the_line_broke(url: str, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(2_000_000))
    told: list[int] = []
    async with cut_once(url, 900_000) as broken, Client(broken) as client:
        done = await client.uploads.send(path, told=lambda here, _: told.append(here))
        assert done.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert told[-1] == done.offset == 2_000_000
        assert sum(one > other for one, other in itertools.pairwise(told)) <= 1  # it went back, but for once
        assert (await client.uploads.send(path)).id == done.id  # all of it is there
        assert [each.id for each in await client.uploads.find() if each.name == path.name] == [done.id]


async def test_what_another_process_began_goes_on_unless_it_was_another_file(url: str, tmp_path: Path) -> None:
    path, content = tmp_path / "model.bin", os.urandom(1000)
    path.write_bytes(content)
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    async with Client(url) as client:
        for begun in (content[:600], b"x" * 600):
            announced = {"name": "model.bin", "size": 1000, "sha256": hashlib.sha256(content).hexdigest()}
            made = await client.request("POST", "/v1/uploads", announced)
            await client.checked("PATCH", f"/v1/uploads/{made['id']}", content=begun, headers=headers)
            told: list[tuple[int, int]] = []
            done = await client.uploads.send(path, told=lambda *news, to=told: to.append(news))
            assert told[0] == (600, 1000)
            assert (done.sha256, done.id == made["id"]) == (announced["sha256"], begun == content[:600])
            await client.uploads.delete(done.id)


async def test_people_and_keys(tmp_path: Path) -> None:
    async with serve(settings(data_dir=tmp_path, accounts=True)) as server:
        async with Client(server.url) as nobody:
            with pytest.raises(errors.Unauthorized):
                await nobody.models.find()
            key = await nobody.account.sign_in("ada", PASSWORD, token=server.state.accounts.first, key_title="laptop")
            me = await nobody.account.show()
            assert me.user is not None
            assert (key.title, me.user.name, me.role) == ("laptop", "ada", "admin")
        assert "aim_" not in repr(key).replace(key.prefix, "")
        async with Client(server.url, key.key) as ada, Client(server.url) as bob:
            invited = await ada.users.create("bob", role="developer")
            await bob.account.sign_in("", PASSWORD, token=invited.token)
            made = await bob.keys.create("reader", scopes=["models:read"], seconds=60)
            async with Client(server.url, made.key) as reader:
                assert all(each.built_in for each in await reader.models.find(most=3))
                with pytest.raises(errors.Forbidden) as refused:
                    await reader.models.create("fish")
                assert refused.value.data["scope"] == "models:write"
                assert {each.user_name for each in await ada.keys.find()} == {"ada", "bob"}
                async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key.key}"}) as http:
                    page = (await http.get(f"{server.url}/account")).text
                assert ("· bob" in page, "· ada" in page) == (True, False)  # whose each is that an admin may revoke
                assert (await bob.keys.revoke(made.id)).revoked
                with pytest.raises(errors.Unauthorized):
                    await reader.models.find()
            with pytest.raises(errors.Conflict, match="AIMASS_PREDICT=silero-vad aimass serve"):  # built in
                await bob.models.image("silero-vad", tmp_path / "image", "production")
            await bob.requests.ask("other", "More")
            assert [each.user_name for each in await ada.requests.find(everybody=True)] == ["bob"]
            team = await bob.teams.create("lab")
            assert [each.role for each in (await bob.teams.put(team.id, "ada")).members].count("member") == 1
            assert [each.name for each in await ada.users.find()] == ["bob", "ada"]
            assert (await ada.users.change("bob", state="disabled")).state == "disabled"
            with pytest.raises(errors.Unauthorized):
                await bob.keys.find()
            assert {"key.revoked", "key.made"} <= {entry.what for entry in await ada.audit.find(what="key.")}


def without_asyncio(url: str, path: Path) -> None:
    with SyncClient(url) as client:
        version = client.models.upload("ray", path)
        assert client.models.checked("ray", version.number).state == "ready"
        client.models.deploy("ray", version.number)
        assert client.predict("ray", [[1, 1, 1]]).output == [[9, 12]]
        with pytest.raises(errors.NotFound):
            client.models.show("bird")
        with pytest.raises(errors.NotFound):
            next(client.jobs.watch("job_none"))
        assert {job.kind for job in client.jobs.find()} == {"import"}
        deadline = time.monotonic() + 60
        while "ray" not in {row.value for row in client.usage.find("model") if row.requests}:  # is written in time
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.ready()["state"] == "ready"


async def test_without_asyncio(url: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(linear())
    await asyncio.to_thread(without_asyncio, url, path)
