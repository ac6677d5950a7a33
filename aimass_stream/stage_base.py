"""What the stages here share: checked parameters, holding them, and work on the planes of a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from .frames import Kind, Picture, Pixels, VideoFrame
from .stage import Context, Result, Rung

# OpenCV would spread every call over all cores. Calls here take a millisecond or less, where waking its pool
# costs more than it gains, and sessions already run side by side: one session must not take its neighbour's core.
cv2.setNumThreads(1)

VIDEO: frozenset[Kind] = frozenset({"video"})
AUDIO: frozenset[Kind] = frozenset({"audio"})

BLACK, WHITE, NEUTRAL = 16, 235, 128  # luma of black and white, chroma of grey, in the limited range (BT.601)

EVERY_SIZE = 1 << 62  # px, for `PictureStage.inline`: no picture is too large for the loop
VGA, HD = 640 * 480, 1280 * 720  # px


class Params(BaseModel):
    """Base of parameters: unknown names are refused, and so are infinities, which JSON can't carry back."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoParams(Params):
    """For stages that have none."""


P = TypeVar("P", bound=BaseModel)


class BaseStage(ABC, Generic[P]):
    """Holds parameters and context, and does what most stages do at their start, change and end."""

    accepts: ClassVar[frozenset[Kind]]
    Params: ClassVar[type[BaseModel]] = NoParams
    # what people say to have it (`speech.grammar`), each with the parameters that it sets; a step, text with a sign,
    # is added to the present value
    phrases: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    ladder: ClassVar[Sequence[Rung]] = ()  # the ways it can work, from all of it on down; none: only one
    load: ClassVar[float] = 0.0  # cores that 640x480 pictures take, 30 a second; 0: not known before it has run here

    context: Context

    def __init__(self, params: P) -> None:
        self.params = params

    async def start(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    async def process(self, frame: Any) -> Result: ...

    def update(self, params: P) -> None:
        self.params = params

    async def close(self) -> None:
        """Nothing is held."""

    def reach(self) -> range:
        """The rungs that are of use with the present parameters and pictures."""
        return range(len(self.ladder))

    @property
    def rung(self) -> int:
        """The rung to work at. To be asked for once a frame: it may change between two."""
        reach = self.reach()
        return max(reach.start, min(self.context.rung, reach.stop - 1))


class PictureStage(BaseStage[P]):
    """A stage that makes one picture of one picture.

    `draw` is pure: it may run in a thread while parameters change. `inline` is the largest picture in pixels
    it does in under 2 ms (benchmarks/stages.py measures that); larger ones go to a thread.
    """

    accepts: ClassVar[frozenset[Kind]] = VIDEO
    inline: ClassVar[int] = 0

    @staticmethod
    @abstractmethod
    def draw(picture: Picture, params: Any) -> Picture: ...

    async def process(self, frame: VideoFrame) -> Result:
        if frame.width * frame.height <= self.inline:
            picture = self._drawn(frame)
        else:
            picture = await self.context.run(self._drawn, frame)
        return frame.replace(picture=picture, rotation=0)

    def _drawn(self, frame: VideoFrame) -> Picture:
        return self.draw(upright(frame), self.params)


def planes(i420: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Y (h, w), U and V (h/2, w/2) of I420 (h*3/2, w): views, where it is contiguous."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    flat = i420.reshape(-1)
    size = height * width
    half = (height // 2, width // 2)
    return (flat[:size].reshape(height, width), flat[size : size + size // 4].reshape(half),
            flat[size + size // 4 :].reshape(half))


def blank(width: int, height: int) -> Pixels:
    """Room for I420 of this size, (h*3/2, w), not filled."""
    return np.empty((height * 3 // 2, width), np.uint8)


def black(width: int, height: int) -> Picture:
    """A black picture."""
    i420 = blank(width, height)
    i420[:height] = BLACK
    i420[height:] = NEUTRAL
    return Picture.from_i420(i420)


TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def turn(picture: Picture, degrees: int) -> Picture:
    """Turned clockwise by 90, 180 or 270 degrees; every pixel is kept as it is."""
    width, height = picture.width, picture.height
    i420 = blank(width, height) if degrees == 180 else blank(height, width)
    for source, target in zip(planes(picture.i420), planes(i420), strict=True):
        cv2.rotate(source, TURNS[degrees], dst=target)
    return Picture.from_i420(i420)


def upright(frame: VideoFrame) -> Picture:
    """The picture as its sender wants it seen."""
    return turn(frame.picture, frame.rotation) if frame.rotation else frame.picture


def resized(picture: Picture, width: int, height: int) -> Picture:
    """In another size, px, both even."""
    i420 = blank(width, height)
    how = cv2.INTER_AREA if width < picture.width else cv2.INTER_LINEAR
    for source, target in zip(planes(picture.i420), planes(i420), strict=True):
        cv2.resize(source, target.shape[::-1], dst=target, interpolation=how)
    return Picture.from_i420(i420)


def even(value: float) -> int:
    """The next even number at or below `value`, which 4:2:0 needs."""
    return int(value) & ~1
