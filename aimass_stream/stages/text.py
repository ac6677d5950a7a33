"""Write into a picture."""

from __future__ import annotations

import re
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field, field_validator

from ..fonts import choose, load
from ..frames import Picture, Pixels, VideoFrame, now
from ..stage import Result
from ..stage_base import BLACK, HD, NEUTRAL, VIDEO, BaseStage, Params, even, planes, upright

NAMES = ("time", "date", "pts", "frame", "fps", "latency_ms", "width", "height", "track")
NAME = re.compile(r"\{(\w+)\}")
SMALLEST = 6  # px: text that does not fit across is set smaller, down to this, then it is cut off
INLINE_SIZE = 8  # % of the picture's height: larger letters are drawn in a thread
LEADING = 0.45  # of the size, between the capitals of one line and the next
MARGIN = 0.02  # of the picture's height, around the text and its box
TOP, MIDDLE, BOTTOM, LEFT, CENTRE, RIGHT = 0.0, 0.5, 1.0, 0.0, 0.5, 1.0
PLACES = {
    "top-left": (TOP, LEFT), "top": (TOP, CENTRE), "top-right": (TOP, RIGHT),
    "left": (MIDDLE, LEFT), "centre": (MIDDLE, CENTRE), "right": (MIDDLE, RIGHT),
    "bottom-left": (BOTTOM, LEFT), "bottom": (BOTTOM, CENTRE), "bottom-right": (BOTTOM, RIGHT),
}


class TextParams(Params):
    text: str = Field("{time}", max_length=500, description="any script; live values in braces: "
                      + " ".join(f"{{{name}}}" for name in NAMES))
    position: Literal["top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom",
                      "bottom-right"] = Field("top-left", description="where in the picture")
    size: float = Field(6, ge=1, le=50, description="height of a line",
                        json_schema_extra={"unit": "% of height", "step": 0.5})
    colour: str = Field("#ffffff", pattern="^#[0-9a-fA-F]{6}$", description="of the letters, #rrggbb",
                        json_schema_extra={"format": "color"})
    background: float = Field(0.5, ge=0, le=1, description="how dark the box behind the letters is; 0: no box",
                              json_schema_extra={"unit": "share", "step": 0.05})

    @field_validator("text")
    @classmethod
    def _known(cls, value: str) -> str:
        unknown = [name for name in NAME.findall(value) if name not in NAMES]
        if unknown:
            raise ValueError(f"there is no live value {{{unknown[0]}}}; there are: {', '.join(NAMES)}")
        return value


class Text(BaseStage[TextParams]):
    """Writes text over the picture, with live values such as {time}, {fps}, {latency_ms}, {frame} and {width}."""

    accepts = VIDEO
    Params = TextParams

    def __init__(self, params: TextParams) -> None:
        super().__init__(params)
        self._writer: _Writer | None = None
        self._count = 0
        self._times: deque[float] = deque(maxlen=61)  # s

    async def process(self, frame: VideoFrame) -> Result:
        self._count += 1
        self._times.append(now())
        writer = self._writer
        if writer is None:
            params = self.params
            # in a thread, because it looks at files; without the live values, which are ASCII and a track's name
            writer = _Writer(params, await self.context.run(choose, NAME.sub("", params.text) + frame.track))
            if params is self.params:
                self._writer = writer
        picture, words = upright(frame), fill(writer.params.text, frame, self._count, self._times)
        if frame.width * frame.height <= HD and writer.params.size <= INLINE_SIZE:
            written = writer.write(picture, words)
        else:
            written = await self.context.run(writer.write, picture, words)
        return frame.replace(picture=written, rotation=0)

    def update(self, params: TextParams) -> None:
        super().update(params)
        self._writer = None


def fill(text: str, frame: VideoFrame, count: int, times: Sequence[float]) -> str:
    """`text` with its live values for this frame, the `count`-th; `times` (s) are when the last ones came."""
    span = times[-1] - times[0]
    width, height = (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)
    values: dict[str, Callable[[], object]] = {
        "time": lambda: time.strftime("%H:%M:%S"),
        "date": lambda: time.strftime("%Y-%m-%d"),
        "pts": lambda: f"{frame.seconds:.3f}",
        "frame": lambda: count,
        "fps": lambda: f"{(len(times) - 1) / span:.1f}" if span > 0 else "-",
        "latency_ms": lambda: f"{(now() - frame.arrived) * 1000:.1f}",
        "width": lambda: width,
        "height": lambda: height,
        "track": lambda: frame.track,
    }
    return clean(NAME.sub(lambda match: str(values[match[1]]()), text))


def clean(words: str) -> str:
    """Every kind of line break as a newline, and nothing else that is a command or no character."""
    lines = words.splitlines()
    return "\n".join("".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs")) for line in lines)


class _Writer:
    """Letters of one look. One frame at a time; it remembers what it drew last."""

    def __init__(self, params: TextParams, font: str) -> None:
        self.params = params
        self.font = font
        self._fit = (0, 0, 0.0)  # width and height in px of the pictures this size of letters in px is for
        self._drawn: tuple[str, tuple[int, int, float], Pixels] | None = None  # words, their fit, what they look like

    def write(self, picture: Picture, words: str) -> Picture:
        letters = self._letters(words, picture.width, picture.height)
        return _blend(picture, letters, self.params) if letters.size else picture

    def _letters(self, words: str, width: int, height: int) -> Pixels:
        """How much of each pixel is covered by letters, 0 to 255, at most (height, width)."""
        if self._fit[:2] != (width, height):
            self._fit = (width, height, max(SMALLEST, self.params.size / 100 * height))
        if self._drawn is not None and self._drawn[:2] == (words, self._fit):
            return self._drawn[2]
        room, across = width - 4 * _margin(height), _across(words, self.font, self._fit[2])
        if across > max(room, 0):
            # stays smaller while pictures keep their size: letters that jump with each number can't be read
            self._fit = (width, height, max(SMALLEST, self._fit[2] * room / across))
        letters = _render(words, self.font, self._fit, PLACES[self.params.position][1])
        self._drawn = (words, self._fit, letters)
        return letters


def _margin(height: int) -> int:
    """px."""
    return max(2, even(height * MARGIN))


def _across(words: str, font: str, size: float) -> float:
    """Width of the longest line, px."""
    face = load(font, size)
    return max(face.getlength(line) for line in words.split("\n"))


def _render(words: str, font: str, fit: tuple[int, int, float], across: float) -> Pixels:
    """Letters 0 to 255 in an array with even sides, cut to the picture."""
    width, height, size = fit
    face = load(font, size)
    align = "left" if across == LEFT else "right" if across == RIGHT else "center"
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    spacing = size * LEADING
    left, _, right, bottom = ruler.multiline_textbbox((0, 0), words, face, align=align, spacing=spacing)
    # a line has the font's height whatever letters it has, so that a changing number does not make the box jump
    bottom = max(bottom, sum(face.getmetrics()) if isinstance(face, ImageFont.FreeTypeFont) else bottom)
    margin = _margin(height)
    canvas = (min(width, even(right - left + 2 * margin + 1)), min(height, even(bottom + margin + 1)))
    image = Image.new("L", canvas)
    ImageDraw.Draw(image).multiline_text((margin - left, margin / 2), words, 255, face, align=align, spacing=spacing)
    return np.asarray(image, np.uint8)


def _blend(picture: Picture, letters: Pixels, params: TextParams) -> Picture:
    """Darken the box, then lay the colour on as far as letters cover each pixel."""
    high, wide = letters.shape
    down, across = PLACES[params.position]
    margin = _margin(picture.height)
    top = even(min(max((picture.height - high) * down, margin), picture.height - high - margin))
    left = even(min(max((picture.width - wide) * across, margin), picture.width - wide - margin))
    top, left = max(0, top), max(0, left)
    i420 = picture.i420.copy()
    small = cv2.resize(letters, (wide // 2, high // 2), interpolation=cv2.INTER_AREA)
    for index, (plane, value) in enumerate(zip(planes(i420), _yuv(params.colour), strict=True)):
        scale, cover = (1, letters) if index == 0 else (2, np.asarray(small, np.uint8))
        box = plane[top // scale : (top + high) // scale, left // scale : (left + wide) // scale]
        behind = box.astype(np.float32)
        behind += ((BLACK if index == 0 else NEUTRAL) - behind) * params.background
        box[:] = np.rint(behind + (value - behind) * (cover * np.float32(1 / 255)))
    return Picture.from_i420(i420)


def _yuv(colour: str) -> tuple[float, float, float]:
    """#rrggbb in BT.601, limited range."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (16 + 219 * luma, 128 + 224 * (blue - luma) / 1.772, 128 + 224 * (red - luma) / 1.402)
