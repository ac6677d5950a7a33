"""How well boxes were found: average precision with an overlap of at least a half, as PASCAL VOC counts it.

Each guess, the surest first, belongs to the box that it overlaps most; it is right if they share at least a half
(intersection over union) and no surer one was there before, and does not count where that box is marked as difficult
(Everingham et al., *The PASCAL Visual Object Classes Challenge*, IJCV 2010, section 4.2). The average is the area
under all points of the curve, as VOC computes it from 2010 on, and not the mean at eleven or, as COCO's, 101 recalls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aimass_stream.vision.boxes import Floats, areas, iou

OVERLAP = 0.5
Flags: TypeAlias = NDArray[np.bool_]
Place: TypeAlias = Callable[[Floats, Floats, Flags], int | None]  # a box, boxes (n, 4), which are taken -> which it is


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in a picture, of one class."""

    boxes: Floats  # (n, 4) left, top, right, bottom; px
    difficult: Flags  # (n,)


@dataclass(frozen=True, slots=True)
class Guess:
    """What was found, of one class."""

    picture: str
    score: float
    box: tuple[float, float, float, float]  # left, top, right, bottom; px


def overlapping(box: Floats, boxes: Floats, taken: Flags) -> int | None:
    """The one that the box overlaps most, if by a half."""
    shares = iou(box[None], boxes)[0]
    best = int(shares.argmax())
    return best if shares[best] >= OVERLAP else None


def inside(box: Floats, boxes: Floats, taken: Flags) -> int | None:
    """For faces in the boxes of people: the smallest around the box's middle, of those that have no face yet if any."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    around = np.flatnonzero((boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3]))
    if not len(around):
        return None
    free = around[~taken[around]]
    chosen = free if len(free) else around
    return int(chosen[areas(boxes[chosen]).argmin()])


def judged(guesses: Iterable[Guess], truths: Mapping[str, Truth], place: Place = overlapping) -> list[bool]:
    """Right or wrong, the surest first, without those that don't count."""
    taken = {picture: np.zeros(len(truth.boxes), np.bool_) for picture, truth in truths.items()}
    verdicts = []
    for guess in sorted(guesses, key=lambda guess: -guess.score):
        truth = truths.get(guess.picture)
        at = None
        if truth is not None and len(truth.boxes):
            at = place(np.array(guess.box, np.float32), truth.boxes, taken[guess.picture])
        if truth is None or at is None:
            verdicts.append(False)
        elif not truth.difficult[at]:
            verdicts.append(not taken[guess.picture][at])
            taken[guess.picture][at] = True
    return verdicts


def wanted(truths: Mapping[str, Truth]) -> int:
    """Boxes that are to be found."""
    return sum(int((~truth.difficult).sum()) for truth in truths.values())


def average_precision(verdicts: Sequence[bool], count: int) -> float:
    """Of guesses, the surest first, where `count` boxes were to be found. Raises `ValueError` if that is none."""
    if count <= 0:
        raise ValueError("there is nothing to be found")
    if not verdicts:
        return 0.0
    right = np.cumsum(verdicts)
    recall, precision = right / count, right / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or more
    return float((np.diff(recall, prepend=0) * best).sum())


def ap50(guesses: Mapping[str, Sequence[Guess]], truths: Mapping[str, Mapping[str, Truth]]) -> dict[str, float]:
    """By class, of those that are in the pictures at all."""
    return {name: average_precision(judged(guesses.get(name, ()), of_class), wanted(of_class))
            for name, of_class in truths.items() if wanted(of_class)}
