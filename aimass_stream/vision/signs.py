"""Signs of digits, read from the 21 points of a hand, and held steady over pictures."""

from __future__ import annotations

import numpy as np

from .boxes import Floats
from .hands import INDEX_BASE, LITTLE_BASE, WRIST

BASES = (5, 9, 13, 17)  # of index finger to little finger
VALUES = 42  # x and y of each point

KEEP = 0.7  # of the chances before, in those that count: about three pictures' memory
SURE = 0.8  # chance from which a digit is told,
DOUBT = 0.5  # and under which it is no longer


def normal(points: Floats) -> Floats:
    """(42,) of a hand's points (21, 2): from the wrist on, fingers up, thumb at the left, the palm one long.

    So neither place, size, turn nor side of the hand matters. Zeros where the points lie on one another.
    """
    from_wrist = np.asarray(points, np.float32) - points[WRIST]
    middle = from_wrist[list(BASES)].mean(axis=0)
    length = float(np.hypot(*middle))
    if not np.isfinite(length) or length < 1e-3:
        return np.zeros(VALUES, np.float32)
    x, y = middle / length
    upright = from_wrist @ np.array([[-y, -x], [x, -y]], np.float32) / np.float32(length)
    if upright[INDEX_BASE, 0] > upright[LITTLE_BASE, 0]:
        upright[:, 0] *= -1
    return np.asarray(upright.reshape(VALUES), np.float32)


class Steady:
    """What one hand shows, by the chances that each picture gives. A digit is told when they hold for a while."""

    def __init__(self) -> None:
        self.digit: int | None = None
        self.chance = 0.0  # of that digit
        self._chances: Floats | None = None

    def see(self, chances: Floats) -> bool:
        """Take in those of the next picture (10,); True if another digit, or none, is shown now."""
        if not np.isfinite(chances).all():
            chances = np.zeros_like(chances)
        before = np.zeros_like(chances) if self._chances is None else self._chances
        self._chances = np.asarray(KEEP * before + (1 - KEEP) * chances, np.float32)
        best = int(self._chances.argmax())
        shown = self.digit
        if self._chances[best] >= SURE:
            shown = best
        elif shown is not None and self._chances[shown] < DOUBT:
            shown = None
        changed, self.digit = shown != self.digit, shown
        self.chance = 0.0 if shown is None else float(self._chances[shown])
        return changed
