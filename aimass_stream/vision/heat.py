"""Where things stood for how long: a map of the picture, and how it is painted."""

from __future__ import annotations

import cv2
import numpy as np

from ..frames import Pixels
from .boxes import Floats

ROWS, COLUMNS = 72, 128  # cells of a map, whatever shape the picture has
SPREAD = 1.6  # cells (sigma): somebody takes more room than a point
DIM = 0.45  # of the picture below
PALEST = 0.4  # of the scale of colours, over a picture
PLAIN = 640  # px, width without a picture
OTHERS = ""  # where further labels are put together
MOST = 12  # maps; each label of each track has one

Size = tuple[int, int]


class Heat:
    """Fed with one place at a time; `cells` and `size` are for reading, on another thread of a `copy`."""

    def __init__(self) -> None:
        self._maps: dict[tuple[str, str], Floats] = {}  # track and label: seconds, (ROWS, COLUMNS)
        self._sizes: dict[str, Size] = {}  # px of each track's pictures, last

    def add(self, track: str, label: str, at: tuple[float, float], size: Size, seconds: float) -> None:
        """A thing stood at this point (px of a picture of width and height `size`) for so long."""
        if min(size) <= 0:
            return
        key = (track, label)
        if key not in self._maps and len(self._maps) >= MOST:
            key = (track, OTHERS)
            if key not in self._maps and len(self._maps) >= 2 * MOST:
                return  # more tracks than a session has
        cells = self._maps.get(key)
        if cells is None:
            cells = self._maps[key] = np.zeros((ROWS, COLUMNS), np.float32)
        column, row = (min(count - 1, max(0, int(place / length * count)))
                       for place, length, count in zip(at, size, (COLUMNS, ROWS), strict=True))
        cells[row, column] += seconds
        self._sizes[track] = size

    def copy(self) -> Heat:
        copied = Heat()
        copied._maps = {key: cells.copy() for key, cells in self._maps.items()}
        copied._sizes = dict(self._sizes)
        return copied

    @property
    def tracks(self) -> list[str]:
        return sorted(self._sizes)

    def labels(self, track: str) -> list[str]:
        return sorted(label for known, label in self._maps if known == track and label)

    def size(self, track: str) -> Size:
        """Of its pictures, px."""
        return self._sizes.get(track, (16, 9))

    def cells(self, track: str, label: str = "") -> Floats:
        """Seconds in each cell, (ROWS, COLUMNS); of all labels without one."""
        found = [cells for (known, of), cells in self._maps.items() if known == track and label in ("", of)]
        return np.sum(found, axis=0, dtype=np.float32) if found else np.zeros((ROWS, COLUMNS), np.float32)


def painted(cells: Floats, size: Size, below: Pixels | None = None) -> Pixels:
    """The map as BGR (h, w, 3): over a dimmed picture, or by itself in the shape of a picture of `size`.

    Brightness goes with the root of time, so that where somebody only passed can be seen beside where somebody waited.
    """
    if below is None:
        width, height = PLAIN, max(1, min(4 * PLAIN, round(PLAIN * size[1] / size[0])))
    else:
        height, width = below.shape[:2]
    spread = cv2.GaussianBlur(cells, (0, 0), SPREAD, borderType=cv2.BORDER_CONSTANT)
    share = np.sqrt(np.maximum(spread, 0) / max(float(spread.max()), 1e-9))
    warm = np.clip(cv2.resize(share, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    tone = warm if below is None else PALEST + (1 - PALEST) * warm  # the darkest can't be told from a picture
    colours = np.asarray(cv2.applyColorMap(np.rint(tone * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)
    if below is None:
        return colours
    cover = np.minimum(1, warm * 2)[..., None]
    return np.asarray(below * (DIM * (1 - cover)) + colours * cover, np.uint8)
