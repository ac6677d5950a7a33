"""Small things in a large picture: it is looked at as a whole, in tiles that overlap, and again at what they showed.

A detector's manifest says beside its other ``[options]``::

    tiles = 3             so many tiles across and down at most, for single pictures
    second_look = 3.0     a thing of the tiles must be found again in a part so many times its size
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..frames import Pixels
from ..inference import Batch
from ..vision.boxes import POOL, areas, intersections, iou
from ..vision.heads import Outputs
from ..vision.letterbox import Letterbox
from .detector import Detector, Thing, Wish

Ask: TypeAlias = Callable[[Batch], Awaitable[Batch]]  # the model
Run: TypeAlias = Callable[..., Awaitable[Any]]  # a function with its arguments, in a thread

OVERLAP = 1 / 3  # of a tile, with the next one
SEEK = 0.2  # least score in a tile of what deserves a second look
SURE = 0.6  # in the whole picture: what is less sure must be found again, too
AGAIN = 64  # things that get one, the surest
SAME = 0.3  # intersection over union of a thing at its first and its second look
NESTED = 0.7  # of the smaller box inside the larger one: one thing
ENLARGED = 2  # times that a tile may be enlarged for the network; smaller ones show nothing new
EDGE = 1.0  # px


class Tile(NamedTuple):
    """A part of a picture, in px; right and bottom are the first that do not belong to it."""

    left: int
    top: int
    right: int
    bottom: int


async def look(detector: Detector, picture: Pixels, wish: Wish, across: int, ask: Ask, run: Run) -> list[Thing]:
    """What is in a BGR picture (h, w, 3), the surest first; with `across` of 1 it is looked at as a whole only.

    What the whole picture shows for sure stays as it is found there. Raises what `ask` raises.
    """
    height, width = picture.shape[:2]

    async def seen(tile: Tile, wish: Wish) -> list[Thing]:
        batch, place, size = await run(_prepared, detector, picture, tile)
        found: list[Thing] = await run(_read, detector, await ask(batch), place, size, tile, wish)
        return found

    whole = await seen(Tile(0, 0, width, height), wish)
    if across == 1:
        return whole
    context = float(detector.options.get("second_look", 0))
    first = replace(wish, threshold=min(wish.threshold, SEEK)) if context else wish
    parts = [thing for thing in whole if context and thing.score < SURE]
    whole = [thing for thing in whole if thing not in parts]
    for tile in _tiles(detector, picture, across):
        parts += [thing for thing in await seen(tile, first) if entire(thing, tile, width, height)]
    found: list[Thing] = await run(merged, [*whole, *parts], wish.overlap, POOL, whole)
    fresh = [thing for thing in found if thing not in whole]
    if context:
        looked = [_nearest(thing, await seen(around(thing.box, context, width, height), wish))
                  for thing in fresh[:AGAIN]]
        fresh = [thing for thing in looked if thing is not None]
    answer: list[Thing] = await run(merged, [*whole, *fresh], wish.overlap, wish.limit, whole)
    return answer


def grid(width: int, height: int, across: int) -> list[Tile]:
    """`across` tiles beside each other and as many below each other, of equal size."""
    share = 1 / (across - (across - 1) * OVERLAP)
    return list(dict.fromkeys(Tile(left, top, right, bottom) for top, bottom in _spans(height, across, share)
                              for left, right in _spans(width, across, share)))


def around(box: tuple[float, float, float, float], context: float, width: int, height: int) -> Tile:
    """A square `context` times as large as the box about its middle, as far as the picture goes."""
    reach = max(box[2] - box[0], box[3] - box[1], 1.0) * context / 2
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = (max(0, math.floor(low)) for low in (x - reach, y - reach))
    return Tile(min(left, width - 1), min(top, height - 1),
                max(left + 1, min(width, math.ceil(x + reach))), max(top + 1, min(height, math.ceil(y + reach))))


def entire(thing: Thing, tile: Tile, width: int, height: int) -> bool:
    """False for what an edge inside the picture cuts: the next tile or the whole picture shows more of it."""
    left, top, right, bottom = thing.box
    return ((tile.left == 0 or left > tile.left + EDGE) and (tile.top == 0 or top > tile.top + EDGE)
            and (tile.right == width or right < tile.right - EDGE)
            and (tile.bottom == height or bottom < tile.bottom - EDGE))


def merged(things: Sequence[Thing], overlap: float, limit: int, first: Sequence[Thing] = ()) -> list[Thing]:
    """One of those that mean the same: of the same class, and they overlap or one lies in the other.

    The surest is kept; those in `first` before all others, and none of them for another of them.
    """
    order = sorted(things, key=lambda thing: (thing not in first, -thing.score))[:POOL]
    if not order:
        return []
    boxes = np.array([thing.box for thing in order], np.float32)
    classes, sizes = np.array([thing.number for thing in order]), areas(boxes)
    nested = intersections(boxes, boxes) > NESTED * np.minimum(sizes[:, None], sizes[None])
    same = ((iou(boxes, boxes) > overlap) | nested) & (classes[:, None] == classes[None])
    left = np.ones(len(order), bool)
    kept: list[Thing] = []
    for row, thing in enumerate(order):
        if left[row] or thing in first:
            kept.append(thing)
            left &= ~same[row]
    return sorted(kept, key=lambda thing: -thing.score)[:limit]


def _tiles(detector: Detector, picture: Pixels, across: int) -> list[Tile]:
    """Of 2x2 up to `across` x `across`, while tiles are large enough to show something new."""
    height, width = picture.shape[:2]
    found: list[Tile] = []
    for count in range(2, across + 1):
        level = grid(width, height, count)
        one = level[0]
        needs = max(detector.input.size(picture))
        if max(one.right - one.left, one.bottom - one.top) * ENLARGED < needs:
            break
        found += level
    return found


def _spans(length: int, count: int, share: float) -> list[tuple[int, int]]:
    size = min(length, max(1, math.ceil(length * share)))
    starts = [round((length - size) * number / max(1, count - 1)) for number in range(count)]
    return [(start, start + size) for start in starts]


def _prepared(detector: Detector, picture: Pixels, tile: Tile) -> tuple[Batch, Letterbox, tuple[int, int]]:
    return detector.input.prepare(np.ascontiguousarray(picture[tile.top : tile.bottom, tile.left : tile.right]))


def _read(detector: Detector, outputs: Outputs, place: Letterbox, size: tuple[int, int], tile: Tile,
          wish: Wish) -> list[Thing]:
    """What is in the tile, in px of the picture."""
    found = detector.read(outputs, place, size, (tile.right - tile.left, tile.bottom - tile.top), wish)
    return [_moved(thing, tile.left, tile.top) for thing in found]


def _moved(thing: Thing, x: int, y: int) -> Thing:
    left, top, right, bottom = thing.box
    return replace(thing, box=(left + x, top + y, right + x, bottom + y),
                   points=tuple((across + x, down + y) for across, down in thing.points))


def _nearest(thing: Thing, found: Sequence[Thing]) -> Thing | None:
    """The one of `found` that is that thing, if any is."""
    if not found:
        return None
    shares = iou(np.array([thing.box], np.float32), np.array([each.box for each in found], np.float32))[0]
    best = int(shares.argmax())
    return found[best] if shares[best] >= SAME and found[best].number == thing.number else None
