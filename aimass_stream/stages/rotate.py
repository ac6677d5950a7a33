"""Turn a picture."""

from __future__ import annotations

import math
from typing import Literal

import cv2
from pydantic import Field

from ..frames import Picture, Pixels
from ..stage_base import BLACK, NEUTRAL, VGA, Params, PictureStage, blank, even, planes, turn


class RotateParams(Params):
    degrees: float = Field(90, ge=-360, le=360, description="clockwise", json_schema_extra={"unit": "°", "step": 1})
    fit: Literal["fill", "keep", "grow"] = Field(
        "fill", description="for angles that are no quarter turn. fill: the same size, zoomed until no corner is "
        "empty. keep: the same size and scale, corners cut off and black. grow: large enough to show all of it")


class Rotate(PictureStage[RotateParams]):
    """Turns the picture. Quarter turns keep every pixel, and 90 and 270 degrees swap width and height."""

    Params = RotateParams
    phrases = {"(rotate|turn) [the] (picture|image|video|it) [to the right|right]": {"degrees": 90},
               "(rotate|turn) [the] (picture|image|video|it) [to the] left": {"degrees": 270},
               "(rotate|turn) [the] (picture|image|video|it) <degrees:number> degrees": {"degrees": "<degrees>"}}
    inline = VGA

    @staticmethod
    def draw(picture: Picture, params: RotateParams) -> Picture:
        degrees = params.degrees % 360
        if degrees == 0:
            return picture
        if degrees in (90, 180, 270):
            return turn(picture, int(degrees))
        width, height, zoom = _shape(picture.width, picture.height, degrees, params.fit)
        i420 = blank(width, height)
        # a corner of "fill" lies on the edge itself, where rounding by a fraction of a pixel must not blend black in
        borders = (None, None, None) if params.fit == "fill" else (BLACK, NEUTRAL, NEUTRAL)
        for source, target, border in zip(planes(picture.i420), planes(i420), borders, strict=True):
            _turn_plane(source, target, degrees, zoom, border)
        return Picture.from_i420(i420)


def _shape(width: int, height: int, degrees: float, fit: str) -> tuple[int, int, float]:
    """Width and height in px of what comes out, and the scale it is drawn at."""
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    if fit == "fill":
        return width, height, cos + max(width / height, height / width) * sin
    if fit == "grow":
        return even(width * cos + height * sin + 1), even(width * sin + height * cos + 1), 1.0
    return width, height, 1.0


def _turn_plane(source: Pixels, target: Pixels, degrees: float, zoom: float, border: int | None) -> None:
    """Turn about the middle. The middles of luma and chroma planes coincide, so all planes stay together.

    Outside is `border`, or where that is None what is next to it.
    """
    height, width = source.shape
    out_height, out_width = target.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, zoom)
    matrix[0, 2] += (out_width - width) / 2
    matrix[1, 2] += (out_height - height) / 2
    cv2.warpAffine(source, matrix, (out_width, out_height), dst=target, flags=cv2.INTER_LINEAR,
                   borderMode=cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT,
                   borderValue=(border or 0,))
