"""Drawn people, each with a face of their own, that real detectors take for faces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aimass_stream.frames import Pixels
from aimass_stream.vision.faces import aligned

from .sights import wall


def face(who: int, take: int = 0) -> Pixels:
    """The face alone, (112, 112, 3), as it is cut out by its points."""
    picture = portrait(who, take)
    apart = float(np.random.default_rng(who).uniform(0.28, 0.38, 1)[0])  # about that of the eyes
    named = np.array([(320 - apart * 120, 222), (320 + apart * 120, 222), (320, 270), (320, 305)], np.float32)
    turn = _turn(np.random.default_rng(1000 * who + take), 160, 112, 62)
    placed = named @ turn[:, :2].T + turn[:, 2]
    return aligned(picture, (0, 0, 1, 1), [(float(x), float(y)) for x, y in placed])


def portrait(who: int, take: int = 0, *, width: int = 320, height: int = 240, x: int = 160, y: int = 112,
             radius: int = 62) -> Pixels:
    """A picture of person `who`, (h, w, 3) BGR; each `take` is a little otherwise: place, size, turn and light."""
    looks, chance = np.random.default_rng(who), np.random.default_rng(1000 * who + take)
    made = _head(wall(640, 480), looks)
    placed = cv2.warpAffine(made, _turn(chance, x, y, radius), (width, height), flags=cv2.INTER_AREA,
                            borderMode=cv2.BORDER_REPLICATE)
    lit = placed * chance.uniform(0.9, 1.1) + chance.normal(0, 2, placed.shape)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _turn(chance: np.random.Generator, x: int, y: int, radius: int) -> NDArray[np.float64]:
    degrees, scale = float(chance.normal(0, 3)), radius / 120 * float(chance.uniform(0.94, 1.06))
    turn = np.asarray(cv2.getRotationMatrix2D((320, 240), degrees, scale), np.float64)
    turn[:, 2] += np.array([x - 320, y - 240]) + chance.normal(0, 1.5, 2)
    return turn


def _head(made: Pixels, looks: np.random.Generator) -> Pixels:
    """The face's middle at (320, 240), from brow to chin 240 px."""
    unit = 120
    skin = tuple(float(part) for part in np.array([150, 180, 225]) * looks.uniform(0.75, 1.05))
    hair = tuple(float(part) for part in looks.uniform(20, 120, 3))
    lips = (90.0, 90.0, float(looks.uniform(140, 210)))

    def ellipse(dx: float, dy: float, width: float, height: float, colour: tuple[float, ...], angle: float = 0) -> None:
        cv2.ellipse(made, (int(320 + dx * unit), int(240 + dy * unit)), (int(width * unit), int(height * unit)),
                    angle, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(0, 1.9, 1.6, 1.0, tuple(float(part) for part in looks.uniform(30, 200, 3)))
    ellipse(0, 0.9, 0.33, 0.6, tuple(part * 0.9 for part in skin))
    ellipse(0, looks.uniform(-0.35, -0.15), looks.uniform(0.86, 1.05), looks.uniform(1.1, 1.25), hair)
    ellipse(0, 0, looks.uniform(0.72, 0.85), 1, skin)
    apart, brow, slant = looks.uniform(0.28, 0.38), looks.uniform(0.03, 0.09), looks.uniform(-14, 14)
    for side in (-apart, apart):
        ellipse(side, -0.36, looks.uniform(0.16, 0.24), brow, hair, slant * np.sign(side))
        ellipse(side, -0.15, 0.16, looks.uniform(0.07, 0.1), (240, 240, 240))
        ellipse(side, -0.15, 0.08, 0.08, (40, 50, 60))
    ellipse(0, 0.22, looks.uniform(0.09, 0.15), looks.uniform(0.08, 0.18), tuple(part * 0.85 for part in skin))
    ellipse(0, 0.54, looks.uniform(0.2, 0.34), looks.uniform(0.05, 0.11), lips)
    if looks.random() < 0.4:
        for side in (-apart, apart):
            middle = (int(320 + side * unit), int(240 - 0.15 * unit))
            cv2.circle(made, middle, int(0.23 * unit), (30, 30, 30), 5, cv2.LINE_AA)
    if looks.random() < 0.4:
        ellipse(0, 0.8, looks.uniform(0.2, 0.45), 0.16, hair)
    for _ in range(int(looks.integers(0, 25))):  # freckles
        ellipse(looks.uniform(-0.5, 0.5), looks.uniform(0, 0.35), 0.025, 0.025, tuple(part * 0.7 for part in skin))
    return made
