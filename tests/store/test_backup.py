"""Backups: taken while somebody writes, put back elsewhere, and refused where they are not whole."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sqlite3
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.errors import AimassError, Conflict, InvalidInput, NotFound
from aimass_stream.settings import Settings
from aimass_stream.store.backup import back_up, restore
from aimass_stream.store.blobs import Blobs
from aimass_stream.store.database import Database, hold, open_database
from aimass_stream.store.jobs import Jobs, Wish
from aimass_stream.store.people import People
from tests.support.command import here
from tests.support.options import settings


def nothing(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


async def fill(given: Settings) -> str:
    """A server's folder with some of everything; answers the id of a job."""
    folder = given.data_dir
    blobs = Blobs(folder / "jobs")
    database = await open_database(given)
    blob = await blobs.put(b"what the job was given")
    job = await Jobs(database, blobs).add(Wish("test", {"n": 1}, owner="me", blobs=[blob.sha256]))
    await database.close()
    people = await People.open(folder)
    await people.add("Ada", "Ada", "yes", [b"png"], "model", np.ones((1, 4), np.float32))
    await people.close()
    (folder / "models" / "mine").mkdir(parents=True)
    (folder / "models" / "mine" / "model.toml").write_text("title = 'Mine'")
    (folder / "models" / "mine" / "model.onnx").hardlink_to(blobs.path(blob.sha256))
    (folder / "jobs" / "new" / "unfinished").write_bytes(b"x")
    (folder / "link").symlink_to("/etc/passwd")
    return job.id


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    return settings(data_dir=tmp_path / "data")


def there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_of_a_server_comes_back(given: Settings, tmp_path: Path) -> None:
    job = asyncio.run(fill(given))
    file, other = tmp_path / "all.tar", tmp_path / "elsewhere"
    said = here("backup", str(file), "--data-dir", str(given.data_dir))
    assert (said.code, "5 files" in said.out) == (0, True), said
    assert file.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir()} == {"all.tar", "data"}  # nothing unfinished
    told = json.loads(here("restore", str(file), "--data-dir", str(other), "--json").out)
    assert (told["files"], told["databases"]) == (5, ["faces.db", "aimass.db"])
    [blob] = [name for name in there(other) if name.startswith("jobs/")]
    assert there(other) == {".lock", "aimass.db", "faces.db", "models/mine/model.toml",
                            "models/mine/model.onnx", blob}
    assert (other / "models/mine/model.onnx").read_bytes() == b"what the job was given"

    async def look() -> None:
        database = await open_database(settings(data_dir=other))
        jobs = Jobs(database, Blobs(other / "jobs"))
        assert (await jobs.get(job)).payload == {"n": 1}
        assert await Blobs(other / "jobs").verify(blob.rpartition("/")[2])
        people = await People.open(other)
        assert [person.name for person in await people.all()] == ["Ada"]
        await people.close()
        await database.close()

    asyncio.run(look())
    with pytest.raises(Conflict, match="--force"):
        restore(settings(data_dir=other), file, nothing)
    (other / "mine").write_text("kept")
    (other / ".restoring").mkdir()  # by one that was killed
    (other / ".restoring" / "mine").write_text("half")
    assert here("restore", str(file), "--data-dir", str(other), "--force").code == 0
    [aside] = other.glob(".before-*")
    assert {"mine", "aimass.db", "faces.db", "jobs", "models"} == {path.name for path in aside.iterdir()}
    assert not (other / "mine").exists()
    assert not (other / ".restoring").exists()


def test_while_somebody_writes(given: Settings, tmp_path: Path) -> None:
    """Every job that the backup knows is whole, and all that were there before it are known."""
    asyncio.run(fill(given))
    added: list[str] = []
    stop, writes = threading.Event(), threading.Event()

    async def write() -> None:
        async with Database(given.data_dir / "aimass.db") as database:
            while not stop.is_set():
                added.append((await Jobs(database).add(Wish("test", {"n": len(added)}))).id)
                writes.set()

    writer = threading.Thread(target=asyncio.run, args=(write(),))
    writer.start()
    try:
        assert writes.wait(30)
        before = list(added)
        back_up(given, tmp_path / "all.tar", nothing)
    finally:
        stop.set()
        writer.join()
    restore(settings(data_dir=tmp_path / "other"), tmp_path / "all.tar", nothing)
    connection = sqlite3.connect(tmp_path / "other" / "aimass.db")
    kept = {id for id, in connection.execute("SELECT id FROM jobs")}
    connection.close()
    assert set(before) <= kept
    assert len(kept - set(added)) == 1


def test_a_folder_in_use_is_not_restored_to(given: Settings, tmp_path: Path) -> None:
    async def both() -> None:
        database = await open_database(given)
        back_up(given, tmp_path / "all.tar", nothing)  # which a server does not mind
        with pytest.raises(Conflict, match="stop the server"):
            restore(given, tmp_path / "all.tar", nothing, force=True)
        await database.close()

    asyncio.run(both())
    assert hold(given.data_dir, alone=True) > 0


def _bent(source: Path, target: Path, *, drop: str = "", add: tuple[str, bytes] | None = None,
          change: str = "") -> None:
    with tarfile.open(source) as given, tarfile.open(target, "w") as made:
        for info in given:
            content = given.extractfile(info)
            assert content is not None
            data = content.read()
            if drop and info.name.endswith(drop):
                continue
            if add is not None and info.name == "end.json":
                extra = tarfile.TarInfo(add[0])
                extra.size = len(add[1])
                made.addfile(extra, io.BytesIO(add[1]))
            if change and change in info.name:
                data = b"?" * len(data)
            made.addfile(info, io.BytesIO(data))


def test_what_is_no_whole_backup_changes_nothing(given: Settings, tmp_path: Path) -> None:
    asyncio.run(fill(given))
    whole, bent, other = tmp_path / "all.tar", tmp_path / "bent.tar", settings(data_dir=tmp_path / "other")
    back_up(given, whole, nothing)

    def refused(match: str, kind: type[AimassError] = InvalidInput) -> None:
        with pytest.raises(kind, match=match):
            restore(other, bent, nothing)
        assert there(other.data_dir) == {".lock"}

    for name, content in (("../outside", b"x"), ("models/../../outside", b"x")):
        _bent(whole, bent, add=(name, content))
        refused("outside")
    assert not (tmp_path / "outside").exists()
    _bent(whole, bent, drop="model.toml")
    refused("not a whole backup")
    _bent(whole, bent, drop="end.json")
    refused("not a whole backup")
    _bent(whole, bent, drop="manifest.json")
    refused("is no backup")
    _bent(whole, bent, change="jobs/")
    refused("not what its name says")
    _bent(whole, bent, change="aimass.db")
    refused("aimass.db is broken")
    bent.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    refused("is no")
    bent.write_bytes(b"words" * 1000)
    refused("is no backup")
    bent.unlink()
    with pytest.raises(NotFound):
        restore(other, bent, nothing)
    for wrong in (whole, given.data_dir / "inside.tar"):
        with pytest.raises((Conflict, InvalidInput)):
            back_up(given, wrong, nothing)
    shutil.rmtree(other.data_dir)
    with pytest.raises(NotFound):
        back_up(other, bent, nothing)
