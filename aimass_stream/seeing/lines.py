"""Lines of writing followed from look to look, so that each is read once and not with every picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..frames import Pixels
from ..vision.boxes import Floats
from ..vision.text import HIGH

LOW = HIGH // 2  # px: strips are compared at half their size
WINDOW = LOW  # px, about a letter
SOFT = 1.2  # px, of the blur: a strip is never cut twice at the same place
SHIFT = 3  # px that a line may lie otherwise in its strip than before
FLAT = 6.0  # deviation of grey below which a window shows nothing
ALIKE = 0.65  # least correlation, of the window that is least alike. One digit for another may be more alike than that
SHAPE = 1.25  # times that a strip may be longer or shorter than before
REACH = 2.0  # times its length that a line may have moved
SURE, TRIES = 0.9, 3  # lines below that score are read so often
GONE = 2  # looks in a row without it after which a line is forgotten
AT_ONCE = 18  # lines read at one look; the others at the next ones


@dataclass(slots=True, eq=False)
class Followed:
    """One line, for as long as it is seen."""

    number: int
    polygon: Floats  # (4, 2), px
    strip: Pixels  # (HIGH, w, 3), as it is now
    grey: Pixels  # (LOW, w), of the strip that was read
    text: str = ""
    score: float = 0.0
    when: float = 0.0  # s, when it was read
    tries: int = 0
    missed: int = 0  # looks in a row
    told: str = ""  # what it was last said to read

    def read(self, text: str, score: float, moment: float) -> None:
        """Of several tries the surest counts."""
        if score >= self.score or self.tries >= TRIES:
            self.text, self.score, self.grey = text, score, grey_of(self.strip)
        self.tries = 1 if self.tries >= TRIES else self.tries + 1
        self.when = moment


class Lines:
    def __init__(self) -> None:
        self._known: list[Followed] = []
        self._numbers = 0

    def seen(self, threshold: float) -> list[Followed]:
        """What the last look showed and could be read."""
        return [line for line in self._known if not line.missed and line.text and line.score >= threshold]

    def place(self, polygons: Floats, strips: Sequence[Pixels], moment: float, again: float) -> list[Followed]:
        """Take in what a look found; answers what is to be read, new lines first.

        `again` (s) is how old a reading may become: a letter that changed, and was not noticed, is read then.
        """
        fresh = [grey_of(strip) for strip in strips]
        pairs = sorted(((alike(line.grey, grey), line, row) for line in self._known for row, grey in enumerate(fresh)
                        if near(line.polygon, polygons[row])), key=lambda pair: -pair[0])
        taken: set[int] = set()
        found: set[int] = set()
        for likeness, line, row in pairs:
            if likeness >= ALIKE and row not in taken and line.number not in found:
                taken.add(row)
                found.add(line.number)
                line.polygon, line.strip = polygons[row], strips[row]
        for line in self._known:
            line.missed = 0 if line.number in found else line.missed + 1
        self._known = [line for line in self._known if line.missed <= GONE]
        for row in range(len(strips)):
            if row not in taken:
                self._numbers += 1
                self._known.append(Followed(self._numbers, polygons[row], strips[row], fresh[row]))
        due = [line for line in self._known if not line.missed and (
            not line.tries or (line.score < SURE and line.tries < TRIES) or moment - line.when >= again)]
        for line in due:
            if moment - line.when >= again:
                line.tries = TRIES if line.tries else 0  # whatever is read now counts
        return sorted(due, key=lambda line: line.when)[:AT_ONCE]


def grey_of(strip: Pixels) -> Pixels:
    """(LOW, w)."""
    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (max(1, strip.shape[1] // 2), LOW), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SOFT), np.uint8)


def near(first: Floats, second: Floats) -> bool:
    """Whether a line may have moved from one place to the other."""
    long = max(float(np.linalg.norm(polygon[2] - polygon[0])) for polygon in (first, second))
    return float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))) <= REACH * long


def alike(first: Pixels, second: Pixels) -> float:
    """How like two strips (LOW, w) are where they are least so: -1 to 1, and 0 where there is nothing to see."""
    long, other = first.shape[1], second.shape[1]
    if max(long, other) > SHAPE * min(long, other) + SHIFT:
        return -1.0
    scaled = np.asarray(cv2.resize(second, (long, LOW), interpolation=cv2.INTER_AREA), np.uint8)
    least = 2.0
    for left in range(0, max(1, long - WINDOW // 2), WINDOW):
        window = np.ascontiguousarray(first[SHIFT : LOW - SHIFT, left : left + WINDOW])
        if float(window.std()) < FLAT:
            continue
        place = np.ascontiguousarray(scaled[:, max(0, left - SHIFT) : left + WINDOW + SHIFT])
        found = np.nan_to_num(cv2.matchTemplate(place, window, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0)
        least = min(least, float(found.max()))
    return 0.0 if least > 1.5 else least
