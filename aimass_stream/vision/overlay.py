"""Boxes, points and labels drawn into a picture's planes: nothing else of it is touched, not even by rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from ..frames import Pixels

FONT = cv2.FONT_HERSHEY_SIMPLEX
LETTERS = 22  # px that OpenCV's font is high at scale 1
DARK, NEUTRAL = 16, 128
# luma and chroma of colours that stand apart on most pictures, and from each other in hue
PALETTE = ((210, 16, 146), (144, 54, 34), (106, 202, 222), (169, 166, 16), (107, 90, 240), (188, 154, 117),
           (145, 147, 34), (165, 44, 170))


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing to draw."""

    box: tuple[float, float, float, float]  # left, top, right, bottom; px
    label: str = ""
    colour: int = 0  # which of the palette
    points: Sequence[tuple[float, float]] = ()  # px
    lines: Sequence[tuple[int, int]] = ()  # between which of the points
    framed: bool = True  # False: the box itself is not drawn
    sure: bool = True  # False: the box is dashed


def outlined(points: Sequence[tuple[float, float]], size: tuple[int, int], label: str) -> Mark:
    """A polygon, or a line of two points, given in parts of a picture of (width, height) px."""
    placed = [(x * size[0], y * size[1]) for x, y in points]
    columns, rows = zip(*placed, strict=True)
    corners = len(points)
    sides = [(at, (at + 1) % corners) for at in range(corners if corners > 2 else 1)]
    return Mark((min(columns), min(rows), max(columns), max(rows)), label, len(PALETTE) - 1, placed, sides,
                framed=False)


def drawn(i420: Pixels, marks: Sequence[Mark]) -> Pixels:
    """A copy of the picture (h*3/2, w) with the marks in it."""
    made = i420.copy()
    height, width = made.shape[0] * 2 // 3, made.shape[1]
    flat, size = made.reshape(-1), made.shape[1] * height
    chroma = flat[size:].reshape(2, height // 2, width // 2)
    luma, first, second = flat[:size].reshape(height, width), chroma[0], chroma[1]
    thick = max(2, round(min(width, height) / 240)) // 2 * 2
    for mark in marks:
        tones = PALETTE[mark.colour % len(PALETTE)]
        for plane, tone, half in ((luma, tones[0], 1), (first, tones[1], 2), (second, tones[2], 2)):
            _sketch(plane, mark, tone, half, thick // half)
        if mark.label:
            _write(luma, (first, second), mark.label, round(mark.box[0]), round(mark.box[1]), tones)
    return made


def _sketch(plane: Pixels, mark: Mark, tone: int, half: int, thick: int) -> None:
    """All but the label, in a plane whose px are `half` of the picture's; what lies far outside is left out."""
    reach = 4 * max(plane.shape)

    def place(x: float, y: float) -> tuple[int, int]:
        # both planes' edges fall together where coordinates are even
        return (max(-reach, min(reach, round(x / 2) * 2 // half)), max(-reach, min(reach, round(y / 2) * 2 // half)))

    if mark.framed and mark.sure:
        cv2.rectangle(plane, place(*mark.box[:2]), place(*mark.box[2:]), tone, thick)
    elif mark.framed:
        _dashes(plane, place(*mark.box[:2]), place(*mark.box[2:]), tone, thick)
    for start, end in mark.lines:
        cv2.line(plane, place(*mark.points[start]), place(*mark.points[end]), tone, thick)
    for point in mark.points:
        cv2.circle(plane, place(*point), thick, tone, -1)


def _dashes(plane: Pixels, first: tuple[int, int], last: tuple[int, int], tone: int, thick: int) -> None:
    """A box of which every second piece is missing."""
    high, wide = plane.shape
    step = 6 * max(1, thick)
    for x in range(max(first[0], 0), min(last[0], wide), step):
        for y in (first[1], last[1]):
            cv2.line(plane, (x, y), (min(x + step // 2, last[0]), y), tone, thick)
    for y in range(max(first[1], 0), min(last[1], high), step):
        for x in (first[0], last[0]):
            cv2.line(plane, (x, y), (x, min(y + step // 2, last[1])), tone, thick)


def _write(luma: Pixels, chroma: Sequence[Pixels], label: str, left: int, top: int,
           tones: tuple[int, int, int]) -> None:
    """The label in dark letters on a plate of its colour, above the box where there is room."""
    height, width = luma.shape
    scale = max(12, height / 30) / LETTERS * 0.7
    text = label.encode("ascii", "replace").decode()  # OpenCV's font has no other letters; the data has them all
    (wide, tall), below = cv2.getTextSize(text, FONT, scale, 1)
    plate_height, plate_width = (tall + below + 4) // 2 * 2, (wide + 6) // 2 * 2
    left, top = left // 2 * 2, (top - plate_height if top >= plate_height else top)
    left, top = max(0, min(left, width - plate_width)), max(0, min(top, height - plate_height)) // 2 * 2
    luma[top : top + plate_height, left : left + plate_width] = tones[0]
    for plane, tone in zip(chroma, tones[1:], strict=True):
        plane[top // 2 : (top + plate_height) // 2, left // 2 : (left + plate_width) // 2] = tone
    cv2.putText(luma, text, (left + 3, top + plate_height - below), FONT, scale, DARK, 1, cv2.LINE_AA)
    dark = luma[top : top + plate_height : 2, left : left + plate_width : 2] < tones[0] * 0.5
    for plane in chroma:
        window = plane[top // 2 : (top + plate_height) // 2, left // 2 : (left + plate_width) // 2]
        window[dark[: window.shape[0], : window.shape[1]]] = NEUTRAL
