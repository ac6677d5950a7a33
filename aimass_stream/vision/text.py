"""Lines of writing: where a network's map says that they lie, a strip of each, and what a network read from strips.

As PaddleOCR's small networks want it: "Real-time Scene Text Detection with Differentiable Binarization" (Liao and
others 2020, section 3.4) for the map, connectionist temporal classification (Graves and others 2006, section 3.2) for
the words.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frames import Pixels
from .boxes import Floats

CHANCE = 0.3  # of a pixel of the map that belongs to a line
THIN = 3  # px of the map: narrower ones are no lines
GROWN = 1.6  # the map shows lines shrunk: they grow by this times their area over their perimeter
MOST = 1000  # areas of a map that are looked at

HIGH = 48  # px, of a strip
USUAL = 320  # px, of a strip's width: shorter ones are filled up to it
LONGEST = 2048  # px, of a strip's width: longer ones are pressed together
UPRIGHT = 1.5  # times as high as wide: a line that runs down, which is read turned
BLANK = 0  # the class that is no letter


def lines(chances: Floats, threshold: float) -> Floats:
    """(n, 4, 2), px of a map (h, w) of chances: corners from the top left on clockwise, in the order of reading.

    `threshold` is the least mean chance inside a line.
    """
    areas = cv2.dilate((chances > CHANCE).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(areas, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found: list[Floats] = []
    for contour in contours[:MOST]:
        middle, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < THIN or _mean(chances, _corners(middle, width, height, angle)) < threshold:
            continue
        grown = width * height * GROWN / (width + height)  # on both sides together
        found.append(_ordered(_corners(middle, width + grown, height + grown, angle)))
    return np.stack(in_reading_order(found)) if found else np.zeros((0, 4, 2), np.float32)


def in_reading_order(polygons: Sequence[Floats]) -> list[Floats]:
    """Row by row; what differs by less than half a line's height stands in one row."""
    rows: list[list[Floats]] = []
    for polygon in sorted(polygons, key=lambda each: float(each[:, 1].mean())):
        high = float(np.linalg.norm(polygon[3] - polygon[0]))
        if rows and polygon[:, 1].mean() - rows[-1][0][:, 1].mean() < high / 2:
            rows[-1].append(polygon)
        else:
            rows.append([polygon])
    return [polygon for row in rows for polygon in sorted(row, key=lambda each: float(each[:, 0].mean()))]


def strip(picture: Pixels, polygon: Floats) -> Pixels:
    """The line straightened, (HIGH, w, 3); one that runs down is turned as if its page were."""
    edges = np.linalg.norm(polygon - np.roll(polygon, -1, axis=0), axis=1)
    width, height = (max(1, round(float(max(edges[side], edges[side + 2])))) for side in (0, 1))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turned = cv2.getPerspectiveTransform(polygon.astype(np.float32), corners)
    flat = cv2.warpPerspective(picture, turned, (width, height), flags=cv2.INTER_CUBIC,
                               borderMode=cv2.BORDER_REPLICATE)
    if height >= UPRIGHT * width:
        flat = np.rot90(flat)
    across = min(LONGEST, max(1, -(-HIGH * flat.shape[1] // flat.shape[0])))
    how = cv2.INTER_AREA if flat.shape[0] > HIGH else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(flat), (across, HIGH), interpolation=how), np.uint8)


def stacked(strips: Sequence[Pixels]) -> Floats:
    """Strips as one input (n, 3, HIGH, w), -1 to 1, filled with grey at their ends."""
    made = np.zeros((len(strips), 3, HIGH, max(USUAL, *(each.shape[1] for each in strips))), np.float32)
    for row, each in enumerate(strips):
        made[row, :, :, : each.shape[1]] = each.transpose(2, 0, 1) / np.float32(127.5) - 1
    return made


def spelled(chances: Floats, letters: Sequence[str]) -> list[tuple[str, float]]:
    """What each row of (n, steps, classes) says, and the mean chance of its letters; class `BLANK` is none of them."""
    best: NDArray[np.int64] = chances.argmax(axis=2)
    surest = chances.max(axis=2)
    found = []
    for classes, sure in zip(best, surest, strict=True):
        told = classes != BLANK
        told[1:] &= classes[1:] != classes[:-1]
        score = float(sure[told].mean()) if told.any() else 0.0
        found.append(("".join(letters[each] for each in classes[told]), score))
    return found


def _corners(middle: Sequence[float], width: float, height: float, angle: float) -> Floats:
    return np.asarray(cv2.boxPoints((middle, (width, height), angle)), np.float32)


def _mean(chances: Floats, corners: Floats) -> float:
    """Of the map inside a quadrangle."""
    left, top = (int(max(0, np.floor(corners[:, axis].min()))) for axis in (0, 1))
    part = chances[top : int(np.ceil(corners[:, 1].max())) + 1, left : int(np.ceil(corners[:, 0].max())) + 1]
    if not part.size:
        return 0.0
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(part, inside)[0])


def _ordered(corners: Floats) -> Floats:
    """Clockwise from the top left, as a line is read."""
    across = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (pair[np.argsort(pair[:, 1], kind="stable")] for pair in (across[:2], across[2:]))
    return np.array([left[0], right[0], right[1], left[1]], np.float32)
