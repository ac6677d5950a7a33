"""Marks in a still picture of any size, with letters of any script. Live pictures have `overlay`, which is quicker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..fonts import choose, load
from ..frames import Pixels
from .boxes import Floats
from .overlay import PALETTE, Mark

LETTERS = 80  # of a label
SMALLEST = 12  # px, of letters
DARK = (16, 16, 16)
SIDES = ((0, 1), (1, 2), (2, 3), (3, 0))  # of a quadrangle


def _rgb(luma: int, first: int, second: int) -> tuple[int, int, int]:
    """Of BT.601 in the limited range."""
    grey, blue, red = (luma - 16) * 255 / 219, (first - 128) * 255 / 224, (second - 128) * 255 / 224
    parts = (grey + 1.402 * red, grey - 0.344 * blue - 0.714 * red, grey + 1.772 * blue)
    made = [min(255, max(0, round(part))) for part in parts]
    return made[0], made[1], made[2]


COLOURS = tuple(_rgb(*tones) for tones in PALETTE)


def marked(picture: Pixels, marks: Sequence[Mark]) -> Pixels:
    """A copy of the picture (h, w, 3), BGR, with the marks in it."""
    image = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))
    draw = ImageDraw.Draw(image)
    thick = max(1, round(min(image.size) / 240))
    for mark in marks:
        colour = COLOURS[mark.colour % len(COLOURS)]
        if mark.framed:
            draw.rectangle(mark.box, outline=colour, width=thick)
        for start, end in mark.lines:
            draw.line((*mark.points[start], *mark.points[end]), fill=colour, width=thick)
        for x, y in mark.points:
            draw.ellipse((x - thick, y - thick, x + thick, y + thick), fill=colour)
    for mark in marks:  # letters lie above all frames
        if mark.label:
            _write(draw, image.size, mark, COLOURS[mark.colour % len(COLOURS)])
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _write(draw: ImageDraw.ImageDraw, size: tuple[int, int], mark: Mark, colour: tuple[int, int, int]) -> None:
    """The label in dark letters on a plate of its colour, above the box where there is room."""
    text = "".join(letter if letter.isprintable() else " " for letter in mark.label[:LETTERS])
    face = load(choose(text), max(SMALLEST, round(size[1] / 36)))
    left, top, right, bottom = face.getbbox(text)
    wide, high = right - left + 6, bottom - top + 6
    x = max(0, min(mark.box[0], size[0] - wide))
    y = mark.box[1] - high if mark.box[1] >= high else mark.box[1]
    y = max(0, min(y, size[1] - high))
    draw.rectangle((x, y, x + wide, y + high), fill=colour)
    draw.text((x + 3 - left, y + 3 - top), text, DARK, face)


def outline(polygon: Floats, label: str, colour: int) -> Mark:
    """The mark of a quadrangle (4, 2)."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    return Mark((float(low[0]), float(low[1]), float(high[0]), float(high[1])), label, colour,
                [(float(x), float(y)) for x, y in polygon], SIDES, framed=False)
