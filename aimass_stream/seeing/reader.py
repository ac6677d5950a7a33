"""Writing in pictures: lines are found by one network and read, a strip each, by another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..frames import Pixels
from ..inference import Batch, Engine
from ..vision.boxes import Floats
from ..vision.letterbox import Letterbox, letterbox
from ..vision.text import lines, stacked, strip

FINDER, READER = "rapidocr-lines", "rapidocr-words"
CELL = 32  # px: the network halves its maps five times
SMALL = 736  # px: pictures whose longer side is smaller are enlarged to it,
ENLARGED = 4  # times at most
INSIDE = 0.5  # least mean chance inside a line
TOGETHER = 6  # strips read in one run
SMALLEST = 4.0  # px of the picture: the height of what could be read

Ask: TypeAlias = Callable[[str, Batch], Awaitable[Batch]]  # a model by its name
Run: TypeAlias = Callable[..., Awaitable[Any]]  # a function with its arguments, in a thread


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    score: float  # 0 to 1
    polygon: Floats  # (4, 2), px: from the top left on clockwise, as the line is read

    def json(self) -> dict[str, Any]:
        return {"text": self.text, "score": round(self.score, 3), "polygon": told(self.polygon)}


def told(polygon: Floats) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in polygon]


async def load(engine: Engine) -> None:
    """Raises `Unavailable` with what to install."""
    await engine.load(FINDER)
    await engine.load(READER)


async def found(picture: Pixels, longest: int, most: int, ask: Ask, run: Run) -> tuple[Floats, list[Pixels]]:
    """Lines of a BGR picture (h, w, 3), which is shrunk to `longest` px: corners (n, 4, 2), and a strip of each.

    In the order of reading; the largest, if there are more than `most`.
    """
    batch, place = await run(prepared, picture, longest)
    outputs = await ask(FINDER, batch)
    answer: tuple[Floats, list[Pixels]] = await run(_cut, picture, outputs["chances"], place, most)
    return answer


async def read(strips: Sequence[Pixels], ask: Ask, run: Run) -> list[tuple[str, float]]:
    """What each strip says, and how sure that is, 0 to 1."""
    order = sorted(range(len(strips)), key=lambda row: strips[row].shape[1])  # of like widths together
    answer: list[tuple[str, float]] = [("", 0.0)] * len(strips)
    for begin in range(0, len(order), TOGETHER):
        rows = order[begin : begin + TOGETHER]
        outputs = await ask(READER, {"strips": await run(stacked, [strips[row] for row in rows])})
        for row, text, score in zip(rows, outputs["texts"], outputs["scores"], strict=True):
            answer[row] = (str(text).strip(), float(score))
    return answer


def prepared(picture: Pixels, longest: int) -> tuple[Batch, Letterbox]:
    """The finder's input, and where in it the picture lies."""
    side = max(picture.shape[:2])
    factor = min(longest / side, 1.0) if side >= SMALL else min(SMALL / side, ENLARGED, max(longest, side) / side)
    width, height = (max(CELL, round(length * factor / CELL) * CELL) for length in (picture.shape[1], picture.shape[0]))
    made, place = letterbox(picture, width, height, "stretch")
    values = made.transpose(2, 0, 1)[None] / np.float32(127.5) - 1
    return {"picture": np.ascontiguousarray(values, np.float32)}, place


def _cut(picture: Pixels, chances: Floats, place: Letterbox, most: int) -> tuple[Floats, list[Pixels]]:
    polygons = place.back(lines(np.ascontiguousarray(chances[0, 0]), INSIDE))
    limits = np.array([picture.shape[1], picture.shape[0]], np.float32)
    polygons = np.asarray(np.clip(polygons, 0, limits), np.float32)
    heights = np.linalg.norm(polygons[:, 3] - polygons[:, 0], axis=1)
    widths = np.linalg.norm(polygons[:, 1] - polygons[:, 0], axis=1)
    sizes = np.where(np.minimum(heights, widths) >= min(SMALLEST, min(picture.shape[:2]) / 2), heights * widths, 0)
    least = np.sort(sizes)[-most] if len(sizes) > most else 0
    kept = polygons[(sizes > 0) & (sizes >= least)][:most]
    return kept, [strip(picture, polygon) for polygon in kept]
