"""Blur a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from pydantic import Field

from ..frames import Picture
from ..stage_base import VGA, Params, PictureStage, blank, planes

PASSES = 3  # of a box filter: within 3 % of a Gaussian, at a cost that does not grow with its size


class BlurParams(Params):
    sigma: float = Field(8, ge=0, le=200, description="standard deviation; 0 leaves the picture as it is",
                         json_schema_extra={"unit": "px", "step": 0.5})


class Blur(PictureStage[BlurParams]):
    """A soft blur, as large as you like at the same cost."""

    Params = BlurParams
    phrases = {"blur [the] (picture|image|video|camera|it|me|everything)": {}, "make (it|the picture) blurry": {},
               "[blur] [it] (more|stronger) blur": {"sigma": "+8"}, "blur it more": {"sigma": "+8"},
               "less blur": {"sigma": "-4"}}
    inline = VGA

    @staticmethod
    def draw(picture: Picture, params: BlurParams) -> Picture:
        if params.sigma == 0:
            return picture
        i420 = blank(picture.width, picture.height)
        for index, (source, target) in enumerate(zip(planes(picture.i420), planes(i420), strict=True)):
            size = _box(params.sigma if index == 0 else params.sigma / 2)
            for _ in range(PASSES):
                source = np.asarray(cv2.blur(source, (size, size)), np.uint8)
            target[:] = source
        return Picture.from_i420(i420)


def _box(sigma: float) -> int:
    """The odd width of the box whose `PASSES` passes have this standard deviation (each has (n² - 1) / 12)."""
    return max(1, round((math.sqrt(12 * sigma * sigma / PASSES + 1) - 1) / 2) * 2 + 1)
