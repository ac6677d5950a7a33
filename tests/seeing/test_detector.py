"""Detectors by their manifests: what is asked of them, what they find on real pictures, which one is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from aimass_stream.errors import InvalidInput, InvalidPipeline
from aimass_stream.frames import Pixels
from aimass_stream.inference import CpuDevice, FolderStore, installed
from aimass_stream.seeing.detector import HEADS, Detector, Thing, Wish, choose, detectors
from aimass_stream.vision.boxes import iou
from aimass_stream.vision.labels import COCO
from aimass_stream.weights import npm

from ..support import detectors as made
from ..support.mediapipe import needs
from ..support.sights import code, pasted, person, photograph, shared, wall


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    device = CpuDevice(threads=1)
    yield device
    device.close()


def seen(store: FolderStore, name: str, picture: Pixels, device: CpuDevice, wish: Wish | None = None) -> list[Thing]:
    detector, model = Detector(store.get(name)), store.open(name, device)
    batch, place, size = detector.input.prepare(picture)
    for spec in model.inputs:
        spec.check(batch[spec.name])
    things = detector.read(model.run(batch), place, size, (picture.shape[1], picture.shape[0]), wish or Wish())
    model.close()
    return things


def near(thing: Thing, x: float, y: float, within: float) -> bool:
    left, top, right, bottom = thing.box
    return abs((left + right) / 2 - x) < within and abs((top + bottom) / 2 - y) < within


@pytest.mark.parametrize("name", [entry.name for entry in detectors(installed())])
def test_every_detector_of_the_catalogue_takes_any_picture(name: str, device: CpuDevice) -> None:
    if installed().get(name).npm is not None:
        needs(name)
    assert seen(installed(), name, wall(), device) == []
    for width, height in ((1, 1), (2, 9), (1200, 40), (64, 128)):
        seen(installed(), name, np.zeros((height, width, 3), np.uint8), device)


def test_an_enormous_picture_is_made_small_first(device: CpuDevice) -> None:
    assert seen(installed(), "opencv-codes", np.full((8192, 8192, 3), 200, np.uint8), device) == []


def test_faces_large_and_small_with_their_points(device: CpuDevice) -> None:
    needs("mediapipe-faces")
    picture = person(person(wall(), 180, 200, 90), 500, 300, 30)
    large, small = sorted(seen(installed(), "mediapipe-faces", picture, device), key=lambda thing: thing.box[0])
    assert near(large, 180, 200, 30)
    assert near(small, 500, 300, 10)
    assert large.label == "face"
    left_eye, right_eye = large.points[:2]
    assert left_eye == pytest.approx((180 - 0.32 * 90, 200 - 0.15 * 90), abs=9)
    assert right_eye == pytest.approx((180 + 0.32 * 90, 200 - 0.15 * 90), abs=9)
    tall = np.ascontiguousarray(np.rot90(pasted(wall(480, 640), person(wall(320, 320), 160, 140, 60), 80, 160), 0))
    [face] = seen(installed(), "mediapipe-faces", tall, device)
    assert near(face, 240, 300, 20)


def test_the_cascade_is_there_without_anything(device: CpuDevice) -> None:
    found = seen(installed(), "opencv-faces", person(wall(), 320, 240, 90), device)
    assert near(found[0], 320, 240, 30)


def test_codes_are_read(device: CpuDevice) -> None:
    picture = pasted(wall(1280, 720), code("https://example.org/é"), 600, 200)
    [thing] = seen(installed(), "opencv-codes", picture, device)
    assert (thing.text, thing.label) == ("https://example.org/é", "QR code")
    assert thing.box[:2] == pytest.approx((600 + 16, 200 + 16), abs=4)
    assert thing.json()["text"] == thing.text
    assert len(thing.json()["points"]) == 4


# public weights ----------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> FolderStore:
    return FolderStore([tmp_path])


def test_three_face_detectors_agree_on_a_photograph(shelf: FolderStore, device: CpuDevice) -> None:
    made.rfb(shelf.folders[0])
    made.yunet(shelf.folders[0])
    picture = photograph("kodak", "kodim04.jpg")
    boxes = [seen(store, name, picture, device)[0].box
             for store, name in ((shelf, "rfb"), (shelf, "yunet"), (installed(), "opencv-faces"))]
    assert iou(np.array(boxes[:1]), np.array(boxes[1:])).min() > 0.4
    nobody = photograph("kodak", "kodim21.jpg")
    assert seen(shelf, "rfb", nobody, device, Wish(0.7)) == seen(shelf, "yunet", nobody, device, Wish(0.7)) == []


def test_objects_on_labelled_photographs(shelf: FolderStore, device: CpuDevice) -> None:
    """The share of the boxes that were found, as the plain loop of the weights' own project finds them."""
    made.fastestdet(shelf.folders[0])
    truth = json.loads(shared("images", "detection", "instances.json").read_text())
    classes = shared("images", "detection", "classes.txt").read_text().split("\n")
    session = onnxruntime.InferenceSession(str(shelf.folders[0] / "fastestdet" / "model.onnx"))
    detector, hits, plain_hits, count = Detector(shelf.get("fastestdet")), 0, 0, 0
    for image in truth["images"][:20]:
        picture = photograph("detection", "images", image["file_name"])
        batch, place, size = detector.input.prepare(picture)
        [output] = session.run(None, batch)
        things = detector.read({"758": output}, place, size, (picture.shape[1], picture.shape[0]), Wish(0.3))
        plain = plain_fastestdet(output, picture, 0.3)
        for label in (item for item in truth["annotations"] if item["image_id"] == image["id"]):
            x, y, width, height = label["bbox"]
            name, box = classes[label["category_id"] - 1], np.array([[x, y, x + width, y + height]], np.float32)
            count += 1
            hits += any(thing.label == name and over(box[0], thing.box) > 0.5 for thing in things)
            plain_hits += any(called == name and over(box[0], corners) > 0.5 for called, corners in plain)
    assert hits == plain_hits
    assert hits / count > 0.4


def over(first: Any, second: Any) -> float:
    return float(iou(np.array([first], np.float32), np.array([second], np.float32))[0, 0])


def plain_fastestdet(output: Any, picture: Pixels, threshold: float) -> list[tuple[str, list[float]]]:
    """Cell by cell, and greedy suppression within each class."""
    found: list[tuple[float, str, list[float]]] = []
    for row in range(22):
        for column in range(22):
            values = output[0, :, row, column]
            number = int(values[5:].argmax())
            score = values[0] ** 0.6 * values[5 + number] ** 0.4
            if score >= threshold:
                x, y = (column + np.tanh(values[1])) / 22, (row + np.tanh(values[2])) / 22
                width, height = 1 / (1 + np.exp(-values[3])), 1 / (1 + np.exp(-values[4]))
                tall, wide = picture.shape[:2]
                found.append((score, COCO[number], [(x - width / 2) * wide, (y - height / 2) * tall,
                                                    (x + width / 2) * wide, (y + height / 2) * tall]))
    kept: list[tuple[str, list[float]]] = []
    for _, name, box in sorted(found, key=lambda item: -item[0]):
        if all(other != name or over(box, corners) <= Wish().overlap for other, corners in kept):
            kept.append((name, box))
    tall, wide = picture.shape[:2]
    return [(name, np.clip(box, 0, [wide, tall, wide, tall]).tolist()) for name, box in kept]


# which one ---------------------------------------------------------------------------------------------


def test_weights_come_before_the_no_weights_tier(tmp_path: Path) -> None:
    table = np.zeros((1, 5, 10), np.float32)
    assert choose(installed(), "opencv", "").name == "opencv-faces"
    assert choose(installed(), "auto", "opencv-codes").name == "opencv-codes"
    made.constant(tmp_path, "any-faces", table, {"head": "yolo", "labels": ["face"]})
    manifest = tmp_path / "any-faces" / "model.toml"
    manifest.write_text(manifest.read_text().replace('task = "detection"', 'task = "face-detection"'))
    store = FolderStore([*installed().folders, tmp_path])
    assert choose(store, "auto", "").name == "any-faces"
    made.constant(tmp_path, "b-things", table, {"head": "yolo", "labels": ["thing"]})
    made.constant(tmp_path, "a-things", table, {"head": "yolo", "labels": ["thing"]})
    better = tmp_path / "b-things" / "model.toml"
    better.write_text(better.read_text() + "\n[card]\nap50 = 0.5\n")
    assert choose(store, "auto", "").name == choose(store, "onnx", "").name == "b-things"


def test_without_npm_auto_takes_the_cascade(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert choose(installed(), "faces", "").name == "mediapipe-faces"
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    assert choose(installed(), "auto", "").name == "opencv-faces"
    assert choose(installed(), "faces", "").name == "mediapipe-faces"  # asked for by name: its loading says what to do


@pytest.mark.parametrize(("engine", "model", "told"), [
    ("auto", "no-such", "there is no detector 'no-such' of the engine auto; there are: .*mediapipe-faces"),
    ("opencv", "mediapipe-faces", "of the engine opencv; there are: opencv-cats, opencv-codes"),
    ("onnx", "", "there is no detector of the engine onnx: put a folder"),
])
def test_what_there_is_not_is_refused(engine: str, model: str, told: str) -> None:
    with pytest.raises(InvalidPipeline, match=told):
        choose(installed(), engine, model)


@pytest.mark.parametrize(("options", "told"), [
    ({"head": "yolo99", "labels": ["thing"]}, f"head must be one of {', '.join(HEADS)}"),
    ({"labels": ["thing"]}, "head must be"), ({"head": "yolo"}, "labels must be"),
    ({"head": "yolo", "labels": ["thing"], "resize": "cubic"}, "resize is one of auto, area, linear, not 'cubic'"),
])
def test_a_manifest_that_makes_no_detector(shelf: FolderStore, options: dict[str, Any], told: str) -> None:
    made.constant(shelf.folders[0], "odd", np.zeros((1, 5, 10), np.float32), options)
    with pytest.raises(InvalidInput, match=told):
        Detector(shelf.get("odd"))


@pytest.mark.parametrize("fit", ["stretch", "centre", "corner"])
def test_boxes_come_back_to_the_picture_whatever_way_it_went_in(shelf: FolderStore, device: CpuDevice,
                                                                fit: str) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)  # a thing at x 50 to 150, y 20 to 60
    scale = (1.6, 3.2) if fit == "stretch" else (1.6, 1.6)
    offset = 80 if fit == "centre" else 0
    answer = np.zeros((1, 6, 20), np.float32)
    answer[0, :, 3] = [100 * scale[0], 40 * scale[1] + offset, 100 * scale[0], 40 * scale[1], 0.1, 0.9]
    made.constant(shelf.folders[0], "thing", answer, {"head": "yolo", "labels": ["a", "b"], "fit": fit})
    [thing] = seen(shelf, "thing", picture, device)
    assert thing.label == "b"
    assert thing.box == pytest.approx((50, 20, 150, 60), abs=0.1)
    assert thing.json() == {"label": "b", "score": 0.9, "box": [50.0, 20.0, 100.0, 40.0]}
    assert seen(shelf, "thing", picture, device, Wish(labels=frozenset({"a"}))) == []
    assert seen(shelf, "thing", picture, device, Wish(threshold=0.95)) == []


def test_thousands_of_boxes_and_what_is_not_a_number(shelf: FolderStore, device: CpuDevice) -> None:
    dice = np.random.default_rng(1)
    answer = np.concatenate([dice.random((1, 4, 30_000)) * 320, dice.random((1, 1, 30_000)) * 0.5 + 0.5],
                            axis=1).astype(np.float32)
    answer[0, 0, 5000:9000] = np.nan
    answer[0, 4, 100:200] = np.nan
    made.constant(shelf.folders[0], "broken", answer, {"head": "yolo", "labels": ["thing"]})
    things = seen(shelf, "broken", np.zeros((320, 320, 3), np.uint8), device, Wish(limit=50))
    assert len(things) == 50
    assert np.isfinite([thing.box for thing in things]).all()
