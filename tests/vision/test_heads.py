"""Heads decode what was encoded: things at known places are written into outputs as the family has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import InvalidInput
from aimass_stream.vision import anchors
from aimass_stream.vision.boxes import Floats, Found
from aimass_stream.vision.face_heads import MAPS, RFB_SIZES, RFB_STRIDES, mediapipe, rfb, yunet
from aimass_stream.vision.heads import (
    ANCHORS_V3,
    Question,
    darknet,
    fastestdet,
    ready,
    ssd,
    yolo,
    yolov3,
    yolov5,
    yolox,
)
from aimass_stream.vision.labels import labels_of

WIDE = Question(320, 160, 0.3, classes=4)  # wider than high, so that a mix-up of axes shows
THING = (101.0, 61.0, 40.0, 30.0)  # centre and size, px
CORNERS = (81.0, 46.0, 121.0, 76.0)


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def check(answer: Found, score: float, number: int = 2, corners: tuple[float, ...] = CORNERS) -> None:
    assert len(answer) == 1
    np.testing.assert_allclose(answer.boxes[0], corners, atol=0.05)
    assert answer.scores[0] == pytest.approx(score, abs=1e-3)
    assert answer.classes.tolist() == [number]
    assert answer.boxes.dtype == answer.scores.dtype == np.float32


def row(*before_classes: float, score: float = 0.8) -> list[float]:
    return [*THING, *before_classes, 0.1, 0.0, score, 0.2]


@pytest.mark.parametrize("turned", [False, True])
def test_yolo(turned: bool) -> None:
    table = np.zeros((1, 50, 8), np.float32)
    table[0, 7] = row()
    check(yolo({"output0": table.transpose(0, 2, 1) if turned else table}, WIDE), 0.8)


def test_yolov5() -> None:
    table = np.zeros((1, 50, 9), np.float32)
    table[0, 7] = row(0.9)
    table[0, 8] = row(0.9, score=0.32)  # objectness and class alone would do, their product does not
    check(yolov5({"output": table}, WIDE), 0.72)


def test_yolox() -> None:
    # of stride 16 after the 40*20 cells of stride 8: column 6, row 3
    table = np.zeros((1, 40 * 20 + 20 * 10 + 10 * 5, 9), np.float32)
    values = row(0.9)
    values[:4] = [101 / 16 - 6, 61 / 16 - 3, np.log(40 / 16), np.log(30 / 16)]
    table[0, 800 + 3 * 20 + 6] = values
    check(yolox({"output": table}, WIDE), 0.72)
    with pytest.raises(InvalidInput, match="don't fit the strides"):
        yolox({"output": table[:, 1:]}, WIDE)


@pytest.mark.parametrize("strides", [(8, 16, 32), (32, 16, 8), (32, 8, 16)])
def test_yolov3_maps_in_any_order(strides: tuple[int, ...]) -> None:
    outputs: dict[str, Any] = {}
    for stride in strides:
        values = np.full((3, 9, 160 // stride, 320 // stride), -20, np.float32)
        if stride == 16:
            width, height = ANCHORS_V3[3 + 1]
            values[1, :, 3, 6] = [logit(101 / 16 - 6), logit(61 / 16 - 3), np.log(40 / width), np.log(30 / height),
                                  logit(0.9), -20, -20, logit(0.8), -20]
        outputs[f"map{stride}"] = values.reshape(1, 27, *values.shape[2:])
    check(yolov3(outputs, WIDE), 0.72)
    with pytest.raises(InvalidInput, match="9 anchors can't be shared by 0 outputs"):
        yolov3({}, WIDE)


def test_fastestdet() -> None:
    values = np.zeros((1, 9, 10, 20), np.float32)
    cell = [0.9, np.arctanh(101 / 16 - 6), np.arctanh(61 / 16 - 3), logit(40 / 320), logit(30 / 160), 0, 0, 0.8, 0]
    values[0, :, 3, 6] = cell
    check(fastestdet({"758": values}, WIDE), 0.9 ** 0.6 * 0.8 ** 0.4)


def test_darknet() -> None:
    small, large = np.zeros((50, 9), np.float32), np.zeros((20, 9), np.float32)
    share = np.array(THING) / [320, 160, 320, 160]
    large[7] = [*share, 0.9, 0.1, 0, 0.8, 0.2]
    small[3] = [*share, 0.9, 0, 0, 0.2, 0]  # objectness is in the scores
    check(darknet({"yolo_16": large, "yolo_23": small}, WIDE), 0.8)


def test_ssd() -> None:
    share = np.array(CORNERS) / [320, 160, 320, 160]
    rows = np.array([[0, 3, 0.8, *share], [0, 0, 0.9, *share], [0, 3, 0.2, *share], [0, 9, 0.9, *share],
                     [-1, 0, 0, 0, 0, 0, 0]], np.float32)
    check(ssd({"detection_out": rows[None, None]}, WIDE), 0.8)


def test_boxes_that_are_ready() -> None:
    answer = ready({"boxes": np.array([CORNERS], np.float32), "scores": np.array([0.5], np.float32),
                    "texts": np.array(["hello"], object)}, WIDE)
    check(answer, 0.5, 0)
    assert answer.texts == ("hello",)


@pytest.mark.parametrize(("count", "size", "cell", "place"), [
    (2304, 192, 48 * 20 + 30, (30.5 * 4, 20.5 * 4)), (896, 128, 2 * (16 * 3 + 5) + 1, (5.5 * 8, 3.5 * 8)),
    (896, 128, 512 + 6 * (8 * 3 + 5) + 4, (5.5 * 16, 3.5 * 16)),
    (2016, 192, 1152 + 6 * (12 * 3 + 5), (5.5 * 16, 3.5 * 16)),
])
def test_mediapipe(count: int, size: int, cell: int, place: tuple[float, float]) -> None:
    assert len(anchors.centres(size, MAPS[count])) == count
    values, logits = np.zeros((1, count, 16), np.float32), np.full((1, count, 1), -9, np.float32)
    values[0, cell] = [1, -2, 20, 10, *([3, 4] * 6)]
    logits[0, cell] = logit(0.7)
    answer = mediapipe({"r": values, "c": logits}, Question(size, size, 0.5))
    x, y = place[0] + 1, place[1] - 2
    check(answer, 0.7, 0, (x - 10, y - 5, x + 10, y + 5))
    np.testing.assert_allclose(answer.points[0], [[place[0] + 3, place[1] + 4]] * 6)
    assert mediapipe({"r": values, "c": logits}, Question(size, size, 0.9)).points.shape == (0, 6, 2)


def test_yunet() -> None:
    outputs: dict[str, Any] = {}
    for stride in (8, 16, 32):
        count = (320 // stride) * (160 // stride)
        for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{kind}_{stride}"] = np.zeros((1, count, columns), np.float32)
    cell = 3 * 20 + 6
    outputs["cls_16"][0, cell], outputs["obj_16"][0, cell] = 0.9, 0.4
    outputs["bbox_16"][0, cell] = [101 / 16 - 6, 61 / 16 - 3, np.log(40 / 16), np.log(30 / 16)]
    outputs["kps_16"][0, cell] = [0.5, 0.25] * 5
    answer = yunet(outputs, WIDE)
    check(answer, 0.6, 0)
    np.testing.assert_allclose(answer.points[0], [[6.5 * 16, 3.25 * 16]] * 5)
    with pytest.raises(InvalidInput, match="kps_8, kps_16, kps_32 are expected"):
        yunet({name: values for name, values in outputs.items() if not name.startswith("kps")}, WIDE)


def test_rfb() -> None:
    priors = anchors.priors(320, 240, RFB_STRIDES, RFB_SIZES)
    assert len(priors) == 4420
    place = 3600 + 2 * (20 * 3 + 6)  # stride 16, column 6, row 3, square of 32
    np.testing.assert_allclose(priors[place], [104, 56, 32, 32])
    scores, boxes = np.zeros((1, 4420, 2), np.float32), np.zeros((1, 4420, 4), np.float32)
    scores[0, place] = [0.2, 0.8]
    boxes[0, place] = [(101 - 104) / 32 / 0.1, (61 - 56) / 32 / 0.1, np.log(40 / 32) / 0.2, np.log(30 / 32) / 0.2]
    check(rfb({"scores": scores, "boxes": boxes}, Question(320, 240, 0.5)), 0.8, 0)


@pytest.mark.parametrize("head", [yolo, yolov5, yolox, yolov3, darknet, fastestdet, ssd, mediapipe, yunet, rfb])
@pytest.mark.parametrize("outputs", [
    {"a": np.zeros((1, 3, 7), np.float32)}, {"a": np.zeros(5, np.float32), "b": np.zeros((1, 1), np.float32)},
    {"scores": np.zeros((1, 9, 2), np.float32), "boxes": np.zeros((1, 9, 4), np.float32)},
])
def test_outputs_of_another_family_are_refused(head: Any, outputs: dict[str, Floats]) -> None:
    with pytest.raises(InvalidInput):
        head(outputs, WIDE)


def test_values_without_bounds_raise_nothing() -> None:
    """Warnings are errors here."""
    with np.errstate(all="raise", under="ignore"):
        table = np.full((1, 1050, 9), 1000, np.float32)
        assert len(yolox({"output": table}, WIDE)) == 1050
        assert len(yolov3({"a": np.full((1, 27, 20, 40), 1e3, np.float32), "b": np.zeros((1, 27, 10, 20), np.float32),
                           "c": np.full((1, 27, 5, 10), -1e3, np.float32)}, WIDE)) == 3 * 800


def test_labels() -> None:
    assert len(labels_of({"labels": "coco"})) == 80
    assert labels_of({"labels": ["face"]}) == ("face",)
    wrongs: list[dict[str, Any]] = [{}, {"labels": "imagenet"}, {"labels": []}, {"labels": [1]}]
    for wrong in wrongs:
        with pytest.raises(InvalidInput, match="labels must be"):
            labels_of(wrong)
