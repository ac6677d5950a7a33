"""Small things in large pictures: which parts are looked at, and what becomes of what they show."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterator
from typing import Any

import numpy as np
import pytest

from aimass_stream.frames import Pixels
from aimass_stream.inference import Batch, CpuDevice, installed
from aimass_stream.seeing.detector import Detector, Thing, Wish
from aimass_stream.seeing.tiles import Tile, around, entire, grid, look, merged

from ..support.mediapipe import needs
from ..support.sights import code, pasted, person, photograph, shared, wall


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def looked(name: str, picture: Pixels, across: int, device: CpuDevice, wish: Wish | None = None) -> list[Thing]:
    detector, model = Detector(installed().get(name)), installed().open(name, device)

    async def ask(batch: Batch) -> Batch:
        return model.run(batch)

    async def run(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    things = finished(look(detector, picture, wish or Wish(), across, ask, run))
    model.close()
    return things


def finished(work: Coroutine[Any, Any, list[Thing]]) -> list[Thing]:
    """The result of work that never waits."""
    with pytest.raises(StopIteration) as done:
        work.send(None)
    found: list[Thing] = done.value.value
    return found


@pytest.mark.parametrize(("width", "height"), [(640, 480), (500, 375), (31, 7), (2, 1), (1, 1), (4096, 17)])
@pytest.mark.parametrize("across", [1, 2, 3, 4])
def test_tiles_cover_the_picture_and_overlap(width: int, height: int, across: int) -> None:
    tiles = grid(width, height, across)
    covered = np.zeros((height, width), np.uint8)
    for tile in tiles:
        assert 0 <= tile.left < tile.right <= width
        assert 0 <= tile.top < tile.bottom <= height
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert covered.min() >= 1
    assert len(tiles) <= across**2
    assert len({(tile.right - tile.left, tile.bottom - tile.top) for tile in tiles}) == 1
    if across > 1 and min(width, height) >= 300:
        assert covered.max() == 4
        left, right = tiles[0], tiles[1]
        assert (left.right - right.left) / (left.right - left.left) == pytest.approx(1 / 3, abs=0.02)


def test_a_part_about_a_box_stays_in_the_picture() -> None:
    assert around((40, 40, 60, 50), 3, 100, 100) == Tile(20, 15, 80, 75)
    assert around((0, 0, 20, 20), 3, 100, 100) == Tile(0, 0, 40, 40)
    assert around((0, 0, 100, 100), 3, 100, 100) == Tile(0, 0, 100, 100)
    assert around((99.5, 99.5, 100, 100), 3, 100, 100) == Tile(98, 98, 100, 100)
    assert around((0, 0, 0.1, 0.1), 1, 1, 1) == Tile(0, 0, 1, 1)


def thing(left: float, top: float, right: float, bottom: float, score: float = 0.5, number: int = 0) -> Thing:
    return Thing("face", score, (left, top, right, bottom), number)


def test_what_an_inner_edge_cuts_is_left_to_the_next_tile() -> None:
    tile = Tile(0, 20, 50, 100)  # at the left and lower edges of a picture of 100x100
    assert entire(thing(0, 40, 30, 100), tile, 100, 100)
    assert not entire(thing(10, 20.5, 30, 60), tile, 100, 100)
    assert not entire(thing(30, 40, 49.5, 60), tile, 100, 100)


def test_the_same_thing_is_told_once() -> None:
    sure, shifted, part, other = (thing(10, 10, 50, 50, 0.9), thing(12, 12, 54, 54, 0.8), thing(15, 15, 25, 25, 0.95),
                                  thing(10, 10, 50, 50, 0.6, number=1))
    assert merged([shifted, other, sure], 0.4, 10) == [sure, other]
    assert merged([sure, part], 0.4, 10) == [part]  # one lies in the other
    assert merged([sure, part], 0.4, 10, [sure]) == [sure]  # what is known already stays
    near = thing(30, 10, 70, 50, 0.7)
    assert merged([sure, near], 0.2, 10, [sure, near]) == [sure, near]
    assert merged([sure, other], 0.4, 1) == [sure]
    assert merged([], 0.4, 10) == []


def test_a_small_face_is_seen_in_parts_of_the_picture(device: CpuDevice) -> None:
    needs("mediapipe-faces")
    picture = person(person(wall(), 180, 200, 90), 560, 300, 14)
    assert len(looked("mediapipe-faces", picture, 1, device)) == 1
    large, small = sorted(looked("mediapipe-faces", picture, 3, device), key=lambda face: face.box[0])
    assert (small.box[0] + small.box[2]) / 2 == pytest.approx(560, abs=6)
    assert (small.box[1] + small.box[3]) / 2 == pytest.approx(300, abs=6)
    assert small.points[0][0] == pytest.approx(560 - 0.32 * 14, abs=4)
    [alone] = looked("mediapipe-faces", picture, 1, device)
    assert large == alone  # what the whole picture shows is not changed


def test_codes_at_the_seams(device: CpuDevice) -> None:
    """A code that lies in four tiles is one code; one so small that the whole picture hides it is found."""
    picture = pasted(pasted(wall(1920, 1440), code("seam", 6), 880, 640), code("tiny", 3), 1700, 1300)
    whole = {found.text for found in looked("opencv-codes", picture, 1, device)}
    found = looked("opencv-codes", picture, 3, device)
    assert sorted(each.text for each in found) == ["seam", "tiny"]
    assert whole == {"seam"}


def test_tiny_and_long_pictures(device: CpuDevice) -> None:
    for width, height in ((1, 1), (2, 9), (1200, 4)):
        assert looked("opencv-faces", np.zeros((height, width, 3), np.uint8), 4, device) == []


# photographs --------------------------------------------------------------------------------------------


def test_more_faces_than_in_whole_pictures_and_hardly_any_that_is_none(device: CpuDevice) -> None:
    """On the first labelled photographs with people; a face counts if its middle lies in a person's box."""
    needs("mediapipe-faces")
    truth = json.loads(shared("images", "detection", "instances.json").read_text())
    found = {1: 0, 3: 0}
    wrong = 0
    people = [image for image in truth["images"] if boxes_of(truth, image["id"])][:14]
    for image in people:
        picture, boxes = photograph("detection", "images", image["file_name"]), boxes_of(truth, image["id"])
        for across in found:
            faces = looked("mediapipe-faces", picture, across, device)
            hits = [holder(face, boxes) for face in faces]
            found[across] += len(set(hits) - {None})
            wrong += hits.count(None) if across == 3 else 0
    assert found[3] > found[1] > 0
    assert wrong <= 1


def boxes_of(truth: Any, image: int) -> list[list[float]]:
    person = next(each["id"] for each in truth["categories"] if each["name"] == "person")
    return [each["bbox"] for each in truth["annotations"]
            if each["image_id"] == image and each["category_id"] == person]


def holder(face: Thing, boxes: list[list[float]]) -> int | None:
    """The smallest box with the face's middle in it."""
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    inside = [row for row, (left, top, width, height) in enumerate(boxes)
              if left <= x <= left + width and top <= y <= top + height]
    return min(inside, key=lambda row: boxes[row][2] * boxes[row][3], default=None)
