"""Blobs: by content, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimass_stream.errors import InvalidInput, NotFound, TooLarge
from aimass_stream.store import Blobs

pytestmark = pytest.mark.anyio


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_content_is_kept_once_under_its_hash(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = await blobs.put(b"hello")
    assert (blob.sha256, blob.size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert await blobs.put(pieces(b"hel", b"", b"lo")) == blob
    assert files(tmp_path) == [blob.sha256]
    assert blobs.path(blob.sha256).read_bytes() == b"hello"
    large = await blobs.put(bytes(3_000_000), expected=hashlib.sha256(bytes(3_000_000)).hexdigest())
    assert (large.size, await blobs.verify(large.sha256)) == (3_000_000, True)
    assert (await blobs.put(b"")).size == 0


async def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
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
async def test_other_names_lead_nowhere(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(NotFound):
        blobs.path(name)
    with pytest.raises(NotFound):
        await blobs.delete(name)


async def test_damage_is_seen_and_leftovers_are_swept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    kept, orphan = await blobs.put(b"kept"), await blobs.put(b"orphan")
    (tmp_path / "new" / "left-by-a-killed-process").write_bytes(b"half")
    assert await blobs.sweep([kept.sha256]) == []  # all of it is young
    assert await blobs.sweep([kept.sha256], older=0) == [orphan.sha256]
    assert files(tmp_path) == [kept.sha256]
    blobs.path(kept.sha256).write_bytes(b"bent")
    assert not await blobs.verify(kept.sha256)
    await blobs.delete(kept.sha256)
    assert files(tmp_path) == []
