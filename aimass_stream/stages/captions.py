"""Write what is said into the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field

from ..fonts import Font, choose, load
from ..frames import Picture, Pixels, TextFrame, VideoFrame, now
from ..speech.captions import Shown, board
from ..speech.transcript import UNSPACED
from ..speech.words import Word
from ..stage import Context, Result
from ..stage_base import BLACK, HD, NEUTRAL, BaseStage, Params, even, planes, upright

SURE, DOUBTFUL = 235, 150  # luma of letters
LEADING = 1.35  # of the letters' size, from line to line
MARGIN = 0.03  # of the picture's height, around the lines and their box
ACROSS = 0.9  # of the picture's width that lines may take
SMALLEST = 8.0  # px


class CaptionsParams(Params):
    position: Literal["bottom", "top"] = Field("bottom", description="where in the picture")
    size: float = Field(5, ge=2, le=20, description="height of the letters",
                        json_schema_extra={"unit": "% of height", "step": 0.5})
    lines: int = Field(2, ge=1, le=6, description="that show at once",
                       json_schema_extra={"unit": "lines", "step": 1})
    hold: float = Field(3, ge=0.5, le=30, description="how long the last words stay",
                        json_schema_extra={"unit": "s", "step": 0.5})
    doubt: float = Field(0.5, ge=0, le=1, description="words that the recogniser is less sure of are grey",
                         json_schema_extra={"unit": "confidence", "step": 0.05})
    background: float = Field(0.6, ge=0, le=1, description="how dark the box behind the letters is; 0: no box",
                              json_schema_extra={"unit": "share", "step": 0.05})


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Letters of one state of the board, for pictures of one size."""

    of: tuple[int, int, int, CaptionsParams]  # version, width and height in px, look
    cover: Pixels  # (h, w): how much of each pixel is covered by letters, 0 to 255; sides are even
    luma: Pixels  # (h, w): how bright these letters are


class Captions(BaseStage[CaptionsParams]):
    """Burns in the words of `asr` or `assistant`, one of which has to be in the pipeline, too, or text that comes in;
    where there is neither, nothing is written. The last words stand at the bottom, unsure ones grey."""

    accepts = frozenset({"video", "text"})
    Params = CaptionsParams

    def __init__(self, params: CaptionsParams) -> None:
        super().__init__(params)
        self._drawn: _Drawn | None = None

    async def start(self, context: Context) -> None:
        await super().start(context)
        self._board = board(context.session)

    async def process(self, frame: VideoFrame | TextFrame) -> Result:
        if isinstance(frame, TextFrame):
            self._read(frame)
            return frame
        shown = self._board.shown()
        if shown is None or not shown.words or now() - shown.since > self.params.hold:
            return frame
        picture = upright(frame)
        wanted = (shown.version, picture.width, picture.height, self.params)
        if self._drawn is None or self._drawn.of != wanted:
            self._drawn = await self.context.run(_draw, shown, wanted)
        if picture.width * picture.height <= HD:
            written = _blend(picture, self._drawn)
        else:
            written = await self.context.run(_blend, picture, self._drawn)
        return frame.replace(picture=written, rotation=0)

    def _read(self, frame: TextFrame) -> None:
        """Text of a track whose sound nobody transcribes: what a client typed, or another stage wrote."""
        if self._board.hears(frame.track):
            return
        words = tuple(Word(word, frame.seconds, frame.seconds) for word in frame.text.split())
        if frame.final:
            self._board.commit(frame.track, words)
        else:
            self._board.suggest(frame.track, words)


def _draw(shown: Shown, wanted: tuple[int, int, int, CaptionsParams]) -> _Drawn:
    """Pillow's letters. Takes some milliseconds."""
    _, width, height, params = wanted
    size = max(SMALLEST, params.size / 100 * height)
    name = f"{shown.speaker}: " if shown.speaker else ""
    face = load(choose(name + "".join(word.text for word in shown.words)), size)
    lines = wrapped(shown.words, face, width * ACROSS, "" if shown.language in UNSPACED else " ", name)[-params.lines :]
    margin = even(max(2, height * MARGIN))
    across = max(_across(line, face) for line in lines)
    high = even(len(lines) * size * LEADING + margin)
    canvas = (min(even(width), even(across + 2 * margin + 1)), min(even(height), high))
    cover, luma = Image.new("L", canvas), Image.new("L", canvas, SURE)
    ink, tint = ImageDraw.Draw(cover), ImageDraw.Draw(luma)
    for number, line in enumerate(lines):
        x, y = (canvas[0] - _across(line, face)) / 2, margin / 2 + number * size * LEADING
        for text, confidence in line:
            end = x + face.getlength(text)
            ink.text((x, y), text, 255, face)
            if confidence is not None and confidence < params.doubt:
                tint.rectangle((x, y - size, end, y + 2 * size), DOUBTFUL)
            x = end
    return _Drawn(wanted, np.asarray(cover, np.uint8), np.asarray(luma, np.uint8))


Line = list[tuple[str, float | None]]  # pieces of text with their confidence


def wrapped(words: Sequence[Word], face: Font, room: float, between: str, name: str = "") -> list[Line]:
    """Words in lines of at most `room` px; one that is longer alone is cut off by the picture."""
    lines: list[Line] = [[(name, None)]] if name else [[]]
    used = face.getlength(name)
    for word in words:
        text = between + word.text if lines[-1] and lines[-1] != [(name, None)] else word.text
        width = face.getlength(text)
        if lines[-1] and used + width > room:
            lines.append([])
            text, used = word.text, 0.0
            width = face.getlength(text)
        lines[-1].append((text, word.confidence))
        used += width
    return lines


def _across(line: Line, face: Font) -> float:
    return sum(face.getlength(text) for text, _ in line)


def _blend(picture: Picture, drawn: _Drawn) -> Picture:
    """Darken the box, then lay the letters on. They are grey, so colour only fades."""
    params = drawn.of[3]
    high, wide = drawn.cover.shape
    margin = even(max(2, picture.height * MARGIN))
    room = max(0, picture.height - high)
    top = min(margin, room) if params.position == "top" else max(0, room - margin)
    top, left = even(top), even(max(0, picture.width - wide) / 2)
    i420 = picture.i420.copy()
    small = np.asarray(cv2.resize(drawn.cover, (wide // 2, high // 2), interpolation=cv2.INTER_AREA), np.uint8)
    for index, plane in enumerate(planes(i420)):
        scale, cover = (1, drawn.cover) if index == 0 else (2, small)
        box = plane[top // scale : (top + high) // scale, left // scale : (left + wide) // scale]
        value: Pixels | int = drawn.luma if index == 0 else NEUTRAL
        behind = box.astype(np.float32)
        behind += ((BLACK if index == 0 else NEUTRAL) - behind) * params.background
        box[:] = np.rint(behind + (value - behind) * (cover * np.float32(1 / 255)))
    return Picture.from_i420(i420)
