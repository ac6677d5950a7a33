"""What a training needs, small and made here: a painting, and a judge whose weights are chance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from aimass_stream.frames import Pixels

from . import styles
from .picture_files import file

# of SqueezeNet 1.0, as far as it judges: name, outputs, inputs, kernel
FIRE = {3: (96, 16, 64), 4: (128, 16, 64), 5: (128, 32, 128), 7: (256, 32, 128), 8: (256, 48, 192), 9: (384, 48, 192)}
LAYERS = [("features.0", 96, 3, 7), *(layer for number, (inputs, squeezed, expanded) in FIRE.items() for layer in (
    (f"features.{number}.squeeze", squeezed, inputs, 1), (f"features.{number}.expand1x1", expanded, squeezed, 1),
    (f"features.{number}.expand3x3", expanded, squeezed, 3)))]


def judge(folder: Path, **changed: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Path:
    """Its file."""
    rng = np.random.default_rng(2)
    found: styles.Weights = {}
    for name, outputs, inputs, kernel in LAYERS:
        spread = (2 / (inputs * kernel * kernel)) ** 0.5
        found[f"{name}.weight"] = rng.normal(0, spread, (outputs, inputs, kernel, kernel)).astype(np.float32)
        found[f"{name}.bias"] = np.zeros(outputs, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "judge.safetensors"
    path.write_bytes(styles.safetensors(found | {name.replace("__", "."): values for name, values in changed.items()}))
    return path


def painted(width: int = 96, height: int = 80) -> Pixels:
    """Thick strokes of few colours."""
    rng = np.random.default_rng(4)
    picture = np.full((height, width, 3), (40, 90, 200), np.uint8)
    for _ in range(60):
        begin, step = rng.integers(0, (width, height)), rng.integers(-12, 13, 2)
        colour = [(20, 20, 30), (230, 220, 180), (40, 180, 240), (150, 60, 30)][int(rng.integers(4))]
        cv2.line(picture, (int(begin[0]), int(begin[1])), (int(begin[0] + step[0]), int(begin[1] + step[1])), colour, 5,
                 cv2.LINE_AA)
    return picture


def painting(folder: Path, name: str = "My painting.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(file(painted()))
    return path
