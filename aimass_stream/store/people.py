"""People who want to be recognised: their consent, pictures of their faces, and the vectors made of these.

It is a database of its own, readable by its owner alone. What is deleted is gone from the file: freed pages are
overwritten (`secure_delete`), and the log beside it is written back and cut to nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from ..errors import Conflict, NotFound, Unavailable
from .database import BUSY_SECONDS, Database

FILE = "faces.db"
MOST_PEOPLE = 2000
METADATA = MetaData()
PEOPLE = Table(
    "people", METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("consent_by", String, nullable=False),
    Column("consent_words", String, nullable=False),
    Column("created", Float, nullable=False),  # s since the epoch: when the consent was given
)
PICTURES = Table(
    "pictures", METADATA,
    Column("id", Integer, primary_key=True),
    Column("person", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("face", LargeBinary, nullable=False),  # a PNG file of the face alone, as networks take it
)
VECTORS = Table(
    "vectors", METADATA,
    Column("picture", ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String, primary_key=True),  # name and version
    Column("vector", LargeBinary, nullable=False),  # float16
)


@dataclass(frozen=True, slots=True)
class Consent:
    by: str
    words: str
    when: float  # s since the epoch


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    consent: Consent
    pictures: int


Vectors = NDArray[np.float32]


class People:
    """`await People.open(folder)`, and `close` at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, folder: Path) -> People:
        """Raises `Unavailable`."""
        path = folder / FILE
        try:
            await asyncio.to_thread(_made, path)
        except OSError as error:
            raise Unavailable(f"faces can't be kept in {folder}: {error.strerror}") from None
        database = Database(path, migrations=[METADATA.create_all])
        await database.open()
        await asyncio.to_thread(_cut, path)  # a process that was killed may have left what it had deleted in the log
        return cls(database)

    async def close(self) -> None:
        await self._database.close()

    async def add(self, name: str, consent_by: str, words: str, faces: Sequence[bytes], model: str,
                  vectors: Vectors) -> Person:
        """Keep a person with PNG files of the face and their vectors (n, values) of a model. Raises `Conflict`."""
        person = Person(f"p_{secrets.token_urlsafe(9)}", name, Consent(consent_by, words, time.time()), len(faces))
        async with self._database.begin() as connection:
            if (await connection.execute(select(func.count()).select_from(PEOPLE))).scalar_one() >= MOST_PEOPLE:
                raise Conflict(f"{MOST_PEOPLE} people are known already, which is the limit")
            await connection.execute(insert(PEOPLE).values(
                id=person.id, name=name, consent_by=consent_by, consent_words=words, created=person.consent.when))
            for face, vector in zip(faces, vectors, strict=True):
                row = await connection.execute(insert(PICTURES).values(person=person.id, face=face)
                                               .returning(PICTURES.c.id))
                await connection.execute(insert(VECTORS).values(picture=row.scalar_one(), model=model,
                                                                vector=_packed(vector)))
        return person

    async def all(self) -> list[Person]:
        """The oldest first."""
        query = (select(PEOPLE, func.count(PICTURES.c.id).label("pictures")).outerjoin(PICTURES).group_by(PEOPLE.c.id)
                 .order_by(PEOPLE.c.created, PEOPLE.c.id))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Person(row.id, row.name, Consent(row.consent_by, row.consent_words, row.created), row.pictures)
                for row in rows]

    async def vectors(self, model: str) -> list[tuple[str, Vectors]]:
        """Of every person of whom there are any: the id, and (n, values)."""
        query = (select(PICTURES.c.person, VECTORS.c.vector).join(VECTORS, VECTORS.c.picture == PICTURES.c.id)
                 .where(VECTORS.c.model == model).order_by(PICTURES.c.person, PICTURES.c.id))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return await asyncio.to_thread(_grouped, [(row.person, row.vector) for row in rows])

    async def without(self, model: str) -> list[tuple[int, bytes]]:
        """Pictures that this model has not seen yet: number and PNG file."""
        seen = select(VECTORS.c.picture).where(VECTORS.c.model == model)
        query = select(PICTURES.c.id, PICTURES.c.face).where(PICTURES.c.id.not_in(seen)).order_by(PICTURES.c.id)
        async with self._database.read() as connection:
            return [(row.id, row.face) for row in (await connection.execute(query)).all()]

    async def remember(self, model: str, vectors: Sequence[tuple[int, Vectors]]) -> None:
        """A model's vectors, (values,) each, of pictures by number; those that were deleted meanwhile are left out."""
        async with self._database.begin() as connection:
            there = set((await connection.execute(select(PICTURES.c.id))).scalars())
            rows = [{"picture": number, "model": model, "vector": _packed(vector)} for number, vector in vectors
                    if number in there]
            if rows:
                await connection.execute(insert(VECTORS).prefix_with("OR IGNORE"), rows)

    async def delete(self, person: str) -> None:
        """Their name, consent, pictures and vectors; none of it is in any file when this returns. Raises `NotFound`."""
        async with self._database.begin() as connection:
            if not (await connection.execute(delete(PEOPLE).where(PEOPLE.c.id == person))).rowcount:
                raise NotFound(f"there is no person {person[:64]!r}", field="id")
        await asyncio.to_thread(_cut, self._database.path)


def _made(path: Path) -> None:
    """For its owner alone; what SQLite puts beside it gets the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _cut(path: Path) -> None:
    """Bring the log's pages into the file and cut the log to nothing. Raises `Unavailable` where a reader holds it."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    if busy:
        raise Unavailable(f"{path.name} is read by others all the time: what was deleted may still be in its log")


def _packed(vector: Vectors) -> bytes:
    return vector.astype("<f2").tobytes()


def _grouped(rows: Sequence[tuple[str, bytes]]) -> list[tuple[str, Vectors]]:
    groups: dict[str, list[Vectors]] = {}
    for person, packed in rows:
        groups.setdefault(person, []).append(np.frombuffer(packed, "<f2").astype(np.float32))
    return [(person, np.stack(vectors)) for person, vectors in groups.items()]
