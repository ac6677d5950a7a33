"""The stage that recognises people: real detectors, drawn people, a small network or none for their faces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  their imports take a while: not inside a test
import numpy as np
import onnxruntime  # noqa: F401
import pytest

from aimass_stream.errors import InvalidPipeline, ModelFailed
from aimass_stream.events import PersonArrived, PersonLeft
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.seeing.embedder import choose
from aimass_stream.seeing.register import Register, only_face, shared
from aimass_stream.stages.faces import Faces
from tests.support import small_networks
from tests.support.context import Context, params, video
from tests.support.drawn_faces import portrait
from tests.support.mediapipe import needs
from tests.support.options import settings
from tests.support.sights import wall

pytestmark = pytest.mark.anyio

PATIENT: dict[str, Any] = {"deadline": 5000, "every": 1, "gone": 1}
ADA, BOB, STRANGER = 1, 2, 5


@asynccontextmanager
async def staged(folder: Path, network: dict[str, Any] | None = None, *, enrolled: bool = True, **given: Any
                 ) -> AsyncIterator[tuple[Faces, Context, Register]]:
    needs("mediapipe-faces")
    models = folder / "models"
    models.mkdir()
    if network is not None:
        small_networks.embedder(models, **network)
    context = Context()
    context.settings = settings(data_dir=folder)
    context.engine = Engine(FolderStore([models, *installed().folders]))
    register = await shared(context.engine, folder)
    if enrolled:
        embedder = choose(context.engine.store)
        for who, name in ((ADA, "Ada"), (BOB, "Bob")):
            faces = [await only_face(context.engine, portrait(who, take), name) for take in range(2)]
            await register.enrol(embedder, name, name, "Yes.", faces)
    stage = Faces(params("faces", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context, register
        await stage.close()
    finally:
        await context.engine.close()


def frame(picture: Pixels, number: int = 0, **fields: Any) -> VideoFrame:
    """Ten pictures a second."""
    return video(3 * number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={}, **fields)


async def note(stage: Faces, given: VideoFrame) -> dict[str, Any]:
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    assert answer.pts == given.pts
    found: dict[str, Any] = answer.notes["faces"]
    return found


def told(context: Context) -> list[tuple[str, str, float, int | None]]:
    """Event, name, its time, and the pts of the picture it came with."""
    return [(event.type, event.name, event.at, about.pts if about is not None else None)
            for event, about in context.events if isinstance(event, PersonArrived | PersonLeft)]


async def test_who_came_and_left_and_when(tmp_path: Path) -> None:
    async with staged(tmp_path, {}) as (stage, context, _):
        for number in range(8):
            found = await note(stage, frame(portrait(ADA, 10 + number), number))
        [ada] = found["detections"]
        assert (found["model"], found["tier"], found["width"], found["height"]) == ("cells", "weights", 320, 240)
        assert (ada["name"], ada["id"], [person["name"] for person in found["here"]]) == ("Ada", 1, ["Ada"])
        assert ada["likeness"] > 0.92
        for number in range(8, 24):
            found = await note(stage, frame(wall(320, 240), number))
        assert (found["detections"], found["here"]) == ([], [])
        for number in range(24, 32):
            found = await note(stage, frame(portrait(STRANGER, number), number))
        assert [(face["name"], face["person"]) for face in found["detections"]] == [("unknown", "")]
        for number in range(32, 52):
            await stage.process(frame(portrait(BOB, number) if number >= 44 else wall(320, 240), number))
    arrived, left, second, closed = told(context)
    assert arrived[:2] == ("person.arrived", "Ada")
    assert arrived[2] <= 0.2 < (arrived[3] or 0) / 90_000 + 0.1  # from the first sight, told a few looks later
    assert left[:3] == ("person.left", "Ada", 0.7)
    assert second[:2] == ("person.arrived", "Bob")
    assert (closed[:2], closed[3]) == (("person.left", "Bob"), None)


async def test_without_weights_nobody_is_named_and_it_says_so(tmp_path: Path) -> None:
    async with staged(tmp_path) as (stage, context, _):
        for number in range(6):
            found = await note(stage, frame(portrait(ADA, number), number))
        assert (found["model"], found["tier"], found["names"]) == ("patterns", "no-weights", "not sure enough yet")
        assert [face["name"] for face in found["detections"]] == ["unknown"]
    assert told(context) == []


async def test_nobody_is_enrolled(tmp_path: Path) -> None:
    async with staged(tmp_path, {}, enrolled=False) as (stage, _, _):
        for number in range(3):
            found = await note(stage, frame(portrait(ADA, number), number))
        assert found["names"] == "nobody is enrolled"
        assert [face["name"] for face in found["detections"]] == ["unknown"]


async def test_who_is_deleted_while_they_are_seen_has_no_name_from_then_on(tmp_path: Path) -> None:
    async with staged(tmp_path, {}, overlay=False) as (stage, context, register):
        for number in range(8):
            found = await note(stage, frame(portrait(ADA, number), number))
        await register.forget(found["detections"][0]["person"])
        for number in range(8, 16):
            found = await note(stage, frame(portrait(ADA, number), number))
            assert [face["name"] for face in found["detections"]] == ["unknown"]
    assert [(kind, name) for kind, name, *_ in told(context)] == [("person.arrived", "Ada"), ("person.left", "")]


async def test_two_people_are_drawn_with_their_names_in_a_turned_picture(tmp_path: Path) -> None:
    async with staged(tmp_path, {}) as (stage, _, _):
        for number in range(8):
            both = np.concatenate([portrait(BOB, number), portrait(ADA, number)], axis=1)
            given = frame(np.ascontiguousarray(np.rot90(both)), number, rotation=90)
            answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    assert (answer.width, answer.height, answer.rotation) == (640, 240, 0)
    faces = sorted(answer.notes["faces"]["detections"], key=lambda face: face["box"][0])
    assert [face["name"] for face in faces] == ["Bob", "Ada"]
    assert answer.notes["faces"]["drawn"] is True
    assert (np.abs(answer.bgr.astype(int) - both).max(axis=2) > 60).sum() > 300


@pytest.mark.parametrize(("network", "error"), [({"options": {"threshold": 7}}, "threshold")])
async def test_a_manifest_that_is_wrong_is_refused_at_the_start(tmp_path: Path, network: dict[str, Any], error: str
                                                                ) -> None:
    with pytest.raises(Exception, match=error):
        async with staged(tmp_path, network, enrolled=False):
            pass


async def test_a_model_that_is_not_there_is_refused_and_another_is_taken_live(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match="there is no model 'x' for faces"):
        async with staged(tmp_path, {}, enrolled=False, model="x"):
            pass


async def test_weights_that_are_broken_fail_the_stage_and_no_picture(tmp_path: Path) -> None:
    async with staged(tmp_path, {"factor": 0.0}, enrolled=False) as (stage, context, register):
        await register._people.add("Ada", "Ada", "Yes.", [b"no file"], choose(context.engine.store).key,
                                   np.ones((1, 588), np.float32))
        del register._galleries[choose(context.engine.store).key]
        await register.ready(choose(context.engine.store))
        with pytest.raises(ModelFailed, match="no numbers"):
            await asyncio.gather(*(stage.process(frame(portrait(ADA), number)) for number in range(2)))


async def test_pictures_of_any_size(tmp_path: Path) -> None:
    async with staged(tmp_path, {}, enrolled=False) as (stage, _, _):
        for number, (width, height) in enumerate([(640, 480), (2, 2), (18, 34), (640, 16)]):
            assert (await note(stage, frame(np.full((height, width, 3), 90, np.uint8), number)))["detections"] == []
