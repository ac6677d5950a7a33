"""What stages do at each rung of their ladders, and at the moment that they change it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  their imports take a while: not inside a test
import numpy as np
import onnxruntime  # noqa: F401
import pytest

from aimass_stream.engines import style as engine_style  # noqa: F401
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.governor import costs
from aimass_stream.inference import Batch, Engine, installed
from tests.support import small_networks, styles
from tests.support.context import REGISTRY, Context, params, video
from tests.support.mediapipe import needs
from tests.support.sights import person, wall

pytestmark = pytest.mark.anyio

SITTING = person(wall(), 320, 220, 100)
LADDERED = [entry["name"] for entry in REGISTRY.describe() if entry.get("ladder")]


@pytest.fixture
def painting(tmp_path: Path) -> Iterator[None]:
    """One style is there."""
    styles.write(tmp_path, "style-starry-night", seed=1)
    store, before = installed(), installed().folders
    store.folders = (tmp_path,)
    yield
    store.folders = before


class Noting(Engine):
    """Notes the shapes of what it was given."""

    def __init__(self) -> None:
        super().__init__(installed())
        self.asked: list[tuple[int, ...]] = []

    async def submit(self, model: str, inputs: Batch, **options: Any) -> Batch:
        self.asked.append(next(iter(inputs.values())).shape)
        return await super().submit(model, inputs, **options)


@asynccontextmanager
async def at_work(name: str, **given: Any) -> AsyncIterator[tuple[Any, Context, Noting]]:
    engine, context = Noting(), Context()
    context.engine = engine
    stage = REGISTRY.create(name, params(name, **given))
    await stage.start(context)
    try:
        yield stage, context, engine
    finally:
        await stage.close()
        await engine.close()


def sitting(number: int, size: tuple[int, int] = (640, 480), noise: int = 3) -> VideoFrame:
    """A person who sits still before a camera that is not free of noise."""
    picture = SITTING[: size[1], : size[0]].astype(int) + np.random.default_rng(number).integers(
        -noise, noise + 1, (size[1], size[0], 3))
    return video(number, picture=Picture.from_bgr(np.clip(picture, 0, 255).astype(np.uint8)))


@pytest.mark.parametrize("name", LADDERED)
def test_ladders_are_told_with_words_and_cost_less_and_less(name: str) -> None:
    described = next(entry for entry in REGISTRY.describe() if entry["name"] == name)
    assert all(rung["name"] and (rung["says"] or not number) for number, rung in enumerate(described["ladder"]))
    stage = REGISTRY.create(name, params(name))
    shares = costs([rung.cost for rung in getattr(stage, "ladder", ())])
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == len(shares)
    assert REGISTRY.load_of(name) > 0


def test_the_stages_that_take_most_have_ladders() -> None:
    assert {"style", "detect", "faces", "classify", "ocr", "background", "hands", "cartoon"} <= set(LADDERED)


@pytest.mark.usefixtures("painting")
async def test_style_goes_from_wide_to_small_and_begins_at_half_for_large_pictures() -> None:
    async with at_work("style", steady=False, deadline=5000) as (stage, context, engine):
        for rung, side in ((0, 240), (1, 240), (2, 240), (3, 120)):
            context.rung = rung
            made = await stage.process(sitting(rung, (320, 240)))
            assert (made.width, made.height) == (320, 240)
            assert engine.asked[-1][0] == side
        assert stage.reach() == range(4)
        context.rung = 0
        await stage.process(sitting(5))
        assert stage.reach() == range(2, 4)
        assert stage.rung == 2
        stage.update(params("style", detail="narrow", deadline=5000))
        assert stage.reach() == range(1, 2)
        assert stage.rung == 1


@pytest.mark.usefixtures("painting")
async def test_style_steps_without_a_flash() -> None:
    """Who sits still is painted on as before: what changes from one picture to the next stays what it was."""
    async with at_work("style", deadline=5000) as (stage, context, _):
        shown: list[Pixels] = []
        for number in range(24):
            context.rung = (0, 1, 2, 3, 2, 0)[number // 4]
            shown.append((await stage.process(sitting(number, (320, 240)))).bgr)
        changes = [float(np.abs(later.astype(int) - before).mean()) for before, later in itertools.pairwise(shown)]
        assert max(changes) < 4, changes


async def test_background_takes_masks_of_the_picture_before_and_never_none() -> None:
    needs("mediapipe-person", "mediapipe-person-wide")
    async with at_work("background", mode="colour", colour="#00ff00", deadline=5000) as (stage, context, engine):
        shown = []
        for number in range(12):
            context.rung = number // 4
            shown.append((await stage.process(sitting(number))).bgr)
        assert len(engine.asked) == 4 + 2 + 2
        assert all(abs(int(made[20, 20, 1]) - 255) < 60 for made in shown), "green is behind"
        assert all(np.abs(made[220, 320].astype(int) - SITTING[220, 320]).max() < 60 for made in shown), "a person is"
        context.rung = 2
        smaller = await stage.process(sitting(20, (480, 360)))
        assert abs(int(smaller.bgr[20, 20, 1]) - 255) < 60, "a mask of another size is of no use"


async def test_hands_looks_at_fewer_pictures() -> None:
    needs("mediapipe-palms", "mediapipe-hand")
    async with at_work("hands", deadline=5000) as (stage, context, engine):
        for number in range(12):
            context.rung = number // 6
            assert await stage.process(sitting(number)) is not None
        assert len(engine.asked) == 6 + 3


async def test_detect_looks_at_fewer_pictures_and_at_fewer_parts() -> None:
    given = {"engine": "opencv", "model": "opencv-faces", "tiles": 2, "deadline": 5000}
    async with at_work("detect", **given) as (stage, context, engine):
        looks = []
        for rung in range(4):
            context.rung = rung
            before = len(engine.asked)
            for number in range(6):
                await stage.process(sitting(6 * rung + number))
            looks.append(len(engine.asked) - before)
        assert looks[0] >= 6 * 5
        assert looks[1] == looks[0] // 2
        assert looks[2] == looks[0] // 3
        assert looks[3] == 2
        assert stage.reach() == range(4)
        stage.update(params("detect", **given | {"tiles": 1}))
        assert stage.reach() == range(3)


async def test_classify_and_faces_look_at_fewer_pictures(tmp_path: Path) -> None:
    needs("mediapipe-faces")
    small_networks.colours(tmp_path)
    store, before = installed(), installed().folders
    store.folders = (*before, tmp_path)
    try:
        for name, given in (("classify", {"model": "colours"}), ("faces", {"model": "patterns"})):
            async with at_work(name, every=1, deadline=5000, **given) as (stage, context, engine):
                looks = []
                for rung in range(3):
                    context.rung, stage._count, had = rung, 0, len(engine.asked)
                    for number in range(12):
                        await stage.process(sitting(12 * rung + number))
                    looks.append(len(engine.asked) - had)
            assert looks == [12, 6, 4]
    finally:
        store.folders = before
