"""A picture in the size of a network's input, and the way back for what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from ..frames import Pixels
from .boxes import Floats

Fit: TypeAlias = Literal["stretch", "centre", "corner"]  # corner: the picture at the top left, all the rest is filling
Resize: TypeAlias = Literal["auto", "area", "linear"]  # by which a network was trained

SHRINK = 1.5  # auto: from here on, pixels are averaged, since taking single ones would lose thin things


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where in the input the picture lies: input = picture * scale + offset, for x and y."""

    scale: tuple[float, float]
    offset: tuple[float, float]  # px of the input

    def back(self, points: Floats) -> Floats:
        """Points (..., 2) or boxes (..., 4) of the input, as ones of the picture."""
        repeats = points.shape[-1] // 2
        offset, scale = np.tile(self.offset, repeats), np.tile(self.scale, repeats)
        return np.asarray((points - offset) / scale, np.float32)


def letterbox(picture: Pixels, width: int, height: int, fit: Fit = "centre", fill: int = 0,
              resize: Resize = "auto") -> tuple[Pixels, Letterbox]:
    """The picture (h, w, ...) in that size: stretched, or whole with `fill` around it."""
    tall, wide = picture.shape[:2]
    if fit == "stretch":
        return _resized(picture, width, height, resize), Letterbox((width / wide, height / tall), (0.0, 0.0))
    scale = min(width / wide, height / tall)
    inner_width = min(width, max(1, round(wide * scale)))
    inner_height = min(height, max(1, round(tall * scale)))
    left, top = ((width - inner_width) // 2, (height - inner_height) // 2) if fit == "centre" else (0, 0)
    inner = _resized(picture, inner_width, inner_height, resize)
    made = np.asarray(cv2.copyMakeBorder(inner, top, height - inner_height - top, left, width - inner_width - left,
                                         cv2.BORDER_CONSTANT, value=(fill, fill, fill)), np.uint8)
    return made, Letterbox((inner_width / wide, inner_height / tall), (float(left), float(top)))


def _resized(picture: Pixels, width: int, height: int, resize: Resize) -> Pixels:
    shrink = max(picture.shape[1] / width, picture.shape[0] / height)
    area = resize == "area" or (resize == "auto" and shrink >= SHRINK)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR),
                      np.uint8)
