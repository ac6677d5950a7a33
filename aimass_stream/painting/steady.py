"""Painted pictures that hold still where what is shown does, and move with it where it moves.

A network paints every picture anew, and noise that nobody sees in a camera's picture comes out of it as flicker. So the
last result is carried along by the optical flow and the new one is mixed into it, as in Ruder et al., *Artistic Style
Transfer for Videos* (arXiv:1604.08610), but after the network instead of inside of its training:

    picture ── small and grey ── flow from what was painted last (Kroeger et al., *DIS*, arXiv:1603.03590)
                    │                     │
                    └── what differs ─────┴── what the flow does not explain, in grey or in colour: painted anew
                             │
                             └── what does not differ: kept as it is; if it is all of the picture, nothing is painted

What is remembered beside the last result is the small picture that it shows, part by part: a slow change is noticed
when it has become large enough, not measured from one picture to the next.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frames import Pixels

Floats = NDArray[np.float32]
N = TypeVar("N", bound=np.generic)

SMALL = 320  # px of the longer side, at most, on which movement is looked for
LITTLE = 160 * 120  # px of a small picture up to which the flow is found on all of its pixels; else on half its size
LEAST = 32  # px of a side: with less beside 256 of the other, OpenCV 4 reads past the picture and ends the process
STILL = 3.0  # levels of the small grey picture; noise stays below, for a pixel of it is the mean of several
AROUND = np.ones((11, 11), np.uint8)  # px of the small picture around what differs, which are painted anew with it
WITH, SOFTLY = np.ones((7, 7), np.uint8), (5, 5)  # px around it that move along, and over which they do so less
SETTLES, SETTLED = 0.7, 0.05  # what moved is painted on, until this factor by picture has come to that
STANDS, STAND = 0.3, 0.1  # share of the picture, and of its edges, that do not move, when the camera stands
EDGES, SOME = 12.0, 0.005  # levels a px of an edge; share of a picture that has some
MOVED, ALIKE = 0.15, 0.5  # px of the small picture by which an edge moves at least, and by which edges differ at most
OUTSIDE = -1000.0  # level of what no picture has shown
EXPLAINED, UNCOVERED = 7.0, 22.0  # levels that the flow leaves: up to here it is right, from here it is wrong
CARRIED, PANNED = 0.9, 0.7  # of the last result where it moves along; with the camera, where all of it grows soft
CUT = 0.3  # share of the picture that no flow explains: another scene
EDGE = 8  # px over which a part that is painted anew passes into what is kept
CHANGED = 48  # levels of a colour; what differs by more is another thing, whatever the flow says
GRID = 16  # px: parts begin and end on it, as the cells of style networks do


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, px."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def grown(self, by: int, width: int, height: int) -> Box:
        """With so many px more at every side where the picture has them."""
        return Box(max(0, self.left - by), max(0, self.top - by), min(width, self.right + by),
                   min(height, self.bottom + by))

    def moved(self, right: int, down: int) -> Box:
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def of(self, picture: NDArray[N]) -> NDArray[N]:
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Change:
    """What a picture shows that the last result doesn't. All arrays have the small size."""

    grey: Pixels
    cut: bool  # nothing of the last result can be used
    box: Box | None  # all that differs is inside; None: nothing differs
    flow: Floats | None = None  # (h, w, 2) px of the small size: where in the last result a pixel was
    kept: Floats | None = None  # (h, w) share of the last result, moved along, in the new one
    moving: Floats | None = None  # (h, w) how far from settled the new one will be
    tint: Floats | None = None  # (h/2, w/2, 2) the picture's chroma, where it was given
    carried: Floats | None = None  # (h/2, w/2, 2) the last result's, moved along


class Steadier:
    """For one stream of pictures; `reset` where it begins anew. Used by one thread at a time."""

    def __init__(self) -> None:
        self._finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.last: Pixels | None = None  # the last result
        self._shown: Floats | None = None  # small and grey: what it shows, mixed in the same way
        self._tint: Floats | None = None  # (h/2, w/2, 2) and in colour
        self._moving: Floats | None = None  # (h, w) 1 where something moved; fades while the result settles there

    def reset(self) -> None:
        self.last = self._shown = self._tint = self._moving = None

    def look(self, luma: Pixels, chroma: Sequence[Pixels] = ()) -> Change:
        """What is to be painted of a picture, whose luma this is, (h, w); `chroma` are its U and V, of any size.

        By these a thing is told from what is as bright: else it leaves a trail where it was.
        """
        height, width = luma.shape
        grey = _small(luma)
        whole = Box(0, 0, width, height)
        if self.last is None or self._shown is None or self._moving is None or self.last.shape[:2] != luma.shape:
            return Change(grey, True, whole, tint=_tinted(chroma, grey))
        differs = _mean(np.abs(grey - self._shown)) > STILL
        moving = np.maximum(cv2.dilate(differs.astype(np.float32), AROUND), SETTLES * self._moving)
        moving[moving < SETTLED] = 0
        found = cv2.boundingRect((moving > 0).astype(np.uint8))
        if found[2] == 0:
            return Change(grey, False, None)
        before = self._shown.astype(np.uint8)
        self._finder.setFinestScale(0 if grey.size <= LITTLE else 1)
        flow = np.asarray(self._finder.calc(grey, before, None), np.float32)  # type: ignore[call-overload]
        edges = _edges(grey)
        steps = flow[edges]
        stands = _stands(steps, moving)
        if stands:  # then nothing moves far from what differs
            near = cv2.dilate(differs.astype(np.float32), WITH)
            flow *= cv2.blur(near, SOFTLY)[:, :, None]
        else:  # then all does, also what looks the same everywhere and whose strokes would stay behind
            _pan(flow, edges, steps)
            moving[:] = 1
            found = (0, 0, grey.shape[1], grey.shape[0])
        tint, carried, left = _tinted(chroma, grey), None, _mean(np.abs(grey - _moved(self._shown, flow)), 3)
        if tint is not None and self._tint is not None:
            carried = _moved(self._tint, _halved(flow, tint) * np.float32(0.5))
            other = cv2.max(*cv2.split(cv2.absdiff(tint, carried)))
            left = np.maximum(left, cv2.resize(other, left.shape[::-1], interpolation=cv2.INTER_LINEAR))
        explained = np.clip((UNCOVERED - left) / (UNCOVERED - EXPLAINED), 0, 1)
        if float(explained.mean()) < 1 - CUT:
            return Change(grey, True, whole, tint=tint)
        kept = np.where(moving > 0, (CARRIED if stands else PANNED) * explained, np.float32(1))
        kept = np.asarray(cv2.blur(kept, (3, 3)), np.float32)
        return Change(grey, False, _box(found, grey, width, height), flow, kept, np.asarray(moving, np.float32),
                      tint, carried)

    def settle(self, change: Change, painted: Pixels | None) -> Pixels:
        """The result for a change; `painted` is its box of the picture, None where nothing differs."""
        if change.box is None or painted is None:
            assert self.last is not None
            self._moving = None if self._moving is None else np.zeros_like(self._moving)
            return self.last
        if change.flow is None or change.kept is None or self.last is None or self._shown is None:
            self.last, self._shown = painted, change.grey.astype(np.float32)
            self._tint, self._moving = change.tint, np.zeros_like(self._shown)
            return painted
        box, full = change.box, self.last.copy()
        carried, share = _carried(self.last, change.flow, box), _stretched(change.kept, self.last, box)
        _keep_edges(share, box, self.last)
        box.of(full)[:] = cv2.blendLinear(carried, painted, share, 1 - share)
        before = _moved(self._shown, change.flow)
        self._shown = np.asarray(change.grey + change.kept * (before - change.grey), np.float32)
        self._tint = change.tint
        if change.tint is not None and change.carried is not None:
            kept = _halved(change.kept, change.tint)
            self._tint = np.asarray(cv2.blendLinear(change.carried, change.tint, kept, 1 - kept), np.float32)
        self.last, self._moving = full, change.moving
        return full


def _small(luma: Pixels) -> Pixels:
    height, width = luma.shape
    # whole, for means of whole pixels, which are quicker, too; of several, for the camera's noise
    factor = max(2, -(-max(height, width) // SMALL))
    size = (max(LEAST, width // factor), max(LEAST, height // factor))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _tinted(chroma: Sequence[Pixels], grey: Pixels) -> Floats | None:
    """U and V, half as large as the small picture; None without."""
    size = (grey.shape[1] // 2, grey.shape[0] // 2)
    planes = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in chroma]
    return np.asarray(cv2.merge(planes), np.float32) if planes else None


def _halved(values: Floats, tint: Floats) -> Floats:
    """Values of the small size in the size of the chroma."""
    return np.asarray(cv2.resize(values, (tint.shape[1], tint.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _edges(grey: Pixels) -> NDArray[np.bool_]:
    across, down = cv2.Sobel(grey, cv2.CV_16S, 1, 0), cv2.Sobel(grey, cv2.CV_16S, 0, 1)
    return np.asarray(np.abs(across) + np.abs(down) > 8 * EDGES)  # Sobel's weights come to eight


def _stands(steps: Floats, moving: Floats) -> bool:
    """Whether the camera does: some of the edges' `steps` (n, 2) are none; where there are no edges, much of the
    picture does not move."""
    if len(steps) < SOME * moving.size:
        return float((moving == 0).mean()) > STANDS
    return float((np.abs(steps).max(1) < MOVED).mean()) > STAND


def _pan(flow: Floats, edges: NDArray[np.bool_], steps: Floats) -> None:
    """Let what has no edges, of which no flow is known, move like those, if they move alike."""
    middle = np.median(steps, 0) if len(steps) else np.zeros(2, np.float32)
    if len(steps) and float((np.abs(steps - middle).max(1) < ALIKE).mean()) > 0.5:
        flow[cv2.dilate(edges.astype(np.uint8), WITH) == 0] = middle


def _mean(difference: Floats, window: int = 5) -> Floats:
    """Of a pixel and its surroundings."""
    return np.asarray(cv2.blur(difference, (window, window)), np.float32)


def _box(found: Sequence[int], grey: Pixels, width: int, height: int) -> Box:
    """What was found at the small size, (left, top, width, height), in the picture and on its grid."""
    across, down = width / grey.shape[1], height / grey.shape[0]
    left, top, wide, high = found
    return Box(int(left * across) // GRID * GRID, int(top * down) // GRID * GRID,
               min(width, -(-int((left + wide) * across + 1) // GRID) * GRID),
               min(height, -(-int((top + high) * down + 1) // GRID) * GRID))


def _moved(picture: Floats, flow: Floats) -> Floats:
    """What lies outside is explained by nothing."""
    height, width = flow.shape[:2]
    return np.asarray(cv2.remap(picture, flow + _places(width, height), None, cv2.INTER_LINEAR,  # type: ignore[call-overload]
                                borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE), np.float32)


@functools.lru_cache(maxsize=8)
def _places(width: int, height: int) -> Floats:
    """(h, w, 2): of every pixel, x and y."""
    places = np.empty((height, width, 2), np.float32)
    places[:, :, 0] = np.arange(width, dtype=np.float32)
    places[:, :, 1] = np.arange(height, dtype=np.float32)[:, None]
    return places


def _carried(last: Pixels, flow: Floats, box: Box) -> Pixels:
    """The box of the last result, moved by the flow."""
    grown = flow * np.array([last.shape[1] / flow.shape[1], last.shape[0] / flow.shape[0]], np.float32)
    way = np.asarray(cv2.add(_stretched(grown, last, box), box.of(_places(last.shape[1], last.shape[0]))), np.float32)
    return _taken(last, way)


def _taken(picture: Pixels, places: Floats) -> Pixels:
    """From its (h, w, 2) places."""
    return np.asarray(cv2.remap(picture, places, None, cv2.INTER_LINEAR,  # type: ignore[call-overload]
                                borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _stretched(values: Floats, picture: Pixels, box: Box) -> Floats:
    """The box of (h, w, ...) values of the small size, at the picture's."""
    full = cv2.resize(values, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(box.of(full), np.float32)


def _keep_edges(share: Floats, box: Box, picture: Pixels) -> None:
    """Let the shares rise to one towards the box's edges that lie inside of the picture: no seam can be seen."""
    ramp = np.linspace(1, 0, EDGE, endpoint=False, dtype=np.float32)
    for at, end, axis in ((box.left, 0, 1), (box.top, 0, 0), (picture.shape[1] - box.right, -1, 1),
                          (picture.shape[0] - box.bottom, -1, 0)):
        if at > 0:
            part = share[:EDGE] if axis == 0 else share[:, :EDGE].T
            if end:
                part = share[::-1][:EDGE] if axis == 0 else share[:, ::-1][:, :EDGE].T
            np.maximum(part, ramp[: len(part), None], out=part)


@dataclass(frozen=True, slots=True)
class WarpError:
    """How much two neighbouring pictures differ besides what moved: root mean square, in levels of 255."""

    made: float
    shown: float
    seen: float  # share of the picture that both show, which is measured


def warp_error(shown: tuple[Pixels, Pixels], made: tuple[Pixels, Pixels]) -> WarpError:
    """Masked warp error (Lai et al., *Learning Blind Video Temporal Consistency*, arXiv:1808.00449) of what was made of
    two pictures, beside the pictures' own. The flow is that of the pictures as they were shown, at full size, and
    counts where it leads there and back (Sundaram et al. 2010) to something that looks the same. Raises `ValueError`
    for pictures of less than 64 px."""
    if min(shown[0].shape[:2]) < 2 * LEAST:
        raise ValueError(f"flow is looked for in pictures of {2 * LEAST} px and more")
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before, after = (np.asarray(cv2.cvtColor(each, cv2.COLOR_BGR2GRAY), np.uint8) for each in shown)
    back = np.asarray(finder.calc(after, before, None), np.float32)  # type: ignore[call-overload]
    forth = np.asarray(finder.calc(before, after, None), np.float32)  # type: ignore[call-overload]
    places = np.asarray(_places(back.shape[1], back.shape[0]) + back, np.float32)
    returned = cv2.remap(forth, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,  # type: ignore[call-overload]
                         borderValue=(1e4, 1e4))
    strayed = np.square(back + returned).sum(2)
    lit = cv2.absdiff(shown[1], _taken(shown[0], places)).max(2) < CHANGED
    seen = lit & (strayed < 0.01 * (np.square(back).sum(2) + np.square(returned).sum(2)) + 0.5)

    def error(pair: tuple[Pixels, Pixels]) -> float:
        changes = pair[1].astype(np.float32) - _taken(pair[0], places)
        return float(np.sqrt(np.square(changes)[seen].mean())) if seen.any() else 0.0

    return WarpError(error(made), error(shown), float(seen.mean()))
