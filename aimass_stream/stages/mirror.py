"""Mirror a picture."""

from __future__ import annotations

from typing import Literal

import cv2
from pydantic import Field

from ..frames import Picture
from ..stage_base import EVERY_SIZE, Params, PictureStage, blank, planes

FLIPS = {"horizontal": 1, "vertical": 0, "both": -1}  # as OpenCV numbers them


class MirrorParams(Params):
    direction: Literal["horizontal", "vertical", "both"] = Field(
        "horizontal", description="horizontal: left and right change places, as in a mirror on the wall")


class Mirror(PictureStage[MirrorParams]):
    """Swaps left and right, or top and bottom. Every pixel is kept as it is."""

    Params = MirrorParams
    phrases = {"(mirror|flip) [the] (picture|image|video|camera|me|it)": {"direction": "horizontal"},
               "[turn] [the] (picture|image|video|me|it) upside down": {"direction": "vertical"}}
    inline = EVERY_SIZE

    @staticmethod
    def draw(picture: Picture, params: MirrorParams) -> Picture:
        i420 = blank(picture.width, picture.height)
        for source, target in zip(planes(picture.i420), planes(i420), strict=True):
            cv2.flip(source, FLIPS[params.direction], dst=target)
        return Picture.from_i420(i420)
