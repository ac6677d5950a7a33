"""Who is known by face: one register for the process, shared by all sessions and the REST interface."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import InvalidInput, ModelFailed
from ..frames import Pixels, now
from ..inference import Batch, Engine
from ..vision.boxes import Floats
from ..vision.faces import aligned
from .detector import Detector, Thing, Wish
from .detector import choose as choose_detector
from .embedder import Embedder
from .gallery import Gallery, gathered
from .tiles import look

if TYPE_CHECKING:
    from ..store.people import People, Person

SMALLEST = 48  # px of a face that is learnt
ANOTHER = 0.25  # of the largest face's area, from which a second one in the picture makes it doubtful whose is meant
PATIENCE = 20.0  # s for a model's answer


class Register:
    """`await shared(engine, folder)`. Galleries are made when they are first asked for, one for each embedder."""

    def __init__(self, engine: Engine, people: People) -> None:
        self.names: dict[str, str] = {}  # by id
        self._engine = engine
        self._people = people
        self._galleries: dict[str, tuple[Embedder, Gallery]] = {}  # by the embedder's key
        self._changing = asyncio.Lock()

    @classmethod
    async def open(cls, engine: Engine, folder: Path) -> Register:
        """Raises `Unavailable`."""
        people: type[People] = await asyncio.to_thread(_people)
        register = cls(engine, await people.open(folder))
        register.names = {person.id: person.name for person in await register.people()}
        return register

    async def close(self) -> None:
        await self._people.close()

    async def people(self) -> list[Person]:
        return await self._people.all()

    def gallery(self, embedder: Embedder) -> Gallery:
        """As it is now: empty before `ready`."""
        return self._galleries[embedder.key][1] if embedder.key in self._galleries else Gallery()

    async def ready(self, embedder: Embedder) -> None:
        """Load the model and have everybody's vectors. Raises what loading raises, or `ModelFailed`."""
        if embedder.input is not None:
            await self._engine.load(embedder.name)
        async with self._changing:
            if embedder.key not in self._galleries:
                await self._build(embedder)

    async def embed(self, embedder: Embedder, face: Pixels) -> Floats:
        return await embedder.embed(face, partial(_ask, self._engine, embedder.name), asyncio.to_thread)

    async def enrol(self, embedder: Embedder, name: str, consent_by: str, words: str, faces: Sequence[Pixels]
                    ) -> Person:
        """Know a person from now on, by faces (112, 112, 3). Raises `Conflict` when there are too many."""
        await self.ready(embedder)
        vectors = np.stack([await self.embed(embedder, face) for face in faces])
        files = await asyncio.to_thread(lambda: [_png(face) for face in faces])
        async with self._changing:
            person = await self._people.add(name, consent_by, words, files, embedder.key, vectors)
            self.names[person.id] = name
            for other, _ in list(self._galleries.values()):
                await self._build(other)
        return person

    async def forget(self, person: str) -> None:
        """Nobody is taken for them from now on; when it returns, nothing of them is on disk. Raises `NotFound`."""
        self.names.pop(person, None)
        async with self._changing:
            await self._people.delete(person)
            for key, (embedder, gallery) in list(self._galleries.items()):
                left = await asyncio.to_thread(lambda: gallery.without(person).measured(embedder.least))  # noqa: B023
                self._galleries[key] = embedder, left

    async def _build(self, embedder: Embedder) -> None:
        """Everybody's vectors by this embedder; those that it has not made yet are made of the pictures."""
        made = []
        for number, file in await self._people.without(embedder.key):
            made.append((number, await self.embed(embedder, await asyncio.to_thread(_face, file))))
        await self._people.remember(embedder.key, made)
        groups = await self._people.vectors(embedder.key)
        gallery = await asyncio.to_thread(lambda: gathered(groups).measured(embedder.least))
        self._galleries[embedder.key] = embedder, gallery


def _people() -> type[People]:
    """SQLAlchemy takes most of a second to import: not when the server starts, and not on its loop."""
    from ..store.people import People

    return People


async def shared(engine: Engine, folder: Path) -> Register:
    """The register of this process. Raises `Unavailable`."""
    return await engine.share("faces", partial(Register.open, engine, folder))


async def only_face(engine: Engine, picture: Pixels, named: str) -> Pixels:
    """The face (112, 112, 3) that a BGR picture shows. Raises `InvalidInput` where there is not just one."""
    entry = choose_detector(engine.store, "auto", "", "face")
    detector = Detector(entry)
    await engine.load(detector.name)
    ask = partial(_ask, engine, detector.name)
    found = await look(detector, picture, Wish(labels=frozenset({"face"})), 1, ask, asyncio.to_thread)
    faces = sorted(found, key=_area, reverse=True)
    if not faces:
        raise InvalidInput(f"no face is found in {named}", field="image")
    if len(faces) > 1 and _area(faces[1]) > ANOTHER * _area(faces[0]):
        raise InvalidInput(f"there are several faces in {named}: whose is meant?", field="image")
    left, top, right, bottom = faces[0].box
    if min(right - left, bottom - top) < SMALLEST:
        raise InvalidInput(f"the face in {named} is smaller than {SMALLEST} px", field="image")
    face: Pixels = await asyncio.to_thread(aligned, picture, faces[0].box, faces[0].points)
    return face


async def _ask(engine: Engine, model: str, batch: Batch) -> Batch:
    try:
        async with asyncio.timeout(PATIENCE):
            return await engine.submit(model, batch, session="faces", deadline=now() + PATIENCE)
    except TimeoutError:
        raise ModelFailed(f"{model} has not answered for {PATIENCE:g} s") from None


def _area(thing: Thing) -> float:
    left, top, right, bottom = thing.box
    return max(0.0, right - left) * max(0.0, bottom - top)


def _png(face: Pixels) -> bytes:
    return cv2.imencode(".png", face)[1].tobytes()


def _face(file: bytes) -> Pixels:
    """Our own file, as `_png` wrote it."""
    return np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), np.uint8)
