"""Boxes: overlap, suppression of those that mean the same thing, and what a detector found as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]

POOL = 1000  # of more candidates only the best are looked at: a broken model may call everything a thing


@dataclass(frozen=True, slots=True)
class Found:
    """What a network's outputs say: one row a candidate, and after `suppress` one row a thing."""

    boxes: Floats  # (n, 4)
    scores: Floats  # (n,), 0 to 1
    classes: Whole  # (n,)
    points: Floats = field(default_factory=lambda: np.zeros((0, 0, 2), np.float32))  # (n, k, 2); k is 0 without any
    texts: tuple[str, ...] = ()  # n of them, or none

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.bool_] | Whole) -> Found:
        """The rows that a mask or indices name."""
        indices = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Found(self.boxes[indices], self.scores[indices], self.classes[indices],
                     self.points[indices] if len(self.points) else self.points,
                     tuple(self.texts[index] for index in indices) if self.texts else ())


def found(boxes: Floats, scores: Floats, classes: Whole | None = None, points: Floats | None = None) -> Found:
    """`Found` with one class (0) and no points where none are given."""
    return Found(boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False),
                 np.zeros(len(scores), np.int64) if classes is None else classes.astype(np.int64, copy=False),
                 np.zeros((len(scores), 0, 2), np.float32) if points is None else points.astype(np.float32, copy=False))


def centred(centres: Floats, sizes: Floats) -> Floats:
    """(n, 4) of centres (n, 2) and sizes (n, 2)."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def areas(boxes: Floats) -> Floats:
    """(n,) in px²; 0 for a box that is turned inside out."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float32)


def intersections(first: Floats, second: Floats) -> Floats:
    """(n, m) in px²."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=2), np.float32)


def iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of each of n boxes with each of m, (n, m); 0 where both are empty."""
    common = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0), np.float32)


def clip(boxes: Floats, width: float, height: float) -> Floats:
    """Cut at the picture's edges."""
    return np.asarray(np.clip(boxes, 0, np.array([width, height, width, height], np.float32)), np.float32)


def sane(candidates: Found, threshold: float) -> Found:
    """Those that reach the threshold, have a box, and no value that is not a number: the best `POOL` of them."""
    finite = np.isfinite(candidates.boxes).all(axis=1) & np.isfinite(candidates.scores)
    good = candidates.take(finite & (candidates.scores >= threshold))
    good = good.take(areas(good.boxes) > 0)
    if len(good) > POOL:
        good = good.take(np.argpartition(good.scores, -POOL)[-POOL:])
    return good


def suppress(candidates: Found, overlap: float, limit: int) -> Found:
    """Greedy non-maximum suppression within each class: the best first, at most `limit` of them."""
    if not len(candidates):
        return candidates
    corners = candidates.boxes.astype(np.float64)
    rectangles = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    # OpenCV's stubs ask for lists; arrays are what it converts them to
    scores, classes = candidates.scores, candidates.classes.astype(np.int32)
    kept = np.asarray(cv2.dnn.NMSBoxesBatched(rectangles, scores, classes, 0.0, overlap), np.int64)  # type: ignore[arg-type]
    best = kept[np.argsort(-candidates.scores[kept], kind="stable")]
    return candidates.take(best[:limit])


def blend(candidates: Found, overlap: float, limit: int) -> Found:
    """Suppression that answers the mean of all that overlap, weighted by score: steadier boxes and points.

    As MediaPipe does it for faces and palms ("BlazeFace", Bazarevsky and others 2019, section 3.3). Of one class.
    """
    left = np.argsort(-candidates.scores, kind="stable")
    boxes: list[Floats] = []
    points: list[Floats] = []
    best: list[int] = []
    while len(left) and len(best) < limit:
        near = iou(candidates.boxes[left[:1]], candidates.boxes[left])[0] > overlap
        near[0] = True
        rows = left[near]
        weights = candidates.scores[rows] / max(float(candidates.scores[rows].sum()), 1e-9)
        boxes.append(weights @ candidates.boxes[rows])
        points.append(np.einsum("n,nkc->kc", weights, candidates.points[rows]))
        best.append(int(left[0]))
        left = left[~near]
    if not best:
        return candidates.take(np.zeros(0, np.int64))
    chosen = candidates.take(np.array(best, np.int64))
    return Found(np.stack(boxes).astype(np.float32), chosen.scores, chosen.classes,
                 np.stack(points).astype(np.float32), chosen.texts)
