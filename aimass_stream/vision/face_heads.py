"""Heads of detectors of faces and palms, which give points, too."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput
from .anchors import centres, grid, priors
from .boxes import Floats, Found, centred, found
from .heads import STRIDES, Outputs, Question, expect, exponential, sigmoid

# MediaPipe's maps (cells across, anchors in each), by the number of anchors
MAPS = {2304: ((48, 1),), 896: ((16, 2), (8, 6)), 2016: ((24, 2), (12, 6))}

RFB_STRIDES = (8, 16, 32, 64)  # px
RFB_SIZES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))  # px
VARIANCES = (0.1, 0.2)  # of SSD: scales of centres and of logarithms of sizes


def mediapipe(outputs: Outputs, question: Question) -> Found:
    """MediaPipe's faces (full and short range) and palms: (1, n, 4 + 2 * points) in px, and logits (1, n, 1).

    Centre and points count from the anchor. Points of faces: the eyes (of the viewer's left first), nose, mouth, ears;
    of palms: wrist, the first joints from index finger to little finger, two joints of the thumb.
    """
    values = max(outputs.values(), key=lambda output: output.shape[-1])
    logits = min(outputs.values(), key=lambda output: output.shape[-1])
    count = values.shape[1] if values.ndim == 3 else 0
    if len(outputs) != 2 or count not in MAPS:
        raise InvalidInput("MediaPipe's detectors have 896, 2016 or 2304 anchors and two outputs", field="outputs")
    expect(logits, (1, count, 1))
    scores = sigmoid(logits[0, :, 0])
    chosen = np.flatnonzero(scores >= question.threshold)
    anchors = centres(question.width, MAPS[count])[chosen]
    rows = values[0, chosen]
    points = rows[:, 4:].reshape(len(rows), (rows.shape[1] - 4) // 2, 2) + anchors[:, None]
    return found(centred(rows[:, :2] + anchors, rows[:, 2:4]), scores[chosen], points=points)


def yunet(outputs: Outputs, question: Question) -> Found:
    """YuNet: at each of three strides `cls`, `obj` (1, n, 1), `bbox` (1, n, 4) and `kps` (1, n, 10), in strides.

    Points: right eye, left eye (of the person), nose tip, right and left corner of the mouth.
    """
    places, steps = grid(question.width, question.height, STRIDES)
    maps = {kind: _joined(outputs, kind, columns, len(places))
            for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}
    scores = np.sqrt(np.clip(maps["cls"][:, 0], 0, 1) * np.clip(maps["obj"][:, 0], 0, 1))
    chosen = np.flatnonzero(scores >= question.threshold)
    places, steps, boxes = places[chosen], steps[chosen], maps["bbox"][chosen]
    middles, sizes = (boxes[:, :2] + places) * steps, exponential(boxes[:, 2:]) * steps
    points = (maps["kps"][chosen].reshape(-1, 5, 2) + places[:, None]) * steps[:, None]
    return found(centred(middles, sizes), scores[chosen], points=points)


def rfb(outputs: Outputs, question: Question) -> Found:
    """Ultra-light faces (RFB and slim): `scores` (1, n, 2) and SSD's offsets from its priors, `boxes` (1, n, 4)."""
    if set(outputs) != {"scores", "boxes"}:
        raise InvalidInput("the outputs scores and boxes are expected", field="outputs")
    anchors = priors(question.width, question.height, RFB_STRIDES, RFB_SIZES)
    expect(outputs["scores"], (1, len(anchors), 2))
    expect(outputs["boxes"], (1, len(anchors), 4))
    scores = outputs["scores"][0, :, 1]
    chosen = np.flatnonzero(scores >= question.threshold)
    rows, anchors = outputs["boxes"][0, chosen], anchors[chosen]
    middles = anchors[:, :2] + rows[:, :2] * VARIANCES[0] * anchors[:, 2:]
    return found(centred(middles, anchors[:, 2:] * exponential(rows[:, 2:] * VARIANCES[1])), scores[chosen])


def _joined(outputs: Outputs, kind: str, columns: int, count: int) -> Floats:
    """The maps of one kind behind each other, (count, columns)."""
    names = [f"{kind}_{stride}" for stride in STRIDES]
    if not set(names) <= set(outputs):
        raise InvalidInput(f"the outputs {', '.join(names)} are expected", field="outputs")
    joined = np.concatenate([outputs[name].reshape(-1, columns) for name in names])
    expect(joined, (count, columns))
    return joined
