"""Detection in a whole session: each result speaks of a picture that was shown."""

from __future__ import annotations

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import pytest

from aimass_stream.errors import InvalidPipeline
from aimass_stream.frames import Picture, Pixels, VideoFrame

from ..support.context import video
from ..support.session import open_session, opened_node
from ..support.sights import code, pasted, wall

pytestmark = pytest.mark.anyio


SIGNS = [pasted(wall(), code("exit 7"), 60 + 50 * number, 100) for number in range(6)]


def frame(picture: Pixels, number: int) -> VideoFrame:
    return video(number, picture=Picture.from_i420(Picture.from_bgr(picture).i420), notes={})


async def test_every_result_has_the_pts_of_a_picture_that_left_and_shows_what_is_in_it() -> None:
    async with opened_node() as node:
        session, sink = await open_session(node, [
            {"stage": "detect", "engine": "opencv", "model": "opencv-codes", "overlay": False, "deadline": 5000},
            {"stage": "mirror"}])
        for number, picture in enumerate(SIGNS):
            session.push(frame(picture, number))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        await sink.until(lambda: len(sink.typed("frame.result")) == len(SIGNS))
        results = sink.typed("frame.result")
        assert [result.pts for result in results] == [frame.seconds for _, frame in sink.frames]
        for number, result in enumerate(results):
            [found] = result.data["notes"]["detect"]["detections"]
            assert found["text"] == "exit 7"
            assert found["box"][0] == pytest.approx(76 + 50 * number, abs=3)
        assert sink.typed("stage.failed") == []


async def test_a_detector_that_is_not_there_is_told_and_the_one_before_goes_on() -> None:
    async with opened_node() as node:
        before = {"stage": "detect", "engine": "opencv", "model": "opencv-codes"}
        session, sink = await open_session(node, [before])
        session.push(frame(SIGNS[0], 0))
        await sink.until(lambda: sink.typed("frame.result"))
        with pytest.raises(InvalidPipeline, match="there is no detector 'dragons'"):
            await session.update(pipeline=[before, {"stage": "detect", "model": "dragons"}])
        await session.update(pipeline=[before | {"model": "dragons"}])
        number = 0
        while not sink.typed("stage.failed"):
            number += 1
            session.push(frame(SIGNS[1], number))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        assert "there is no detector 'dragons'" in sink.typed("stage.failed")[0].data["detail"]
        session.push(frame(SIGNS[2], number + 1))
        await sink.until(lambda: sink.typed("frame.result")[-1].pts == pytest.approx((number + 1) / 30))
        assert sink.typed("frame.result")[-1].data["notes"]["detect"]["model"] == "opencv-codes"
