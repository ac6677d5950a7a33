"""Blobs: by content, whole or not at all; in a folder, and in an object store."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aimass_stream.errors import InvalidInput, NoSpace, NotFound, TooLarge, Unavailable
from aimass_stream.store import Blobs, open_blobs
from aimass_stream.store.database import Database
from aimass_stream.store.jobs import Jobs, Wish
from aimass_stream.store.objects import Objects
from tests.support.options import settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["folder", "objects"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return Blobs(tmp_path)
    if importlib.util.find_spec("obstore") is None:
        pytest.skip("obstore is not installed")
    return Objects(f"file://{tmp_path}/store", tmp_path / "here")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def bend(folder: Path, sha256: str) -> None:
    [path] = folder.rglob(sha256)
    path.write_bytes(b"bent")


def fill(disk: Path) -> Path:
    """A file with all the room that there is left."""
    path = disk / "filled"
    with suppress(OSError), path.open("wb", 0) as file:
        while file.write(bytes(4096)):
            pass
    return path


async def content(blobs: Blobs, sha256: str) -> bytes:
    async with blobs.local(sha256) as path:
        return await asyncio.to_thread(path.read_bytes)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a disk of a size of its own can't be mounted here (that needs root)")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_content_is_kept_once_under_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    blob = await blobs.put(b"hello")
    assert (blob.sha256, blob.size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert await blobs.put(pieces(b"hel", b"", b"lo")) == blob
    assert files(tmp_path) == [blob.sha256]
    assert await content(blobs, blob.sha256) == b"hello"
    number = await blobs.open(blob.sha256)
    assert os.read(number, 100) == b"hello"
    os.close(number)
    async with blobs.scratch() as path:
        path.write_bytes(b"made elsewhere")
        adopted = await blobs.adopt(path)
    assert await content(blobs, adopted.sha256) == b"made elsewhere"
    assert files(tmp_path) == sorted([blob.sha256, adopted.sha256])
    large = await blobs.put(bytes(3_000_000), expected=hashlib.sha256(bytes(3_000_000)).hexdigest())
    assert (large.size, await blobs.verify(large.sha256)) == (3_000_000, True)
    assert (await blobs.put(b"")).size == 0


async def test_what_is_refused_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await blobs.put(pieces(b"x" * 60, b"x" * 60), limit=100)
    with pytest.raises(InvalidInput, match="SHA-256"):
        await blobs.put(b"hello", expected="0" * 64)

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put(broken())
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 64, "A" * 64, "0" * 63, "0" * 63 + "/"])
async def test_other_names_lead_nowhere(blobs: Blobs, name: str) -> None:
    for asked in (blobs.check(name), blobs.open(name), blobs.verify(name), blobs.delete(name), content(blobs, name)):
        with pytest.raises(NotFound):
            await asked


async def test_damage_is_seen_and_leftovers_are_swept(blobs: Blobs, tmp_path: Path) -> None:
    kept, orphan = await blobs.put(b"kept"), await blobs.put(b"orphan")
    (blobs.folder / "new" / "left-by-a-killed-process").write_bytes(b"half")
    assert await blobs.sweep([kept.sha256]) == []  # all of it is young
    assert await blobs.sweep([kept.sha256], older=0) == [orphan.sha256]
    assert files(tmp_path) == [kept.sha256]
    bend(tmp_path, kept.sha256)
    assert not await blobs.verify(kept.sha256)
    await blobs.delete(kept.sha256)
    assert files(tmp_path) == []


async def test_where_blobs_are(tmp_path: Path) -> None:
    assert (await open_blobs(settings(data_dir=tmp_path), "files")).folder == tmp_path / "files"
    pytest.importorskip("obstore")
    far = await open_blobs(settings(data_dir=tmp_path, blobs=f"file://{tmp_path}/far/"), "files")
    blob = await far.put(b"there")
    assert files(tmp_path / "far" / "files" / blob.sha256[:2]) == files(tmp_path) == [blob.sha256]
    bend(tmp_path, blob.sha256)
    with pytest.raises(Unavailable, match="broken in its store"):
        await content(far, blob.sha256)
    with pytest.raises(InvalidInput) as refused:
        await open_blobs(settings(data_dir=tmp_path, blobs="nowhere://here"))
    assert refused.value.field == "blobs"


async def test_a_full_disk_keeps_nothing_by_halves(small: Path) -> None:
    blobs = Blobs(small / "blobs")
    async with Database(small / "kept.db") as database:
        jobs = Jobs(database, blobs)
        first = await jobs.add(Wish("test", {"n": 1}))
        with pytest.raises(NoSpace, match="no room left"):
            await blobs.put(bytes(2_000_000))
        assert files(small / "blobs") == []
        filled = fill(small)
        with pytest.raises(NoSpace):
            await jobs.add(Wish("test", {"text": "x" * 500_000}))
        kept = await jobs.find()
        assert [job.id for job in kept] == [first.id]
        filled.unlink()
        assert (await jobs.add(Wish("test", {"n": 2}))).state == "queued"
        assert len(await jobs.find()) == len(kept) + 1


async def test_a_file_that_stays_where_it_is_is_kept_and_never_changed_by_the_loss_of_its_first_name(
        blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine"
    for content, linked in ((b"linked", True), (b"copied", False)):
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        with monkeypatch.context() as patch:
            if not linked:
                patch.setattr(Path, "hardlink_to", refused)
            blob = await blobs.share(path, sha256)
        assert (blob.sha256, blob.size) == (sha256, 6)
        path.unlink()
        async with blobs.local(sha256) as place:
            assert place.read_bytes() == content
    assert list((blobs.folder / "new").iterdir()) == []


def refused(*_: object) -> None:
    raise OSError("no links on this disk")
