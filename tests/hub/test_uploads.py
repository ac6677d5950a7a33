"""Uploads in parts: resumed, doubled, refused, and kept through a killed server."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.errors import Busy, Conflict, InvalidInput, NoSpace, NotFound, TooLarge
from aimass_stream.hub import uploads as module
from aimass_stream.hub.uploads import Uploads
from aimass_stream.store import Blobs, Database
from tests.support.model_hub import ADA, ADMIN, BOB, whole

pytestmark = pytest.mark.anyio

CONTENT = os.urandom(5000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[Uploads]:
    async with Database(folder / "a.db") as database:
        yield Uploads(database, Blobs(folder / "blobs"), folder / "uploads", **options)


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "uploads").iterdir()]


async def test_parts_become_a_blob(tmp_path: Path) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "model.onnx", len(CONTENT), DIGEST)
        assert upload.offset == 0
        upload = await uploads.append(ADA, upload.id, 0, whole(CONTENT[:1000], b"", CONTENT[1000:1500]))
        assert (upload.offset, upload.sha256) == (1500, None)
        with pytest.raises(Conflict, match=r"3500 bytes of model\.onnx are missing"):
            await uploads.whole(ADA, upload.id)
        for offset in (0, 1499, 1501):
            with pytest.raises(Conflict, match="1500 bytes are here"):
                await uploads.append(ADA, upload.id, offset, whole(b"x"))
        upload = await uploads.append(ADA, upload.id, 1500, whole(CONTENT[1500:]))
        assert (upload.offset, upload.sha256) == (5000, DIGEST)
        assert await uploads.append(ADA, upload.id, 5000, whole()) == upload
        assert uploads._blobs.path(DIGEST).read_bytes() == CONTENT
        assert files(tmp_path) == []
        assert await uploads.find(ADA) == [upload]
        await uploads.end(ADA, upload.id)
        assert await uploads.find(ADA) == []


async def test_somebody_elses_is_not_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", 10)
        for call in (uploads.get(BOB, upload.id), uploads.append(BOB, upload.id, 0, whole(b"x")),
                     uploads.end(BOB, upload.id), uploads.whole(BOB, upload.id), uploads.get(ADA, "upl_nothing"),
                     uploads.get(ADA, "../a\x00")):
            with pytest.raises(NotFound):
                await call
        assert (await uploads.get(ADMIN, upload.id)).id == upload.id
        assert await uploads.find(BOB) == []


async def test_a_sender_that_goes_away_goes_on_later(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield CONTENT[:700]
        raise ConnectionResetError

    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT))
        with pytest.raises(ConnectionResetError):
            await uploads.append(ADA, upload.id, 0, broken())
        assert (await uploads.get(ADA, upload.id)).offset == 700
    async with opened(tmp_path) as uploads:  # another process
        assert (await uploads.append(ADA, upload.id, 700, whole(CONTENT[700:]))).sha256 == DIGEST


async def test_a_killed_server_forgets_nothing_that_is_here(tmp_path: Path) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT))
        (tmp_path / "uploads" / upload.id).write_bytes(CONTENT)  # all came, and it was killed before it was a blob
    async with opened(tmp_path) as uploads:
        assert (await uploads.whole(ADA, upload.id)).sha256 == DIGEST


async def test_two_parts_at_once(tmp_path: Path) -> None:
    hold = asyncio.Event()
    began = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        began.set()
        await hold.wait()
        yield CONTENT

    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT))
        first = asyncio.create_task(uploads.append(ADA, upload.id, 0, slow()))
        await began.wait()
        with pytest.raises(Conflict, match="just coming"):
            await uploads.append(ADA, upload.id, 0, whole(CONTENT))
        hold.set()
        assert (await first).sha256 == DIGEST
        assert uploads._locks == {}


async def test_the_same_twice_at_once_is_one_blob(tmp_path: Path) -> None:
    async with opened(tmp_path) as uploads:
        both = [await uploads.begin(caller, "m", len(CONTENT)) for caller in (ADA, BOB)]
        done = await asyncio.gather(*(uploads.append(caller, upload.id, 0, whole(CONTENT))
                                      for caller, upload in zip((ADA, BOB), both, strict=True)))
        assert {upload.sha256 for upload in done} == {DIGEST}
        assert len(list((tmp_path / "blobs").glob("??/*"))) == 1


async def test_what_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, most=6000) as uploads:
        for name in ("../m", "/m", "a\\b", ""):
            with pytest.raises(InvalidInput):
                await uploads.begin(ADA, name, 10)
        for size in (0, -1, 6001):
            with pytest.raises(TooLarge):
                await uploads.begin(ADA, "m", size)
        with pytest.raises(InvalidInput, match="64 hexadecimal"):
            await uploads.begin(ADA, "m", 10, "X" * 64)
        wrong = await uploads.begin(ADA, "m", len(CONTENT), "0" * 64)
        with pytest.raises(InvalidInput, match="SHA-256"):
            await uploads.append(ADA, wrong.id, 0, whole(CONTENT))
        with pytest.raises(NotFound):
            await uploads.get(ADA, wrong.id)
        more = await uploads.begin(ADA, "m", 10)
        with pytest.raises(TooLarge, match="announced with 10 bytes"):
            await uploads.append(ADA, more.id, 0, whole(b"x" * 11))
        assert (await uploads.get(ADA, more.id)).offset == 0


async def test_too_many_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN", 2)
    async with opened(tmp_path) as uploads:
        first = await uploads.begin(ADA, "m", 10)
        await uploads.begin(ADA, "m", 10)
        with pytest.raises(Busy):
            await uploads.begin(ADA, "m", 10)
        await uploads.begin(BOB, "m", 10)
        await uploads.end(ADA, first.id)
        await uploads.begin(ADA, "m", 10)


async def test_what_is_old_is_thrown_away(tmp_path: Path) -> None:
    async with opened(tmp_path, keep=0) as uploads:
        upload = await uploads.begin(ADA, "m", 10)
        with pytest.raises(NotFound):
            await uploads.get(ADA, upload.id)
        await uploads.sweep()
        assert files(tmp_path) == []


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT))
        await uploads.append(ADA, upload.id, 0, whole(CONTENT[:100]))
        plain = os.fsync

        class Full:
            """A file on a disk with room for ten more bytes."""

            def __init__(self, file: object) -> None:
                self.file = file

            def write(self, data: memoryview) -> int:
                if len(data) > 10:
                    return int(self.file.write(data[:10]))  # type: ignore[attr-defined]
                raise OSError(errno.ENOSPC, "no room")

            def __getattr__(self, name: str) -> object:
                return getattr(self.file, name)

        append = module._append
        monkeypatch.setattr(module, "_append", lambda file, piece, before, digest: append(
            Full(file), piece if len(piece) < 20 else piece[:15], before, digest))
        with pytest.raises(NoSpace, match="no room left"):
            await uploads.append(ADA, upload.id, 100, whole(CONTENT[100:]))
        assert os.fsync is plain
        monkeypatch.undo()
        assert (await uploads.get(ADA, upload.id)).offset == 100  # nothing half-written
        assert (await uploads.append(ADA, upload.id, 100, whole(CONTENT[100:]))).sha256 == DIGEST


async def test_no_room_is_said_before_anything_comes(tmp_path: Path) -> None:
    async with opened(tmp_path, most=1 << 60) as uploads:
        with pytest.raises(NoSpace, match="no room left"):
            await uploads.begin(ADA, "m", 1 << 59)


async def test_what_was_hashed_as_it_came_is_not_read_again_and_not_copied(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT))
        await uploads.append(ADA, upload.id, 0, whole(CONTENT[:1234]))
        [name] = files(tmp_path)
        number = (tmp_path / "uploads" / name).stat().st_ino
        monkeypatch.delattr(module, "_read")
        assert (await uploads.append(ADA, upload.id, 1234, whole(CONTENT[1234:]))).sha256 == DIGEST
        assert uploads._blobs.path(DIGEST).stat().st_ino == number


async def test_what_came_before_a_restart_is_read_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as uploads:
        upload = await uploads.begin(ADA, "m", len(CONTENT), DIGEST)
        await uploads.append(ADA, upload.id, 0, whole(CONTENT[:1234]))
    seen: list[Path] = []
    read = module._read

    def noting(path: Path) -> module.Digest:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(module, "_read", noting)
    async with opened(tmp_path) as uploads:
        assert (await uploads.append(ADA, upload.id, 1234, whole(CONTENT[1234:]))).sha256 == DIGEST
    assert len(seen) == 1


async def test_digests_of_more_uploads_than_are_kept_are_found_by_reading(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DIGESTS", 2)
    async with opened(tmp_path) as uploads:
        ids = [(await uploads.begin(ADA, f"m{number}", len(CONTENT), DIGEST)).id for number in range(4)]
        for upload in ids:
            await uploads.append(ADA, upload, 0, whole(CONTENT[:100]))
        assert list(uploads._digests) == ids[2:]
        for upload in ids:
            assert (await uploads.append(ADA, upload, 100, whole(CONTENT[100:]))).sha256 == DIGEST


async def test_uploads_together_keep_their_pace_while_sessions_are_live(tmp_path: Path) -> None:
    live = True
    async with opened(tmp_path, live=lambda: live, pace=50_000.0) as uploads:
        async def upload() -> None:
            one = await uploads.begin(ADA, "m", len(CONTENT))
            await uploads.append(ADA, one.id, 0, whole(CONTENT))

        begun = time.monotonic()
        await asyncio.gather(upload(), upload())
        assert time.monotonic() - begun >= 0.2  # twice 5000 bytes
        live = False
        turn = uploads._turn
        await upload()
        assert uploads._turn == turn  # nobody waited
