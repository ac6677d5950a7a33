"""People who are recognised: kept, and deleted so that nothing of them is left in any file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete

from aimass_stream.errors import Conflict, NotFound, Unavailable
from aimass_stream.store import people as module
from aimass_stream.store.people import People

pytestmark = pytest.mark.anyio

WORDS = "I want to be greeted by name in room 7."


def contents(folder: Path) -> bytes:
    """Of all files there: the database, its log, and whatever else."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def vectors(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 500)).astype(np.float32)


def pictures(mark: bytes, count: int = 3) -> list[bytes]:
    return [mark + bytes([number]) + os.urandom(9000) for number in range(count)]


async def test_a_person_with_consent_pictures_and_vectors(tmp_path: Path) -> None:
    people = await People.open(tmp_path / "data")
    ada = await people.add("Ada", "Ada herself", WORDS, pictures(b"A"), "net 1", vectors(1))
    assert (ada.name, ada.consent.by, ada.consent.words, ada.pictures) == ("Ada", "Ada herself", WORDS, 3)
    assert await people.all() == [ada]
    [(person, found)] = await people.vectors("net 1")
    assert person == ada.id
    np.testing.assert_allclose(found, vectors(1), atol=0.002)
    assert await people.vectors("net 2") == []
    missing = await people.without("net 2")
    assert [file[:1] for _, file in missing] == [b"A"] * 3
    await people.remember("net 2", [(number, vectors(2)[0]) for number, _ in missing])
    assert await people.without("net 2") == []
    await people.close()
    again = await People.open(tmp_path / "data")
    assert await again.all() == [ada]
    await again.close()
    assert stat.S_IMODE((tmp_path / "data" / "faces.db").stat().st_mode) == 0o600


async def test_deletion_leaves_nothing_in_the_database_or_its_log(tmp_path: Path) -> None:
    people = await People.open(tmp_path)
    await people.add("Grace Hopper", "Grace Hopper", WORDS, pictures(b"G" * 40), "net 1", vectors(3))
    gone = await people.add("Zacharias Zzyzx", "Guardian Quux", "words of his own: xyzzy",
                            pictures(b"picture of Z" * 4), "net 1", vectors(4))
    await people.remember("net 2", [(number, vectors(5)[0]) for number, _ in await people.without("net 2")])
    secrets = [b"Zacharias", b"Quux", b"xyzzy", b"picture of Z", gone.id.encode(),
               *(vector.astype("<f2").tobytes()[at : at + 40] for vector in vectors(4) for at in (0, 400, 900))]
    before = contents(tmp_path)
    assert all(secret in before for secret in secrets)
    await people.delete(gone.id)
    after = contents(tmp_path)
    assert [secret for secret in secrets if secret in after] == []
    assert b"Grace Hopper" in after
    assert (tmp_path / "faces.db-wal").stat().st_size == 0
    assert [person.name for person in await people.all()] == ["Grace Hopper"]
    assert len(await people.vectors("net 2")) == 1
    with pytest.raises(NotFound):
        await people.delete(gone.id)
    await people.close()


async def test_what_was_not_cut_off_the_log_is_cut_at_the_next_start(tmp_path: Path) -> None:
    people = await People.open(tmp_path)
    gone = await people.add("Zacharias", "Zacharias", WORDS, pictures(b"picture of Z"), "net 1", vectors(4))
    async with people._database.begin() as connection:  # deleted, and then the process was killed
        await connection.execute(delete(module.PEOPLE).where(module.PEOPLE.c.id == gone.id))
    assert b"Zacharias" in contents(tmp_path)
    second = await People.open(tmp_path)
    assert b"Zacharias" not in contents(tmp_path)
    await second.close()
    await people.close()


async def test_limits_and_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PEOPLE", 1)
    people = await People.open(tmp_path)
    await people.add("Ada", "Ada", WORDS, pictures(b"A"), "net 1", vectors(1))
    with pytest.raises(Conflict, match="limit"):
        await people.add("Bob", "Bob", WORDS, pictures(b"B"), "net 1", vectors(2))
    assert len(await people.all()) == 1
    await people.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "faces.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Unavailable, match=r"faces\.db"):
        await People.open(tmp_path / "other")
    with pytest.raises(Unavailable, match="can't be kept"):
        await People.open(tmp_path / "faces.db")
