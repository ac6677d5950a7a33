"""What detectors' outputs mean, by the family of their last layers. A model's manifest names its head.

A head answers candidates in pixels of the network's input, those above a threshold and not yet suppressed. Raises
`InvalidInput` when the outputs are not such as the family has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .anchors import cells, grid
from .boxes import Floats, Found, centred, found

Outputs: TypeAlias = Mapping[str, NDArray[Any]]

STRIDES = (8, 16, 32)  # px, of the usual three maps
# px of an input of 416, smallest map's last; "YOLOv3: An Incremental Improvement", section 2.3
ANCHORS_V3 = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
ANCHORS_TINY = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a head, beside the outputs."""

    width: int  # px of the network's input
    height: int  # px
    threshold: float  # candidates below are left out
    classes: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)  # of the manifest


Head: TypeAlias = Callable[[Outputs, Question], Found]


def fastestdet(outputs: Outputs, question: Question) -> Found:
    """FastestDet: one map (1, 5 + classes, h, w) of objectness, box, class scores."""
    output = only(outputs)
    expect(output, (1, 5 + question.classes, None, None))
    rows, columns = output.shape[2:]
    values = output[0].reshape(5 + question.classes, -1)
    classes = values[5:].argmax(axis=0)
    scores = _power(values[0], 0.6) * _power(values[5:].max(axis=0), 0.4)
    chosen = np.flatnonzero(scores >= question.threshold)
    size = np.array([question.width, question.height], np.float32)
    middles = (cells(columns, rows)[chosen] + np.tanh(values[1:3, chosen].T)) / np.array([columns, rows], np.float32)
    return found(centred(middles * size, sigmoid(values[3:5, chosen].T) * size), scores[chosen], classes[chosen])


def yolo(outputs: Outputs, question: Question) -> Found:
    """YOLOv8, YOLO11 and their kin: (1, 4 + classes, n), or the same turned: centre, size, class scores."""
    values = rows_of(only(outputs), 4 + question.classes)
    classes = values[:, 4:].argmax(axis=1)
    scores = values[:, 4:].max(axis=1)
    chosen = np.flatnonzero(scores >= question.threshold)
    return found(centred(values[chosen, :2], values[chosen, 2:4]), scores[chosen], classes[chosen])


def yolov5(outputs: Outputs, question: Question) -> Found:
    """YOLOv5 and YOLOv7 as exported: (1, n, 5 + classes): centre, size, objectness, class scores."""
    return _with_objectness(rows_of(only(outputs), 5 + question.classes), question)


def yolox(outputs: Outputs, question: Question) -> Found:
    """YOLOX: as YOLOv5, with centres from their cells and logarithms of sizes, both in strides."""
    values = rows_of(only(outputs), 5 + question.classes)
    strides = tuple(question.options.get("strides", STRIDES))
    places, steps = grid(question.width, question.height, strides)
    if len(places) != len(values):
        raise InvalidInput(f"{len(values)} rows don't fit the strides {list(strides)} of an input of "
                           f"{question.width}×{question.height}", field="outputs")
    decoded = values.copy()
    decoded[:, :2] = (values[:, :2] + places) * steps
    decoded[:, 2:4] = exponential(values[:, 2:4]) * steps
    return _with_objectness(decoded, question)


def yolov3(outputs: Outputs, question: Question) -> Found:
    """YOLOv3 and its tiny kin: maps (1, anchors * (5 + classes), h, w) before any activation, of any order."""
    each = 5 + question.classes
    maps = sorted(outputs.values(), key=lambda values: -values.shape[-1])
    default = ANCHORS_TINY if len(maps) == 2 else ANCHORS_V3
    anchors = np.array(question.options.get("anchors", default), np.float32)
    if not maps or len(anchors) % len(maps):
        raise InvalidInput(f"{len(anchors)} anchors can't be shared by {len(maps)} outputs", field="options.anchors")
    here = len(anchors) // len(maps)
    parts = []
    for number, values in enumerate(maps):
        expect(values, (1, here * each, None, None))
        own = anchors[number * here : (number + 1) * here]
        parts.append(_with_objectness(_map_v3(values, own, each, question), question))
    return found(np.concatenate([part.boxes for part in parts]), np.concatenate([part.scores for part in parts]),
                 np.concatenate([part.classes for part in parts]))


def _map_v3(values: Floats, anchors: Floats, each: int, question: Question) -> Floats:
    """The map's candidates that may reach the threshold, (n, each): centre, size in px, probabilities."""
    down, across = values.shape[2:]
    here = len(anchors)
    table = values.reshape(here, each, down * across).transpose(0, 2, 1).reshape(-1, each)
    chosen = np.flatnonzero(sigmoid(table[:, 4]) >= question.threshold)  # a score is at most its objectness
    table = table[chosen]
    places = np.tile(cells(across, down), (here, 1))[chosen]
    sizes = np.repeat(anchors, down * across, axis=0)[chosen]
    stride = np.array([question.width / across, question.height / down], np.float32)
    return np.concatenate([(sigmoid(table[:, :2]) + places) * stride, exponential(table[:, 2:4]) * sizes,
                           sigmoid(table[:, 4:])], axis=1)


def darknet(outputs: Outputs, question: Question) -> Found:
    """YOLO layers of Darknet's files as OpenCV runs them: lines of centre and size as shares, objectness, and scores
    that objectness is in already; one output for each layer, (n, 5 + classes)."""
    size = np.array([question.width, question.height] * 2, np.float32)
    parts = []
    for values in outputs.values():
        expect(values, (None, 5 + question.classes))
        parts.append(values[values[:, 5:].max(axis=1) >= question.threshold])
    rows = np.concatenate(parts)
    places = rows[:, :4] * size
    return found(centred(places[:, :2], places[:, 2:]), rows[:, 5:].max(axis=1, initial=0), rows[:, 5:].argmax(axis=1))


def ssd(outputs: Outputs, question: Question) -> Found:
    """OpenCV's and Caffe's DetectionOutput: (1, 1, n, 7): picture, class, score, box as shares. Class 0 is none."""
    output = only(outputs)
    expect(output, (1, 1, None, 7))
    rows = output[0, 0]
    rows = rows[(rows[:, 2] >= question.threshold) & (rows[:, 1] >= 1) & (rows[:, 1] <= question.classes)]
    size = np.array([question.width, question.height] * 2, np.float32)
    return found(rows[:, 3:] * size, rows[:, 2], rows[:, 1].astype(np.int64) - 1)


def ready(outputs: Outputs, question: Question) -> Found:
    """Boxes that need no decoding: `boxes` (n, 4), `scores` (n,), and if there are, `points` and `texts`."""
    boxes, scores = outputs["boxes"], outputs["scores"]
    expect(boxes, (len(scores), 4))
    points = outputs.get("points", np.zeros((len(boxes), 0, 2), np.float32))
    texts = tuple(str(text) for text in outputs.get("texts", ()))
    return Found(boxes, scores, np.zeros(len(boxes), np.int64), points, texts)


def _with_objectness(values: Floats, question: Question) -> Found:
    """Rows of centre, size, objectness and class scores; a score is the product of the last two."""
    rows = values[values[:, 4] >= question.threshold]
    classes = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[:, 5:].max(axis=1) if len(rows) else rows[:, 4]
    chosen = np.flatnonzero(scores >= question.threshold)
    return found(centred(rows[chosen, :2], rows[chosen, 2:4]), scores[chosen], classes[chosen])


# what heads share ------------------------------------------------------------------------------------


def only(outputs: Outputs) -> Floats:
    """The one output there is."""
    if len(outputs) != 1:
        raise InvalidInput(f"one output is expected, not {', '.join(sorted(outputs)) or 'none'}", field="outputs")
    return next(iter(outputs.values()))


def expect(array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    """Raises `InvalidInput` unless the array has this shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(wanted in (None, size)
                                            for size, wanted in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = "×".join("any" if axis is None else str(axis) for axis in shape)
        raise InvalidInput(f"an output of {wanted} is expected, not {'×'.join(map(str, array.shape))}: is the list of "
                           "labels that of this model?", field="outputs")


def rows_of(output: Floats, columns: int) -> Floats:
    """(n, columns) of an output (1, n, columns) or (1, columns, n)."""
    turned = output.ndim == 3 and output.shape[1] == columns and output.shape[2] != columns
    expect(output, (1, columns, None) if turned else (1, None, columns))
    return np.asarray(output[0].T if turned else output[0], np.float32)


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)


def exponential(values: Floats) -> Floats:
    """e to that, of at most 20: a box of millions of px is none."""
    return np.asarray(np.exp(np.minimum(values, 20)), np.float32)


def _power(values: Floats, exponent: float) -> Floats:
    return np.asarray(np.power(np.clip(values, 0, 1), exponent), np.float32)
