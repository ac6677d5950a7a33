"""The stage that says where and how much moves: events with the frame, zones, boxes drawn or as data only."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import cv2
import numpy as np
import pytest

from aimass_stream.errors import InvalidPipeline
from aimass_stream.events import MotionStarted, MotionStopped
from aimass_stream.frames import Picture, Pixels, VideoFrame
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages.motion import SURE
from aimass_stream.vision.overlay import PALETTE

from ..support.context import REGISTRY, Context, params, started, video
from ..support.session import open_session, opened_node
from ..support.sights import wall

pytestmark = pytest.mark.anyio

WALL = wall()
NOISE = [np.random.default_rng(number).normal(0, 5, WALL.shape) for number in range(5)]
LEFT = {"name": "left", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
RIGHT = {"name": "right", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
FROM, TO = 20, 60  # the pictures between which somebody walks through, 640 px in 40 pictures


def sight(number: int, *, noise: bool = True, walks: range = range(FROM, TO)) -> Pixels:
    made = WALL.astype(np.float32) + (NOISE[number % 5] if noise else 0)
    if number in walks:
        left = 16 * (number - walks.start)
        cv2.rectangle(made, (left, 200), (left + 60, 400), (40, 30, 90), -1)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


FRAMES = [Picture.from_i420(Picture.from_bgr(sight(number)).i420) for number in range(150)]


def frame(number: int, **fields: Any) -> VideoFrame:
    return video(number, picture=FRAMES[number], notes={}, **fields)


async def shown(stage: Any, number: int, **fields: Any) -> VideoFrame:
    answer = await stage.process(frame(number, **fields))
    assert isinstance(answer, VideoFrame)
    await asyncio.sleep(0)  # no loop does many pictures in one turn
    return answer


async def notes(stage: Any, count: int = len(FRAMES)) -> list[dict[str, Any]]:
    return [(await shown(stage, number)).notes["motion"] for number in range(count)]


def told_of(context: Context) -> list[tuple[str, str]]:
    """Each event and its zone."""
    return [(data.type, data.zone) for data, _ in context.events if isinstance(data, MotionStarted | MotionStopped)]


async def test_it_tells_where_when_and_how_much() -> None:
    stage, context = await started("motion", overlay=False, still=1)
    told = await notes(stage)
    [(began, first), (ended, last)] = context.events
    assert isinstance(began, MotionStarted)
    assert isinstance(ended, MotionStopped)
    assert first is not None
    assert last is not None
    assert FROM + SURE - 1 <= first.pts / 3000 <= FROM + SURE + 2
    assert TO / 30 + 0.8 <= last.seconds <= TO / 30 + 2
    assert ended.duration == pytest.approx((TO - FROM) / 30, abs=0.6)
    assert [note["moving"] for note in told].index(True) == first.pts / 3000
    assert not any(note["detections"] for note in told[:FROM])
    for number in range(FROM + 8, TO - 8, 6):
        [found, *_] = told[number]["detections"]
        assert (found["label"], found["score"] > 0.6) == ("motion", True)
        assert found["box"] == pytest.approx([16 * (number - FROM), 200, 60, 200], abs=24)
        assert told[number]["share"] == pytest.approx(60 * 200 / (640 * 480), rel=0.5)
        assert (told[number]["width"], told[number]["height"]) == (640, 480)
        assert "drawn" not in told[number]


async def test_zones_are_told_each_on_its_own_and_what_moves_elsewhere_is_not() -> None:
    stage, context = await started("motion", overlay=False, still=0.5, zones=[LEFT, RIGHT])
    told = await notes(stage)
    happened = told_of(context)
    assert happened == [("motion.started", "left"), ("motion.started", "right"), ("motion.stopped", "left"),
                        ("motion.stopped", "right")]
    middle = told[(FROM + TO) // 2]
    assert [zone["name"] for zone in middle["zones"]] == ["left", "right"]
    assert set(told[FROM + 10]["detections"][0]["zones"]) == {"left"}
    assert told[FROM + 12]["detections"][0]["zones"]["left"] == pytest.approx(12 / 30, abs=0.1)
    assert set(told[TO - 8]["detections"][0]["zones"]) == {"right"}
    stage, context = await started("motion", overlay=False, zones=[RIGHT])
    assert not any(note["detections"] for note in await notes(stage, FROM + 15))
    assert context.events == []


async def test_boxes_and_zones_are_drawn() -> None:
    stage, _ = await started("motion", zones=[RIGHT])
    for number in range(FROM + 30):
        answer = await shown(stage, number)
    assert answer.notes["motion"]["drawn"] is True
    luma = answer.picture.i420[:480]
    [found, *_] = answer.notes["motion"]["detections"]
    assert luma[300, round(found["box"][0] / 2) * 2] == PALETTE[0][0]
    assert luma[440, 320] == PALETTE[-1][0]


async def test_other_zones_while_it_moves() -> None:
    stage, context = await started("motion", overlay=False, zones=[LEFT])
    await notes(stage, FROM + 10)
    stage.update(params("motion", overlay=False, zones=[LEFT | {"name": "west"}, RIGHT]))
    for number in range(FROM + 10, TO):
        await shown(stage, number)
    assert told_of(context) == [
        ("motion.started", "left"), ("motion.started", "west"), ("motion.started", "right")]


async def test_a_turned_picture_is_seen_upright() -> None:
    stage, _ = await started("motion", overlay=False)
    for number in range(FROM + 20):
        answer = await shown(stage, number, rotation=90)
    note = answer.notes["motion"]
    assert (note["width"], note["height"]) == (480, 640)
    left, top, wide, high = note["detections"][0]["box"]
    assert wide > high
    assert (left, top) == pytest.approx((480 - 400, 16 * 19), abs=24)


async def test_large_pictures_are_looked_at_in_a_thread_and_small_ones_cost_little() -> None:
    stage, context = await started("motion", overlay=False)
    assert isinstance(context, Context)
    await stage.process(video(picture=Picture.from_bgr(np.zeros((720, 1280, 3), np.uint8)), notes={}))
    assert context.ran == ["_look"]
    stage, context = await started("motion")
    costs = []
    for number in range(60):
        begun = time.thread_time()
        await stage.process(frame(number))
        costs.append(time.thread_time() - begun)
        await asyncio.sleep(0)
    assert context.ran == []
    assert sorted(costs)[len(costs) // 2] < 0.008


@pytest.mark.parametrize(("given", "field"), [
    ({"zones": [LEFT, LEFT]}, ".zones"), ({"zones": [{"name": "a", "points": [[0, 0]]}]}, ".zones.0.points"),
    ({"area": 0}, ".area"), ({"sensitivity": 2}, ".sensitivity"), ({"still": 0}, ".still")])
def test_wrong_parameters_are_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        PipelineSpec.parse([{"stage": "motion", **given}]).validate(REGISTRY.params, REGISTRY.names)
    assert refused.value.field == f"pipeline[0]{field}"


async def test_a_rule_about_movement() -> None:
    async with opened_node() as node:
        session, sink = await open_session(node, [
            {"stage": "motion", "zones": [RIGHT]},
            {"stage": "rule", "when": "motion", "zone": "right", "seconds": 0.3, "then": "moves"}])
        for number in range(TO):
            session.push(frame(number))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        [fired] = sink.typed("rule.fired")
        [began] = sink.typed("motion.started")
        assert fired.pts is not None
        assert began.pts is not None
        assert 0 < fired.pts - began.pts < 0.4
        assert sink.typed("stage.failed") == []
