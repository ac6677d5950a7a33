"""Things that are followed from picture to picture: each with an id, and a place also where nobody looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..vision.boxes import Floats, clip
from ..vision.tracking import DOUBT, Track, Tracker
from ..vision.zones import Happening, Line, Stand, Watch, Zone
from .detector import Thing

COAST = 0.25  # s that a thing is told where it should be, though a look has missed it
LONGEST = 2.0  # s without a look after which nobody can say where anything is
EXPECTED = 1.5  # times the pause between the last two looks: so long the next one may take

Foot = Literal["bottom", "centre"]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where things are watched, and which point of a box stands for the thing."""

    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    foot: Foot = "bottom"

    def stand(self, thing: Thing) -> Stand:
        left, top, right, bottom = thing.box
        y = bottom if self.foot == "bottom" else (top + bottom) / 2
        return Stand(thing.id, thing.label, ((left + right) / 2, y))


class Follower:
    """Of one track of pictures. `looked` or `passed` for each of them, in order; then `things` and `happened`.

    What was seen in a picture is told as the detector says it; where nobody looked, or a look has missed it, it is told
    where it should be by now.
    """

    def __init__(self, ground: Ground) -> None:
        self.things: list[Thing] = []  # in the last picture, those with an id first
        self.happened: list[Happening] = []  # there
        self.watch = Watch(ground.zones, ground.lines)
        self._ground = ground
        self._tracker = Tracker()
        self._last: dict[Track, Thing] = {}  # as each was last seen
        self._size = (0, 0)  # px
        self._looked = float("-inf")  # s of media time, the last time
        self._pause = 0.0  # s from the look before to that one

    @staticmethod
    def doubt(threshold: float) -> float:
        """The least score of what `looked` can make use of."""
        return threshold * DOUBT

    def stand_on(self, ground: Ground) -> None:
        """Watch other zones and lines from now on; who is in them is found out anew."""
        if ground != self._ground:
            self._ground, self.watch = ground, Watch(ground.zones, ground.lines)

    def reset(self) -> None:
        """What is found from now on is something else: another detector looks."""
        self._tracker.reset()

    def looked(self, seconds: float, size: tuple[int, int], found: Sequence[Thing], threshold: float) -> None:
        """This was found in the picture of (width, height), those of a score under `threshold` being doubtful."""
        self._fit(size)
        before = {track.number for track in self._last}
        boxes = np.array([thing.box for thing in found], np.float32).reshape(-1, 4)
        owners = self._tracker.look(seconds, boxes, np.array([thing.score for thing in found], np.float32),
                                    np.array([thing.number for thing in found], np.int64), threshold)
        seen = {track: thing for track, thing in zip(owners, found, strict=True) if track is not None}
        self._last = {track: seen.get(track) or self._last[track] for track in self._tracker.tracks}
        self._pause, self._looked = min(LONGEST, seconds - self._looked), seconds
        extra = [thing for track, thing in zip(owners, found, strict=True)
                 if track is None and thing.score >= threshold]  # more than can be followed
        self.things = self._placed(seconds) + extra
        stands = [self._ground.stand(thing) for thing in self.things if thing.id and not thing.predicted]
        gone = before - {track.number for track in self._last} - {0}
        self.happened = [each for number in sorted(gone) for each in self.watch.gone(number)]
        self.happened += self.watch.see(seconds, size, stands)

    def passed(self, seconds: float, size: tuple[int, int]) -> None:
        """Nobody looked at this picture."""
        self._fit(size)
        self._tracker.advance(seconds)
        self.things, self.happened = self._placed(seconds), []

    def _fit(self, size: tuple[int, int]) -> None:
        if size != self._size:
            self._size = size
            self._tracker.reset()

    def _placed(self, seconds: float) -> list[Thing]:
        """Where everything is that can be said to be anywhere."""
        boxes = self._tracker.boxes
        patience = COAST + min(EXPECTED * self._pause, LONGEST)
        placed = []
        for track, box, shown in zip(self._tracker.tracks, boxes, clip(boxes, *self._size), strict=True):
            last, unseen = self._last[track], seconds - track.seen
            if unseen <= 0:
                placed.append(replace(last, id=track.number))
            elif unseen <= (COAST if track.missed else patience) and (shown[2:] > shown[:2]).all():
                left, top, right, bottom = shown.tolist()
                placed.append(replace(last, box=(left, top, right, bottom), points=_moved(last, box), id=track.number,
                                      predicted=True))
        return sorted(placed, key=lambda thing: (not thing.id, thing.id))


def _moved(thing: Thing, box: Floats) -> tuple[tuple[float, float], ...]:
    """The thing's points when its box is there."""
    left, top, right, bottom = box.tolist()
    old_left, old_top, old_right, old_bottom = thing.box
    x, y = (right - left) / max(1e-6, old_right - old_left), (bottom - top) / max(1e-6, old_bottom - old_top)
    return tuple((left + (px - old_left) * x, top + (py - old_top) * y) for px, py in thing.points)
