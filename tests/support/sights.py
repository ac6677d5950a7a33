"""Things to see, drawn: faces that real detectors take for faces, and codes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import qrcode

from aimass_stream.frames import Pixels

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared(*parts: str) -> Path:
    """A file of the data beside the project; skips the test where it is not."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(('../shared/data', *parts))} is not here")
    return path


def photograph(*parts: str) -> Pixels:
    """(h, w, 3) BGR."""
    picture = cv2.imread(str(shared("images", *parts)))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def wall(width: int = 640, height: int = 480) -> Pixels:
    """A wall in soft light, (h, w, 3) BGR."""
    light = np.linspace(0.7, 1, height)[:, None, None]
    return np.asarray(np.full((height, width, 3), (150, 120, 100)) * light, np.uint8)


def person(picture: Pixels, x: int, y: int, radius: int) -> Pixels:
    """The picture with head and shoulders in it; the face's middle is at (x, y), from brow to chin two radii."""
    made = picture.copy()

    def ellipse(dx: float, dy: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        middle = (x + round(dx * radius), y + round(dy * radius))
        axes = (max(1, round(width * radius)), max(1, round(height * radius)))
        cv2.ellipse(made, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(0, 1.9, 1.6, 1.0, (90, 60, 40))  # shoulders
    ellipse(0, 0.9, 0.33, 0.6, (130, 160, 205))  # neck
    ellipse(0, -0.25, 0.92, 1.15, (30, 40, 60))  # hair
    ellipse(0, 0, 0.78, 1, (150, 180, 225))
    for side in (-0.32, 0.32):
        ellipse(side, -0.32, 0.2, 0.05, (40, 50, 70))
        ellipse(side, -0.15, 0.16, 0.09, (240, 240, 240))
        ellipse(side, -0.15, 0.08, 0.08, (40, 50, 60))
    ellipse(0, 0.25, 0.12, 0.08, (110, 140, 190))
    ellipse(0, 0.52, 0.26, 0.09, (80, 80, 170))
    return np.asarray(cv2.GaussianBlur(made, (0, 0), 1.2), np.uint8)


def code(text: str, module: int = 4) -> Pixels:
    """A QR code with its quiet zone, (h, w, 3)."""
    made = qrcode.QRCode(box_size=module)
    made.add_data(text)
    made.make()
    grey = np.kron(~np.array(made.get_matrix()), np.ones((module, module), bool)).astype(np.uint8) * 255
    return np.repeat(grey[..., None], 3, axis=2)


def pasted(picture: Pixels, part: Pixels, left: int, top: int) -> Pixels:
    made = picture.copy()
    made[top : top + part.shape[0], left : left + part.shape[1]] = part
    return made


SKIN, LINE = (150, 180, 225), (120, 150, 200)
# of index to little finger, in radii of the palm: where it begins, where it ends, its length
FINGERS = ((-0.6, -0.95, 1.35), (-0.2, -0.28, 1.6), (0.2, 0.28, 1.5), (0.58, 0.85, 1.15))


def hand(picture: Pixels, x: int, y: int, radius: int, fingers: str = "1111", *, thumb: bool = True) -> Pixels:
    """The picture with a hand in it, its thumb at the left; `fingers` says which are straight, the index first."""
    made = picture.copy()

    def line(start: tuple[float, float], end: tuple[float, float], width: float, colour: tuple[int, int, int]) -> None:
        places = [(int(x + dx * radius), int(y + dy * radius)) for dx, dy in (start, end)]
        cv2.line(made, places[0], places[1], colour, max(1, int(width * radius)), cv2.LINE_AA)

    line((0, 0.9), (0, 2.2), 1.0, SKIN)
    palm = (int(0.8 * radius), int(0.95 * radius))
    cv2.ellipse(made, (x, int(y + 0.1 * radius)), palm, 0, 0, 360, SKIN, -1, cv2.LINE_AA)
    for straight, (base, tip, length) in zip(fingers, FINGERS, strict=True):
        if straight == "0":
            for width, colour in ((0.42, LINE), (0.36, SKIN)):
                line((base, -0.6), (base * 0.9, -0.15), width, colour)
            continue
        for width, colour in ((0.4, LINE), (0.34, SKIN)):
            line((base, -0.5), (tip, -0.5 - length), width, colour)
        for share in (0.4, 0.72):  # creases of the joints
            middle = base + (tip - base) * share
            line((middle - 0.12, -0.5 - length * share), (middle + 0.12, -0.5 - length * share), 0.03, LINE)
    for width, colour in ((0.42, LINE), (0.36, SKIN)):
        line((-0.6, 0.5), (-1.35, -0.25) if thumb else (0.1, 0.15), width, colour)
    for start, end in (((-0.5, 0.1), (0.3, -0.05)), ((-0.45, 0.35), (-0.1, 0.8)), ((-0.5, -0.1), (0.5, -0.25))):
        line(start, end, 0.03, LINE)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), 1.2), np.uint8)
