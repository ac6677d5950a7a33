"""Which box of this picture is which thing of the pictures before: ByteTrack.

After "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (Zhang and others 2022, algorithm 1 and
section 3): the sure boxes are matched by their overlap with where every track should be by now; what is left of the
tracks is matched with the doubtful boxes, which are mostly things half hidden; a sure box that no track accounts for
may be a new thing, and is one once it is seen twice. Only things of one kind are matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .assignment import Values, pairs
from .boxes import Floats, Whole, iou
from .motion import Motions

# least overlap of a track and a box (the paper's section 4.1 and code): a sure one, a doubtful one, a thing's second
SURE, DOUBTFUL, SECOND = 0.2, 0.5, 0.3
DOUBT = 0.2  # share of the threshold from which boxes are doubtful; below they are nothing
LOST = 1.0  # s without being seen after which a thing is gone,
LEAST_LOOKS = 3  # though not before so many looks: they may lie seconds apart
MOST = 100  # things at once


@dataclass(slots=True, eq=False)
class Track:
    """One thing, for as long as it is followed."""

    kind: int
    score: float  # when it was last seen
    seen: float  # s of media time, then
    number: int = 0  # its id, from 1 on; 0 until it is seen a second time
    missed: int = 0  # looks in a row


class Tracker:
    """Call `look` for each picture that was looked at, `advance` for each between, in the order of their times."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._motions = Motions()
        self._at: float | None = None  # s of media time that all boxes are of
        self._numbers = 0
        self._begun = False

    @property
    def boxes(self) -> Floats:
        """Where each of `tracks` is, (n, 4)."""
        return self._motions.boxes

    def reset(self) -> None:
        """What comes now has nothing to do with what was. No number is used again."""
        self.tracks, self._motions, self._begun = [], Motions(), False

    def advance(self, seconds: float) -> None:
        """It is so late by the media's clock."""
        if self._at is not None:
            self._motions.advance(max(0.0, seconds - self._at))
        self._at = seconds

    def look(self, seconds: float, boxes: Floats, scores: Floats, kinds: Whole, threshold: float
             ) -> list[Track | None]:
        """The track of each box (n, 4) that was found at this time; None for doubtful ones that belong to none.

        Scores (n,) from `threshold` on are sure. Give doubtful ones too, from `DOUBT` of the threshold on.
        """
        self.advance(seconds)
        common = self._overlaps(boxes, kinds)
        best = np.argsort(-scores, kind="stable")[:MOST].tolist()
        sure = [column for column in best if scores[column] >= threshold]
        doubtful = [column for column in best if scores[column] < threshold]
        known = [row for row, track in enumerate(self.tracks) if track.number]
        present = [row for row in known if not self.tracks[row].missed]
        new = [row for row, track in enumerate(self.tracks) if not track.number]
        found: dict[int, int] = {}
        _match(common, known, sure, SURE, found)
        _match(common, present, doubtful, DOUBTFUL, found)
        _match(common, new, sure, SECOND, found)
        owners = self._saw(seconds, boxes, scores, found)
        self._forget(seconds)
        for column in sure:
            if owners[column] is None and len(self.tracks) < MOST:
                owners[column] = self._begin(seconds, boxes[column], float(scores[column]), int(kinds[column]))
        self._begun = True
        return owners

    def _overlaps(self, boxes: Floats, kinds: Whole) -> Values:
        """(tracks, boxes)."""
        own = np.array([track.kind for track in self.tracks], np.int64)
        return np.where(own[:, None] == kinds[None], iou(self.boxes, boxes), 0).astype(np.float64)

    def _saw(self, seconds: float, boxes: Floats, scores: Floats, found: dict[int, int]) -> list[Track | None]:
        owners: list[Track | None] = [None] * len(boxes)
        for row, track in enumerate(self.tracks):
            column = found.get(row)
            if column is None:
                track.missed += 1
                continue
            track.score, track.seen, track.missed = float(scores[column]), seconds, 0
            if not track.number:
                track.number = self._number()
            owners[column] = track
        self._motions.correct(np.array(list(found), np.int64), boxes[list(found.values())])
        self._motions.freeze(np.array([row for row, track in enumerate(self.tracks) if track.missed], np.int64))
        return owners

    def _forget(self, seconds: float) -> None:
        kept = [row for row, track in enumerate(self.tracks) if not track.missed or (
            track.number and (track.missed < LEAST_LOOKS or seconds - track.seen <= LOST))]
        self._motions.keep(np.array(kept, np.int64))
        self.tracks = [self.tracks[row] for row in kept]

    def _begin(self, seconds: float, box: Floats, score: float, kind: int) -> Track:
        # what the first look finds can't have been seen before: it counts as it is
        track = Track(kind, score, seconds, 0 if self._begun else self._number())
        self.tracks.append(track)
        self._motions.add(box[None])
        return track

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _match(common: Values, rows: Sequence[int], columns: Sequence[int], least: float, found: dict[int, int]) -> None:
    """Add pairs of those tracks and boxes that `found` has not yet."""
    rows = [row for row in rows if row not in found]
    taken = set(found.values())
    columns = [column for column in columns if column not in taken]
    if rows and columns:
        part = common[np.ix_(rows, columns)]
        for row, column in pairs(np.where(part >= least, part, 0)):
            found[rows[row]] = columns[column]
