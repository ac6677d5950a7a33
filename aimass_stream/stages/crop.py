"""Cut a part out of a picture."""

from __future__ import annotations

from pydantic import Field, JsonValue

from ..frames import Picture
from ..stage_base import EVERY_SIZE, Params, PictureStage, blank, even, planes

SMALLEST = 16  # px that are left each way, where the picture has that many: what every encoder takes
_ACROSS: dict[str, JsonValue] = {"unit": "of width", "step": 0.01}
_DOWN: dict[str, JsonValue] = {"unit": "of height", "step": 0.01}
_PIXELS: dict[str, JsonValue] = {"unit": "px", "step": 2}


class CropParams(Params):
    x: float = Field(0, ge=0, le=1, description="left edge", json_schema_extra=_ACROSS)
    y: float = Field(0, ge=0, le=1, description="top edge", json_schema_extra=_DOWN)
    width: float = Field(1, ge=0, le=1, description="at most what is right of x", json_schema_extra=_ACROSS)
    height: float = Field(1, ge=0, le=1, description="at most what is below y", json_schema_extra=_DOWN)
    x_px: int = Field(0, ge=0, le=4096, description="takes the place of x unless 0", json_schema_extra=_PIXELS)
    y_px: int = Field(0, ge=0, le=4096, description="takes the place of y unless 0", json_schema_extra=_PIXELS)
    width_px: int = Field(0, ge=0, le=4096, description="takes the place of width unless 0", json_schema_extra=_PIXELS)
    height_px: int = Field(0, ge=0, le=4096, description="takes the place of height unless 0",
                           json_schema_extra=_PIXELS)


class Crop(PictureStage[CropParams]):
    """Keeps one rectangle of the picture, given in shares of the picture or in pixels.

    Edges move to even pixels, which 4:2:0 needs. A rectangle that reaches over the edge is moved and cut to
    fit, and at least 16 px are kept each way, so every picture size gives a picture.
    """

    Params = CropParams
    inline = EVERY_SIZE

    @staticmethod
    def draw(picture: Picture, params: CropParams) -> Picture:
        left, width = _span(picture.width, params.x_px or params.x * picture.width,
                            params.width_px or params.width * picture.width)
        top, height = _span(picture.height, params.y_px or params.y * picture.height,
                            params.height_px or params.height * picture.height)
        if (width, height) == (picture.width, picture.height):
            return picture
        i420 = blank(width, height)
        for index, (source, target) in enumerate(zip(planes(picture.i420), planes(i420), strict=True)):
            scale = 1 if index == 0 else 2
            target[:] = source[top // scale : (top + height) // scale, left // scale : (left + width) // scale]
        return Picture.from_i420(i420)


def _span(available: int, start: float, length: float) -> tuple[int, int]:
    """Even start and even length in px inside `available`."""
    smallest = min(SMALLEST, available)
    first = min(even(start + 0.5), available - smallest)
    # a share such as 0.2 is not exact in binary: 0.2 * 640 must not fall short of 128 by rounding
    return first, max(smallest, min(even(length + 0.5), available - first))
