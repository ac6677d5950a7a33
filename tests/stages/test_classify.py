"""The stage that says what pictures are of: a real network on plain colours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest

from aimass_stream.errors import InvalidInput, InvalidPipeline
from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.inference import Engine, FolderStore
from aimass_stream.stages.classify import Classify
from tests.support import small_networks
from tests.support.context import Context, params, video

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = (60, 60, 200), (60, 200, 60), (200, 60, 60)
PATIENT: dict[str, Any] = {"deadline": 5000, "every": 1}


@asynccontextmanager
async def staged(folder: Path, **given: Any) -> AsyncIterator[tuple[Classify, Context]]:
    context = Context()
    context.engine = Engine(FolderStore([folder]))
    stage = Classify(params("classify", **PATIENT | given))  # type: ignore[arg-type]
    try:
        await stage.start(context)
        yield stage, context
        await stage.close()
    finally:
        await context.engine.close()


def frame(colour: tuple[int, int, int], number: int = 0, width: int = 320, height: int = 180, **fields: Any
          ) -> VideoFrame:
    picture = Picture.from_i420(Picture.from_bgr(np.full((height, width, 3), colour, np.uint8)).i420)
    return video(number, picture=picture, notes={}, **fields)


async def shown(stage: Classify, given: VideoFrame) -> VideoFrame:
    answer = await stage.process(given)
    assert isinstance(answer, VideoFrame)
    assert answer.pts == given.pts
    return answer


async def test_what_a_picture_is_of_rides_on_it(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    async with staged(tmp_path, overlay=False) as (stage, _):
        for number, (colour, label) in enumerate([(RED, "red"), (GREEN, "green"), (BLUE, "blue")]):
            stage._chances = None
            given = frame(colour, number)
            answer = await shown(stage, given)
            assert answer is given
            note = answer.notes["classify"]
            assert (note["model"], note["width"], note["height"]) == ("colours", 320, 180)
            assert note["classes"][0]["label"] == label
            assert note["classes"][0]["score"] > 0.9
            assert len(note["classes"]) == 1  # the others are less likely than the threshold


async def test_it_holds_over_single_pictures(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    async with staged(tmp_path, steady=0.8, threshold=0) as (stage, _):
        for number in range(5):
            await shown(stage, frame(RED, number))
        answer = await shown(stage, frame(GREEN, 5))
        assert [each["label"] for each in answer.notes["classify"]["classes"]] == ["red", "green", "blue"]
        for number in range(6, 12):
            answer = await shown(stage, frame(GREEN, number))
        assert answer.notes["classify"]["classes"][0]["label"] == "green"
        answer = await shown(stage, frame(BLUE, 12, 180, 320))  # another size is another picture
        assert answer.notes["classify"]["classes"][0]["score"] > 0.9


async def test_it_is_written_into_the_picture_also_between_looks(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    async with staged(tmp_path, every=3) as (stage, _):
        answers = [await shown(stage, frame(RED, number, rotation=90)) for number in range(4)]
    assert ["classify" in answer.notes for answer in answers] == [True, False, False, True]
    for answer in answers:
        assert (answer.width, answer.height, answer.rotation) == (180, 320, 0)
        changed = np.abs(answer.bgr.astype(int) - RED).max(axis=2) > 60
        assert 100 < changed.sum() < 4000
        assert not changed[80:].any()


async def test_pictures_of_any_size_and_two_in_one_pipeline(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    small_networks.colours(tmp_path, "others")
    async with staged(tmp_path) as (stage, _), staged(tmp_path, model="others") as (second, _):
        for number, (width, height) in enumerate([(2, 2), (16, 640), (640, 16), (1280, 720)]):
            answer = await shown(second, await shown(stage, frame(RED, number, width, height)))
            assert answer.notes["classify"]["classes"][0]["label"] == "red"
            assert answer.notes["classify others"]["model"] == "others"


async def test_what_can_not_be_is_refused_at_the_start(tmp_path: Path) -> None:
    for given, error, told in (({}, InvalidPipeline, "no model for classification"),
                               ({"model": "x"}, InvalidPipeline, "no model for classification")):
        with pytest.raises(error, match=told):
            async with staged(tmp_path, **given):
                pass
    small_networks.colours(tmp_path, weights=np.full((3, 3), np.nan, np.float32))
    with pytest.raises(InvalidInput, match="no numbers"):
        async with staged(tmp_path):
            pass
    small_networks.colours(tmp_path, "few", options={"labels": ["red"]})
    with pytest.raises(InvalidInput, match="answers 3 classes, and its list has 1 labels"):
        async with staged(tmp_path, model="few"):
            pass


async def test_another_network_is_taken_without_a_gap(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    small_networks.colours(tmp_path, "words", options={"labels": ["rouge", "vert", "bleu"]})
    async with staged(tmp_path, model="colours") as (stage, _):
        await shown(stage, frame(RED))
        stage.update(params("classify", **PATIENT, model="words"))  # type: ignore[arg-type]
        labels, number = set(), 0
        while "rouge" not in labels:
            number += 1
            labels.add((await shown(stage, frame(RED, number))).notes["classify"]["classes"][0]["label"])
    assert labels <= {"red", "rouge"}
