"""What things that a detector found are like: a second network on real crops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest

from aimass_stream.errors import InvalidInput, InvalidPipeline
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, FolderStore, installed
from aimass_stream.stages.detect import Detect
from tests.support import detectors as made
from tests.support import small_networks
from tests.support.context import Context, params, video

pytestmark = pytest.mark.anyio

PATIENT: dict[str, Any] = {"deadline": 5000, "model": "things", "overlay": False}
COLOUR = {"of": ["thing"], "group": "colour", "margin": 0}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A detector that finds two things at (32, 40) and (200, 40) of 64x32 px, and another kind at (100, 200)."""
    answer = np.zeros((1, 6, 20), np.float32)
    answer[0, :, 3] = [64, 56, 64, 32, 0.9, 0.1]
    answer[0, :, 5] = [232, 56, 64, 32, 0.8, 0.1]
    answer[0, :, 7] = [132, 216, 64, 32, 0.1, 0.9]
    made.constant(tmp_path, "things", answer, {"head": "yolo", "labels": ["thing", "other"]})
    small_networks.colours(tmp_path, task="attributes", options=COLOUR)
    return tmp_path


@asynccontextmanager
async def staged(folder: Path, **given: Any) -> AsyncIterator[tuple[Detect, Context]]:
    context = Context()
    context.engine = Engine(FolderStore([folder, *installed().folders]))
    stage = Detect(params("detect", **PATIENT | {"attributes": "colours"} | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def scene(left: tuple[int, int, int], right: tuple[int, int, int]) -> Pixels:
    picture = np.zeros((320, 320, 3), np.uint8)
    picture[40:72, 32:96], picture[40:72, 200:264] = left, right
    return picture


RED, GREEN, BLUE = (40, 40, 220), (40, 220, 40), (220, 40, 40)


def frame(picture: Pixels, number: int = 0) -> VideoFrame:
    """Ten pictures a second."""
    return video(3 * number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={})


async def found(stage: Detect, given: VideoFrame) -> dict[float, dict[str, Any]]:
    """Detections by their left edge."""
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    return {thing["box"][0]: thing for thing in answer.notes["detect"]["detections"]}


def colour(thing: dict[str, Any]) -> str:
    [told] = thing["attributes"]["colour"]
    assert told["score"] > 0.5
    return str(told["label"])


@pytest.mark.parametrize("follow", [True, False])
async def test_each_thing_of_its_kind_has_them(shelf: Path, follow: bool) -> None:
    async with staged(shelf, follow=follow) as (stage, _):
        for number in range(4):
            things = await found(stage, frame(scene(RED, BLUE), number))
        assert (colour(things[32]), colour(things[200])) == ("red", "blue")
        assert "attributes" not in things[100]


async def test_what_is_followed_is_looked_at_once_a_second_and_changes_slowly(shelf: Path) -> None:
    async with staged(shelf) as (stage, context):
        for number in range(31):
            things = await found(stage, frame(scene(RED, GREEN), number))
        assert context.ran.count("read") - 31 <= 2 * 5  # of two things, in three seconds
        assert colour(things[32]) == "red"
        for number in range(31, 61):
            things = await found(stage, frame(scene(BLUE, GREEN), number))
        assert colour(things[32]) == "blue"


async def test_they_are_written_beside_the_label(shelf: Path) -> None:
    changed = []
    for attributes in ("", "colours"):
        async with staged(shelf, attributes=attributes, overlay=True) as (stage, _):
            for number in range(3):
                answer = await stage.process(frame(scene(RED, GREEN), number))
            assert isinstance(answer, VideoFrame)
            changed.append(int((np.abs(answer.bgr.astype(int) - scene(RED, GREEN)).max(axis=2) > 60).sum()))
    assert changed[1] > changed[0] + 100


async def test_several_that_stand_for_themselves(shelf: Path) -> None:
    tints = COLOUR | {"activation": "sigmoid", "group": "tints"}
    small_networks.colours(shelf, "tints", task="attributes", options=tints)
    async with staged(shelf, attributes="colours, tints", follow=False) as (stage, _):
        things = await found(stage, frame(scene((40, 220, 220), BLUE)))
    assert {each["label"] for each in things[32]["attributes"]["tints"]} == {"red", "green"}
    assert set(things[32]["attributes"]) <= {"colour", "tints"}


@pytest.mark.parametrize(("options", "told"), [
    ({"of": []}, "of must be a list"), ({"of": "thing"}, "of must be a list"),
    ({"labels": ["red"]}, "answers 3 classes, and its list has 1 labels"),
])
async def test_a_manifest_that_is_wrong_is_refused(shelf: Path, options: dict[str, Any], told: str) -> None:
    small_networks.colours(shelf, "wrong", task="attributes", options=COLOUR | options)
    with pytest.raises(InvalidInput, match=told):
        async with staged(shelf, attributes="wrong"):
            pass


async def test_a_network_that_is_not_there_is_refused(shelf: Path) -> None:
    with pytest.raises(InvalidPipeline, match="there is no model 'x' for attributes; there are: colours"):
        async with staged(shelf, attributes="x"):
            pass


async def test_thousands_of_things(shelf: Path) -> None:
    chance = np.random.default_rng(1)
    many = np.zeros((1, 6, 5000), np.float32)
    many[0] = chance.random((6, 5000)) * np.array([[320], [320], [9], [9], [1], [0]])
    made.constant(shelf, "crowd", many, {"head": "yolo", "labels": ["thing", "other"]})
    async with staged(shelf, model="crowd", limit=1000, follow=False) as (stage, context):
        things = await found(stage, frame(scene(RED, GREEN)))
        assert len(things) > 100
        assert context.ran.count("read") <= 5  # a few at a time
