"""What is shown to the networks in training: cuts of photographs, and pictures made by code."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import clips
from ..errors import InvalidInput, NotFound
from ..frames import Pixels

Array: TypeAlias = NDArray[np.float32]  # (h, w, 3) RGB, 0 to 1
Maker: TypeAlias = Callable[[np.random.Generator, int], Array]

KINDS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MOST = 256  # photographs that are held in memory, each of at most about 1.5 MB
LEAST = 64  # px of a photograph's side
SHARE = 0.7  # of the cuts that are of photographs, where there are any
WORKING = (288, 640)  # px: the shorter side that a photograph is scaled to before it is cut; what cameras give


def photographs(folder: Path, leave: Collection[str] = ()) -> list[Pixels]:
    """(h, w, 3) RGB of what is in a folder, by name; of many, some that are spread over it.

    Files named in `leave`, without their endings, and those that can't be read or are small are left out. Raises
    `NotFound` if there is no such folder, `InvalidInput` if nothing in it is of use.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", field="content")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in KINDS and path.stem not in leave]
    every = max(1, -(-len(paths) // MOST))
    found = [picture for path in paths[::every] if (picture := _photograph(path)) is not None]
    if not found:
        raise InvalidInput(f"{folder} has no picture of {LEAST} px and more that can be read: {', '.join(KINDS)}",
                           field="content")
    return found


def _photograph(path: Path) -> Pixels | None:
    picture = cv2.imread(str(path))
    if picture is None or min(picture.shape[:2]) < LEAST:
        return None
    factor = 1.2 * WORKING[1] / min(picture.shape[:2])
    if factor < 1:
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[:, :, ::-1], np.uint8)


def scaled(picture: Array, longest: int) -> Array:
    """With its longer side so many px."""
    factor = longest / max(picture.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(np.clip(cv2.resize(picture, size, interpolation=way), 0, 1), np.float32)


class Contents:
    """Endless cuts: scaled, turned over, and in other colours and lights."""

    def __init__(self, photographs: Sequence[Pixels], seed: int) -> None:
        """Without photographs there are only pictures made by code."""
        self.rng = np.random.default_rng(seed)
        self.photographs = photographs

    def cut(self, size: int) -> Array:
        """(size, size, 3)."""
        rng = self.rng
        if self.photographs and rng.random() < SHARE:
            picture = self._photograph(size)
        else:
            picture = MAKERS[rng.integers(len(MAKERS))](rng, size)
        return self._lit(picture)
    def _photograph(self, size: int) -> Array:
        rng = self.rng
        picture = self.photographs[int(rng.integers(len(self.photographs)))]
        shorter = float(np.exp(rng.uniform(*np.log((max(WORKING[0], size + 1), WORKING[1])))))
        factor = shorter / min(picture.shape[:2])
        width = min(round(size / factor), *picture.shape[:2])  # px of the original that make a cut
        y, x = (int(rng.integers(side - width + 1)) for side in picture.shape[:2])
        cut = picture[y : y + width, x : x + width]
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        return _unit(cv2.resize(np.ascontiguousarray(cut), (size, size),
                                interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC))

    def _lit(self, picture: Array) -> Array:
        """Another exposure, contrast, colour of light and saturation; a soft lens or a grainy sensor now and then."""
        rng = self.rng
        grey = picture.mean(axis=2, keepdims=True)
        lit = np.asarray(grey + (picture - grey) * rng.uniform(0.4, 1.4), np.float64)
        lit = np.clip(lit * rng.uniform(0.85, 1.15, 3), 0, 1) ** rng.uniform(0.6, 1.6)
        lit = 0.5 + (lit - 0.5) * rng.uniform(0.5, 1.15) + rng.uniform(-0.12, 0.12)
        if rng.random() < 0.25:
            lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), float(rng.uniform(0.5, 2))), np.float64)
        if rng.random() < 0.4:
            lit = lit + rng.normal(0, rng.uniform(0, 0.03), lit.shape)
        return np.asarray(np.clip(lit, 0, 1), np.float32)


def _unit(picture: NDArray[np.generic]) -> Array:
    found = np.asarray(picture, np.float32)
    return np.asarray(found / 255 if picture.dtype == np.uint8 else np.clip(found, 0, 1), np.float32)


def clouds(rng: np.random.Generator, size: int, channels: int = 3) -> Array:
    """Noise of all scales, smooth to rough."""
    rough = rng.uniform(0.35, 0.75)
    total = np.zeros((size, size, channels), np.float32)
    for octave in range(7):
        cells = min(2 ** (octave + 1), size)
        field = rng.random((cells, cells, channels)).astype(np.float32) - 0.5
        grown = cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, channels)
        total += grown * rough**octave
    return np.asarray(np.clip(0.5 + total * rng.uniform(0.6, 1.4), 0, 1), np.float32)


def gradient(rng: np.random.Generator, size: int) -> Array:
    corners = rng.random((2, 2, 3)).astype(np.float32)
    return np.asarray(cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def shapes(rng: np.random.Generator, size: int) -> Array:
    """Discs, polygons and lines on a gradient; some are textured."""
    picture = gradient(rng, size)
    for _ in range(int(rng.integers(4, 24))):
        layer = np.broadcast_to(rng.random(3).astype(np.float32), picture.shape)
        if rng.random() < 0.3:
            layer = clouds(rng, size)
        mask = np.zeros((size, size), np.float32)
        centre = (int(rng.integers(size)), int(rng.integers(size)))
        reach = int(size * rng.uniform(0.03, 0.3))
        kind = rng.integers(3)
        if kind == 0:
            cv2.ellipse(mask, centre, (reach, max(int(reach * rng.uniform(0.3, 1)), 1)), float(rng.uniform(0, 180)),
                        0, 360, 1.0, -1, cv2.LINE_AA)
        elif kind == 1:
            points = np.array(centre) + rng.integers(-reach, reach + 1, (int(rng.integers(3, 6)), 2))
            cv2.fillPoly(mask, [points.astype(np.int32)], 1.0, cv2.LINE_AA)
        else:
            cv2.line(mask, centre, (int(rng.integers(size)), int(rng.integers(size))), 1.0,
                     int(rng.integers(1, 10)), cv2.LINE_AA)
        picture = picture + (layer - picture) * mask[..., None]
    return np.asarray(picture, np.float32)


def sitter(rng: np.random.Generator, size: int) -> Array:
    """Somebody before a camera, as far as ellipses go: a wall, shoulders, a head, hair, eyes and a mouth."""
    picture = cv2.GaussianBlur(shapes(rng, size), (0, 0), float(rng.uniform(1, 8)))
    wall = gradient(rng, size)
    picture = np.asarray(picture + (wall - picture) * rng.uniform(0.2, 0.9), np.float32)
    skin = np.array([0.95, 0.75, 0.62]) * rng.uniform(0.25, 1.0) + rng.uniform(-0.05, 0.05, 3)
    hair, cloth = skin * rng.uniform(0.05, 0.8), rng.random(3)
    x, y, head = size * rng.uniform(0.3, 0.7), size * rng.uniform(0.35, 0.55), size * rng.uniform(0.12, 0.28)

    def oval(colour: NDArray[np.float64], dx: float, dy: float, wide: float, high: float, shade: float = 0.0) -> None:
        mask = np.zeros((size, size), np.float32)
        centre = (int(x + dx * head), int(y + dy * head))
        cv2.ellipse(mask, centre, (max(int(wide * head), 1), max(int(high * head), 1)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
        light = 1 + shade * np.linspace(-1, 1, size)[None, :, None]
        picture[:] = picture + (np.clip(colour * light, 0, 1) - picture) * mask[..., None]

    oval(cloth, 0, 2.6, 2.0, 1.6, 0.3)
    oval(skin * 0.85, 0, 1.0, 0.4, 0.6)
    oval(hair, 0, -0.25, 0.95, 1.15)
    oval(skin, 0, 0, 0.78, 1.0, rng.uniform(-0.4, 0.4))
    for side in (-0.32, 0.32):
        oval(np.full(3, 0.9), side, -0.1, 0.16, 0.09)
        oval(np.full(3, 0.1), side, -0.1, 0.07, 0.08)
        oval(hair, side, -0.3, 0.2, 0.04)
    oval(skin * 0.8, 0, 0.2, 0.1, 0.12)
    oval(skin * np.array([0.9, 0.5, 0.5]), 0, 0.5, 0.28, rng.uniform(0.03, 0.14))
    return _unit(picture)


def scene(rng: np.random.Generator, size: int) -> Array:
    """A cut of the moving scene."""
    drawn = clips.draw(int(rng.integers(60_000)), 4 * size // 3, size)
    left = int(rng.integers(drawn.shape[1] - size + 1))
    return _unit(drawn[:, left : left + size, ::-1])


def waves(rng: np.random.Generator, size: int) -> Array:
    """Stripes that bend: cloth, fences, water."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    bend = clouds(rng, size, 1)[..., 0]
    turn = rng.uniform(0, math.pi)
    phase = (x * math.cos(turn) + y * math.sin(turn)) * rng.uniform(6, 60) + bend * rng.uniform(0, 12)
    share = (0.5 + 0.5 * np.sin(phase))[..., None]
    first, second = gradient(rng, size), gradient(rng, size)
    return np.asarray(first + (second - first) * share, np.float32)


MAKERS: tuple[Maker, ...] = (clouds, shapes, shapes, sitter, sitter, scene, waves)
