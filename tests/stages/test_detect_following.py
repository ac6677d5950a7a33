"""The stage that finds things, following them: ids, boxes that stick, zones and lines; with a real finder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import numpy as np
import pytest

import aimass_stream.engines.opencv  # noqa: F401  before the loop runs
from aimass_stream.errors import InvalidPipeline
from aimass_stream.events import LineCrossed, ZoneEntered, ZoneLeft
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, installed
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages.detect import Detect
from aimass_stream.vision.overlay import PALETTE

from ..support.context import REGISTRY, Context, params, video
from ..support.sights import code, pasted, wall

pytestmark = pytest.mark.anyio

CODE = code("exit 7")  # its modules begin 16 px inside
EMPTY = wall()
HALL = {"name": "hall", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
GATE = {"name": "gate", "start": [0.5, 0], "end": [0.5, 1]}


@asynccontextmanager
async def staged(**given: Any) -> AsyncIterator[tuple[Detect, Context]]:
    """The stage at work on codes, on an engine of its own."""
    context = Context()
    context.engine = Engine(installed())
    stage = Detect(params("detect", **{"model": "opencv-codes", "deadline": 5000, "overlay": False} | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        context.events.clear()  # which detector it is
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def left(number: int) -> int:
    """Where the code's quiet zone begins in this picture: it moves by 6 px a picture."""
    return 40 + 6 * number


def sight(number: int) -> Pixels:
    return pasted(EMPTY, CODE, left(number), 100)


async def note(stage: Detect, picture: Pixels, number: int) -> dict[str, Any]:
    frame = video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={})
    answer = await stage.process(frame)
    assert isinstance(answer, VideoFrame)
    told: dict[str, Any] = answer.notes["detect"]
    return told


async def test_every_picture_has_its_boxes_where_each_third_is_looked_at() -> None:
    worst = 0.0
    async with staged(every=3) as (stage, context):
        for number in range(45):
            told = await note(stage, sight(number), number)
            [found] = told["detections"]
            assert (found["id"], found["text"]) == (1, "exit 7")
            assert ("predicted" in found) == (number % 3 > 0)
            assert "drawn" not in told
            if number > 15:
                worst = max(worst, abs(found["box"][0] - left(number) - 16))
    assert worst < 5  # boxes that stay would be 12 px behind
    assert context.events == []


async def test_without_following_boxes_stay_and_have_no_id() -> None:
    async with staged(every=3, follow=False) as (stage, _):
        told = await note(stage, sight(0), 0)
        assert told["every"] == 3
        assert "id" not in told["detections"][0]
        frame = video(1, picture=Picture.from_bgr(sight(1)), notes={})
        await stage.process(frame)
        assert frame.notes == {}


async def test_zones_and_lines_tell_what_happens_with_the_frame_it_happens_in() -> None:
    async with staged(zones=[HALL], lines=[GATE]) as (stage, context):
        inside: list[int] = []
        last: dict[str, Any] = {}
        for number in range(75):
            picture = sight(number) if number < 70 else EMPTY
            last = await note(stage, picture, number)
            inside.append(last["zones"][0]["inside"])
        for number in range(75, 110):
            last = await note(stage, EMPTY, number)
    assert last["zones"] == [{"name": "hall", "inside": 0}]
    assert last["lines"] == [{"name": "gate", "in": 0, "out": 1}]
    entered, crossed, gone = context.events
    assert entered[0] == ZoneEntered(zone="hall", id=1, label="QR code", model="opencv-codes")
    assert crossed[0] == LineCrossed(line="gate", id=1, label="QR code", model="opencv-codes", direction="out")
    assert entered[1] is crossed[1]
    first = inside.index(1)
    assert entered[1] is not None
    assert entered[1].pts == first * 3000
    assert left(first) + CODE.shape[1] / 2 == pytest.approx(320 + 0.01 * 480, abs=8)  # just over the edge
    assert isinstance(gone[0], ZoneLeft)
    assert gone[0].dwell == pytest.approx((69 - first) / 30, abs=0.07)


async def test_how_long_each_thing_is_in_a_zone() -> None:
    async with staged(zones=[HALL]) as (stage, _):
        dwells = [(await note(stage, sight(70), number))["detections"][0]["zones"] for number in range(5)]
    assert [each["hall"] for each in dwells] == pytest.approx([number / 30 for number in range(5)], abs=0.01)


async def test_ids_zones_and_lines_are_drawn() -> None:
    async with staged(overlay=True, zones=[HALL], lines=[GATE]) as (stage, _):
        before = video(0, picture=Picture.from_i420(Picture.from_bgr(sight(0)).i420), notes={})
        after = await stage.process(before)
        assert isinstance(after, VideoFrame)
        assert after.notes["detect"]["drawn"] is True
        luma = after.picture.i420[:480]
        assert luma[160, left(0) + 16] == PALETTE[1][0]  # a thing's colour is by its id
        assert luma[400, 320] == PALETTE[-1][0]  # the gate, and the hall's left side
        assert np.any(luma[:20, 320:] != before.picture.i420[:20, 320:])  # the hall's name


async def test_another_detector_and_other_zones_while_things_are_followed() -> None:
    async with staged() as (stage, context):
        await note(stage, sight(70), 0)
        stage.update(params("detect", model="opencv-codes", deadline=5000, overlay=False, zones=[HALL]))  # type: ignore[arg-type]
        told = await note(stage, sight(70), 1)
        assert told["detections"][0]["id"] == 1
        assert [type(data).__name__ for data, _ in context.events] == ["ZoneEntered"]
        for follow in (False, True):
            stage.update(params("detect", model="opencv-codes", deadline=5000, overlay=False, follow=follow))  # type: ignore[arg-type]
            told = await note(stage, sight(70), 2 + follow)
        assert told["detections"][0]["id"] == 2  # who knows what was there meanwhile


@pytest.mark.parametrize(("given", "field", "told"), [
    ({"zones": [{"name": "a", "points": [[0, 0], [1, 1]]}]}, ".zones.0.points", "at least 3 items"),
    ({"zones": [{"name": "a", "points": [[0, 0], [1, 1], [1, 2]]}]}, ".zones.0.points.2.1", "less than or equal to 1"),
    ({"zones": [{"name": "", "points": [[0, 0], [1, 1], [1, 0]]}]}, ".zones.0.name", "at least 1 character"),
    ({"zones": [HALL, HALL]}, ".zones", "a name of its own"),
    ({"zones": [HALL] * 17}, ".zones", "at most 16 items"),
    ({"zones": "all"}, ".zones", "tuple"),
    ({"lines": [{"name": "a", "start": [0, 0]}]}, ".lines.0.end", "required"),
    ({"lines": [{"name": "a", "start": [0, 0], "end": [0, 0]}]}, ".lines.0", "two points"),
    ({"lines": [GATE | {"start": [0, float("nan")]}]}, ".lines.0.start.1", "finite"),
    ({"zones": [HALL], "follow": False}, "", "need follow"),
    ({"foot": "left"}, ".foot", "'bottom' or 'centre'"),
])
def test_wrong_zones_and_lines_are_named(given: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        PipelineSpec.parse([{"stage": "detect", **given}]).validate(REGISTRY.params, REGISTRY.names)
    assert refused.value.field == f"pipeline[0]{field}"
    assert told in refused.value.detail


async def test_what_is_followed_though_hardly_seen_is_told_to_be_doubtful() -> None:
    async with staged(overlay=True) as (stage, _):
        [sure] = (await note(stage, sight(0), 0))["detections"]
        assert "doubtful" not in sure
        [thing] = stage._things
        stage._things = [replace(thing, score=0.14)]
        shown = video(1, picture=Picture.from_bgr(sight(0)))
        [doubtful] = stage._told(shown, stage.params)
        assert doubtful["doubtful"] is True
        dashed = await stage._shown(shown, (640, 480))
        stage._things = [thing]
        whole = await stage._shown(shown, (640, 480))
    changed = [int((each.picture.i420 != shown.picture.i420).sum()) for each in (dashed, whole)]
    assert 0 < changed[0] < changed[1]
