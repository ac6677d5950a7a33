from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.clips import read_number
from aimass_stream.stage_base import black, planes, turn

from ..support.context import once, started, video

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("direction", "flip"), [
    ("horizontal", np.s_[:, ::-1]), ("vertical", np.s_[::-1]), ("both", np.s_[::-1, ::-1])])
async def test_every_pixel_changes_place(direction: str, flip: tuple[slice, ...]) -> None:
    frame = video(77)
    mirrored = await once("mirror", frame, direction=direction)
    for before, after in zip(planes(frame.picture.i420), planes(mirrored.picture.i420), strict=True):
        np.testing.assert_array_equal(after, before[flip])


async def test_the_number_stays_readable_and_the_rest_of_the_frame_as_it_was() -> None:
    frame = video(4711, captured=12.5)
    mirrored = await once("mirror", frame)
    assert read_number(mirrored.bgr) == 4711
    assert (mirrored.pts, mirrored.track, mirrored.captured, mirrored.arrived) == (
        frame.pts, "video-0", 12.5, frame.arrived)


async def test_a_turned_picture_is_mirrored_as_it_is_seen() -> None:
    frame = video(1, rotation=90)
    mirrored = await once("mirror", frame)
    assert (mirrored.width, mirrored.height, mirrored.rotation) == (480, 640, 0)
    seen = turn(frame.picture, 90)
    np.testing.assert_array_equal(planes(mirrored.picture.i420)[0], planes(seen.i420)[0][:, ::-1])


async def test_runs_on_the_loop() -> None:
    stage, context = await started("mirror")
    await stage.process(video(picture=black(1280, 720)))
    assert context.ran == []
