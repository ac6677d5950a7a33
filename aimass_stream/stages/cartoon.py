"""Redraw a picture as a cartoon."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from pydantic import Field

from ..frames import Picture, Pixels
from ..stage import Rung
from ..stage_base import BLACK, NEUTRAL, WHITE, Params, PictureStage, blank, planes

LINE_WINDOW = 9  # px: a line is darker than the mean around it
SMOOTHING = (5, 30, 5)  # bilateral filter: px across, gray levels and px of its two Gaussians


class CartoonParams(Params):
    shades: int = Field(8, ge=2, le=64, description="steps of brightness", json_schema_extra={"unit": "shades"})
    lines: int = Field(7, ge=0, le=20, description="how readily lines are drawn; 0: none",
                       json_schema_extra={"unit": "of 20"})
    colour: float = Field(1.4, ge=0, le=3, description="saturation; 1 leaves it as it is",
                          json_schema_extra={"unit": "times", "step": 0.1})


class Cartoon(PictureStage[CartoonParams]):
    """Flat areas of strong colour with dark lines."""

    Params = CartoonParams
    ladder = (Rung("whole"), Rung("half size", "drawn at half the size", 0.5, scale=0.5))
    load = 0.07
    phrases = {"(make|turn) (it|me|the picture|the video) [into] a cartoon": {}, "[a] comic": {}}

    @staticmethod
    def draw(picture: Picture, params: CartoonParams) -> Picture:
        width, height = picture.width, picture.height
        luma, *chroma = planes(picture.i420)
        # at half size luma has the size of the chroma planes: all three are smoothed as one picture, in a quarter
        # of the time, and what is lost is fine texture, which is the point
        half = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        smooth = cv2.bilateralFilter(cv2.merge([half, *chroma]), *SMOOTHING)
        tables = _tables(params.shades, params.colour)
        flat = cv2.LUT(smooth, tables)
        i420 = blank(width, height)
        shaded, *coloured = planes(i420)
        cv2.resize(cv2.extractChannel(flat, 0), (width, height), dst=shaded, interpolation=cv2.INTER_LINEAR)
        for channel, plane in enumerate(coloured, start=1):
            cv2.extractChannel(flat, channel, dst=plane)
        if params.lines:
            cv2.min(shaded, _lines(luma, params.lines), dst=shaded)
        return Picture.from_i420(i420)


@functools.lru_cache(maxsize=64)
def _tables(shades: int, colour: float) -> Pixels:
    """(1, 256, 3): steps of brightness for Y, saturation for U and V."""
    level = np.arange(256)
    place = np.clip((level - BLACK) / (WHITE - BLACK), 0, 1)
    step = np.minimum(np.floor(place * shades), shades - 1) / (shades - 1)
    luma = BLACK + step * (WHITE - BLACK)
    chroma = NEUTRAL + (level - NEUTRAL) * colour
    return np.clip(np.rint(np.stack([luma, chroma, chroma], axis=-1)), 0, 255).astype(np.uint8)[None]


def _lines(luma: Pixels, readiness: int) -> Pixels:
    """Black where a line is, white elsewhere, (h, w)."""
    quiet = cv2.medianBlur(luma, 5)  # else grain becomes dots
    lines = cv2.adaptiveThreshold(quiet, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, LINE_WINDOW,
                                  22 - readiness)
    return np.maximum(np.asarray(lines, np.uint8), BLACK)
