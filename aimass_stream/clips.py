"""Pictures and sound of our own making: the page's demonstration, load tests, benchmarks and tests.

Every drawn picture carries its number in a strip of black and white cells along the bottom edge, which
survives compression, mirroring and scaling, so that whoever gets a picture back knows which one it was.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from .frames import AUDIO_RATE, Pixels, Samples

BITS = 16  # of a picture's number
GUARD = 2  # white, black in front: finds orientation; black, black behind
CELLS = GUARD + BITS + GUARD


@functools.lru_cache(maxsize=8)
def _backdrop(width: int, height: int) -> Pixels:
    """A still sky, hills and grain: enough texture that an encoder has work to do."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = np.array([190, 120, 60], np.float32) * (1 - y) + np.array([120, 190, 250], np.float32) * y
    picture = np.broadcast_to(sky, (height, width, 3)).copy()
    x = np.arange(width)
    for base, colour, period in ((0.62, (90, 140, 80), 3.1), (0.74, (60, 110, 60), 5.3), (0.86, (40, 70, 45), 8.7)):
        ridge = height * (base + 0.06 * np.sin(x / width * math.tau * period / 3 + period))
        mask = np.arange(height)[:, None] > ridge[None, :]
        picture[mask] = colour
    grain = np.random.default_rng(7).normal(0, 6, (height, width, 1))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def draw(number: int, width: int = 640, height: int = 480, fps: float = 30) -> Pixels:
    """Picture `number` of the moving scene, (height, width, 3) uint8 BGR, with its number in the strip."""
    picture = _backdrop(width, height).copy()
    t = number / fps
    sun = (int(width * (0.5 + 0.38 * math.sin(t * 0.6))), int(height * (0.3 + 0.12 * math.cos(t * 0.9))))
    cv2.circle(picture, sun, height // 11, (90, 220, 255), -1, cv2.LINE_AA)
    for bird in range(3):
        x = int((t * (0.12 + 0.03 * bird) + 0.3 * bird) % 1.2 * width - 0.1 * width)
        y = int(height * (0.15 + 0.08 * bird + 0.02 * math.sin(t * 5 + bird)))
        wing = int(height * (0.02 + 0.012 * math.sin(t * 9 + bird * 2)))
        points = np.array([[x - 18, y - wing], [x, y], [x + 18, y - wing]], np.int32)
        cv2.polylines(picture, [points], False, (40, 40, 60), 3, cv2.LINE_AA)
    ball = (int(width * (0.5 + 0.3 * math.cos(t * 1.7))), int(height * (0.75 - 0.25 * abs(math.sin(t * 2.6)))))
    cv2.circle(picture, ball, height // 16, (60, 60, 220), -1, cv2.LINE_AA)
    cv2.putText(picture, f"{number}", (10, height // 10), cv2.FONT_HERSHEY_SIMPLEX, height / 400, (255, 255, 255), 2)
    write_number(picture, number)
    return picture


def write_number(picture: Pixels, number: int) -> None:
    """Draw the strip into `picture` (h, w, 3)."""
    height, width = picture.shape[:2]
    bits = [1, 0, *((number >> bit) & 1 for bit in reversed(range(BITS))), 0, 0]
    top = height - max(8, height // 16)
    for cell, bit in enumerate(bits):
        picture[top:, cell * width // CELLS : (cell + 1) * width // CELLS] = 235 if bit else 20


def read_number(picture: Pixels) -> int | None:
    """The number in the strip of `picture`, (h, w) luma or (h, w, 3), mirrored or not; None without a strip."""
    height, width = picture.shape[:2]
    row = picture[height - max(8, height // 16) // 2 - 1]
    values = row if row.ndim == 1 else row.mean(axis=1)
    cells = [float(values[(2 * cell + 1) * width // (2 * CELLS)]) > 127 for cell in range(CELLS)]
    if cells[:2] == [False, False] and cells[-2:] == [False, True]:
        cells.reverse()
    if cells[:2] != [True, False] or any(cells[-2:]):
        return None
    return sum(bit << place for place, bit in enumerate(reversed(cells[GUARD:-GUARD])))


def tone(seconds: float, frequency: float = 440, level: float = -12, rate: int = AUDIO_RATE) -> Samples:
    """A sine of `level` dBFS, (n, 1) int16."""
    t = np.arange(round(seconds * rate)) / rate
    return np.round(32767 * 10 ** (level / 20) * np.sin(math.tau * frequency * t)).astype(np.int16)[:, None]
