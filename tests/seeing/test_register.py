"""The register of known people: enrolled, recognised and forgotten, by networks and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  their imports take a while: not inside a test
import numpy as np
import onnxruntime  # noqa: F401
import pytest

from aimass_stream.errors import InvalidInput, InvalidPipeline, ModelFailed, NotFound
from aimass_stream.frames import Pixels
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.seeing.embedder import PATTERNS, choose
from aimass_stream.seeing.register import Register, only_face, shared
from aimass_stream.vision.faces import SIDE
from tests.support import small_networks
from tests.support.drawn_faces import face, portrait
from tests.support.mediapipe import needs
from tests.support.sights import wall

pytestmark = pytest.mark.anyio

WORDS = "I agree."


FACES = {(who, take): face(who, take) for who in range(5) for take in range(10)}  # drawing takes too long for a loop


def cropped(who: int, take: int = 0) -> Pixels:
    return FACES[who, take]


@asynccontextmanager
async def registered(folder: Path, **networks: dict[str, Any]) -> AsyncIterator[tuple[Register, Engine]]:
    models = folder / "models"
    models.mkdir(exist_ok=True)
    for name, options in networks.items():
        if not (models / name).exists():
            small_networks.embedder(models, name, **options)
    engine = Engine(FolderStore([models]))
    try:
        yield await shared(engine, folder), engine
    finally:
        await engine.close()


async def test_a_network_names_people_at_once(tmp_path: Path) -> None:
    async with registered(tmp_path, cells={}) as (register, engine):
        embedder = choose(engine.store)
        assert (embedder.name, embedder.tier, embedder.least) == ("cells", "weights", 0.92)
        ada = await register.enrol(embedder, "Ada", "Ada", WORDS, [cropped(1)])
        bob = await register.enrol(embedder, "Bob", "Bob", WORDS, [cropped(2), cropped(2, 1)])
        gallery = register.gallery(embedder)
        for who, take, expected in ((1, 3, ada.id), (2, 3, bob.id), (3, 0, "")):
            match = gallery.identify(await register.embed(embedder, cropped(who, take)))
            assert match.person == expected, (who, match)
        await register.forget(ada.id)
        assert register.gallery(embedder).identify(await register.embed(embedder, cropped(1))).person == ""
        assert register.names == {bob.id: "Bob"}
        with pytest.raises(NotFound):
            await register.forget(ada.id)
    async with registered(tmp_path) as (register, engine):  # the next start of the server
        embedder = choose(engine.store)
        await register.ready(embedder)
        assert register.names == {bob.id: "Bob"}
        assert register.gallery(embedder).people == (bob.id,)


async def test_patterns_name_nobody_before_they_have_shown_that_they_may(tmp_path: Path) -> None:
    async with registered(tmp_path) as (register, engine):
        embedder = choose(engine.store)
        assert (embedder.name, embedder.tier) == (PATTERNS, "no-weights")
        for who in range(2):
            await register.enrol(embedder, f"p{who}", "x", WORDS, [cropped(who, take) for take in range(8)])
            assert not register.gallery(embedder).trust.answers
        people = [await register.enrol(embedder, f"p{who}", "x", WORDS, [cropped(who, take) for take in range(8)])
                  for who in (2, 3)]
        gallery = register.gallery(embedder)
        assert (gallery.trust.answers, gallery.trust.strangers, gallery.trust.accepted) == (True, 32, 0)
        assert gallery.identify(await register.embed(embedder, cropped(3, 9))).person == people[1].id
        assert gallery.identify(await register.embed(embedder, cropped(4))).person == ""


async def test_when_weights_come_the_faces_that_are_known_are_described_anew(tmp_path: Path) -> None:
    async with registered(tmp_path) as (register, engine):
        ada = await register.enrol(choose(engine.store), "Ada", "Ada", WORDS, [cropped(1)])
        small_networks.embedder(tmp_path / "models", "cells")
        better = choose(engine.store)
        assert better.name == "cells"
        await register.ready(better)
        assert register.gallery(better).identify(await register.embed(better, cropped(1, 2))).person == ada.id
        await register.forget(ada.id)
        assert register.gallery(better).people == register.gallery(choose(engine.store, PATTERNS)).people == ()


@pytest.mark.parametrize(("given", "error", "told"), [
    ({"factor": float("nan")}, InvalidInput, "no numbers"), ({"factor": 0.0}, ModelFailed, "no numbers"),
    ({"rows": 7}, ModelFailed, "7×84"), ({"options": {"threshold": "high"}}, InvalidInput, "threshold"),
    ({"options": {"threshold": 2}}, InvalidInput, "threshold"),
])
async def test_a_network_that_describes_nothing_enrols_nobody(tmp_path: Path, given: dict[str, Any],
                                                              error: type[Exception], told: str) -> None:
    async with registered(tmp_path, cells=given) as (register, engine):
        with pytest.raises(error, match=told):
            await register.enrol(choose(engine.store), "Ada", "Ada", WORDS, [cropped(1)])
        assert await register.people() == []


async def test_the_best_network_is_taken_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    async with registered(tmp_path, cells={}, other={}) as (_, engine):
        assert choose(engine.store).name == "cells"
        assert choose(engine.store, "other").name == "other"
        with pytest.raises(InvalidPipeline, match="there is no model 'x' for faces; there are: patterns, cells, other"):
            choose(engine.store, "x")


async def test_it_has_to_be_clear_whose_face_is_meant() -> None:
    needs("mediapipe-faces")
    engine = Engine(installed())
    try:
        assert (await only_face(engine, portrait(1), "a")).shape == (SIDE, SIDE, 3)
        with pytest.raises(InvalidInput, match="no face is found in a"):
            await only_face(engine, wall(), "a")
        two = np.concatenate([portrait(1), portrait(2)], axis=1)
        with pytest.raises(InvalidInput, match="several faces in a: whose is meant"):
            await only_face(engine, two, "a")
        with pytest.raises(InvalidInput, match="smaller than 48 px"):
            await only_face(engine, portrait(1, radius=20, width=200, height=150, x=100, y=75), "a")
    finally:
        await engine.close()
