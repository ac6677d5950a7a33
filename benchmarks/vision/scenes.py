"""Drawn pictures: somebody who walks before hills, with a number that can be read when the picture was painted over.

`clips` writes its number as black and white cells, which a painter may make any two colours of. Here each cell stands
above its opposite: what counts is which of both is the brighter one.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import av
import cv2
import numpy as np

from aimass_stream import clips
from aimass_stream.frames import Pixels

from .. import media

BITS = 10  # of a picture's number
CELLS = 1 + BITS + 1  # the first is always bright above, the last makes the number of bright ones even
CLEAR = 6.0  # levels that a cell and its opposite differ by at least
PERIOD = 150  # pictures in which the walker comes back; a clip is several of these
VERSION = 1  # of what is drawn: clips of another one are encoded anew
SKIN, HAIR, COAT, SHADE = (150, 180, 225), (30, 40, 60), (90, 60, 40), (110, 140, 190)


def walker(number: int, width: int, height: int) -> tuple[int, int, int]:
    """Middle of the face of the one who walks, and half of its height; px."""
    turn = number % PERIOD / PERIOD * math.tau
    return round(width * (0.5 + 0.22 * math.sin(turn))), round(height * 0.42), round(height / 7)


def draw(number: int, width: int, height: int) -> Pixels:
    """Picture `number`, (h, w, 3) BGR, with its number."""
    picture = person(clips.draw(number, width, height), *walker(number, width, height))
    write_code(picture, number)
    return picture


def person(picture: Pixels, x: int, y: int, radius: int) -> Pixels:
    """The picture with head and shoulders in it, which finders of faces and people take for such."""
    made = picture.copy()

    def ellipse(dx: float, dy: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        middle = (x + round(dx * radius), y + round(dy * radius))
        axes = (max(1, round(width * radius)), max(1, round(height * radius)))
        cv2.ellipse(made, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(0, 2.0, 1.7, 1.05, COAT)
    ellipse(0, 0.95, 0.34, 0.6, SHADE)
    ellipse(0, -0.22, 0.93, 1.14, HAIR)
    ellipse(0, 0, 0.78, 1, SKIN)
    for side in (-0.32, 0.32):
        ellipse(side, -0.32, 0.2, 0.05, HAIR)
        ellipse(side, -0.15, 0.16, 0.09, (240, 240, 240))
        ellipse(side, -0.15, 0.08, 0.08, HAIR)
    ellipse(0, 0.25, 0.12, 0.08, SHADE)
    ellipse(0, 0.52, 0.26, 0.09, (80, 80, 170))
    soft = cv2.GaussianBlur(made, (0, 0), 1.2)
    left, top = max(0, x - 2 * radius), max(0, y - 2 * radius)
    made[top : y + 4 * radius, left : x + 2 * radius] = soft[top : y + 4 * radius, left : x + 2 * radius]
    return made


def grainy(picture: Pixels, seed: int, deviation: float) -> Pixels:
    """With a sensor's noise of so many levels."""
    grain = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


# the number ------------------------------------------------------------------------------------------


def _row(height: int) -> int:
    return max(8, height // 16)


def write_code(picture: Pixels, number: int) -> None:
    """Into the lowest eighth of (h, w, 3)."""
    height, width = picture.shape[:2]
    row = _row(height)
    for cell, bit in enumerate(_cells(number)):
        inside = slice(cell * width // CELLS, (cell + 1) * width // CELLS)
        picture[height - 2 * row : height - row, inside] = 235 if bit else 20
        picture[height - row :, inside] = 20 if bit else 235


def _cells(number: int) -> list[int]:
    bits = [number >> place & 1 for place in reversed(range(BITS))]
    return [1, *bits, (1 + sum(bits)) % 2]


def read_code(luma: Pixels) -> int | None:
    """The number in the luma (h, w) of a picture, painted or not; None where it can't be read for sure."""
    height, width = luma.shape
    row = _row(height)
    differences = np.zeros(CELLS)
    for cell in range(CELLS):
        left, right = cell * width // CELLS, (cell + 1) * width // CELLS
        quarter, edge = (right - left) // 4, row // 4
        inside = slice(left + quarter, right - quarter)
        above = luma[height - 2 * row + edge : height - row - edge, inside]
        below = luma[height - row + edge : height - edge, inside]
        differences[cell] = float(above.mean()) - float(below.mean())
    if np.abs(differences).min() < CLEAR:
        return None
    bits = [int(difference * differences[0] > 0) for difference in differences]  # a painter may turn them over
    number = sum(bit << place for place, bit in enumerate(reversed(bits[1:-1])))
    return number if bits == _cells(number) else None


# clips -----------------------------------------------------------------------------------------------


@functools.cache
def clip(width: int, height: int) -> list[bytes]:
    """VP8 frames, the first a key frame; frame n shows picture n. For 20 s, as `media.video`."""

    def make() -> list[bytes]:
        context = media.encoder(width, height)
        packets: list[bytes] = []
        for number in range(media.LENGTH * media.FPS):
            frame = av.VideoFrame.from_ndarray(draw(number, width, height), format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number * 3000, media.VIDEO_BASE
            packets += [bytes(packet) for packet in context.encode(frame)]
        return packets

    return media._kept(f"walker{VERSION}-{width}x{height}", make)


def number_of(frame: Any) -> int | None:
    """Of a decoded picture (`av.VideoFrame`)."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return read_code(luma)
