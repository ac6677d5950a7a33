"""Draw only the edges."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from ..frames import Picture
from ..stage_base import BLACK, NEUTRAL, VGA, WHITE, Params, PictureStage, blank

HYSTERESIS = 0.4  # of the threshold: a weaker edge counts where it continues a strong one


class EdgesParams(Params):
    threshold: int = Field(100, ge=1, le=1000, description="how strong an edge must be",
                           json_schema_extra={"unit": "gray levels", "step": 1})
    on: Literal["black", "white", "picture"] = Field(
        "black", description="white lines on black, black lines on white, or white lines on the picture")


class Edges(PictureStage[EdgesParams]):
    """Finds edges in the brightness (Canny's way) and draws them as lines of one pixel."""

    Params = EdgesParams
    phrases = {"(find|draw|show) [me] [the] (edges|outlines|lines)": {}, "outlines": {}}
    inline = VGA

    @staticmethod
    def draw(picture: Picture, params: EdgesParams) -> Picture:
        height = picture.height
        luma = cv2.GaussianBlur(picture.i420[:height], (5, 5), 0)  # else a camera's noise is full of edges
        lines = cv2.Canny(luma, params.threshold * HYSTERESIS, params.threshold)  # 0 or 255
        if params.on == "picture":
            i420 = picture.i420.copy()
            i420[:height][lines > 0] = WHITE
            return Picture.from_i420(i420)
        table = np.full(256, BLACK if params.on == "black" else WHITE, np.uint8)
        table[255] = WHITE if params.on == "black" else BLACK
        i420 = blank(picture.width, height)
        cv2.LUT(lines, table, dst=i420[:height])
        i420[height:] = NEUTRAL
        return Picture.from_i420(i420)
