"""Whether one sound is another come back: what a loudspeaker plays, heard by a microphone of the same room.

Compared is how the loudness of some bands of frequency goes up and down. Codecs, loudspeakers and rooms leave that
as it is, whatever they do to the waveform; the way may take any time up to `LATEST`.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..frames import AudioFrame

STEPS = 50  # a second
WINDOW = 0.6  # s of the newest sound that are compared
LATEST = 1.5  # s that the way may take
ALIKE = 0.6  # correlation from which it is the same sound
LOWEST, HIGHEST, BANDS = 200.0, 4000.0, 12  # Hz
QUIET = 1e-5  # power of a band that counts as silence: -50 dBFS

Bands = NDArray[np.float32]


class Outline:
    """The newest sound of one track: how loud each band was in each step. Costs about 0.05 ms for 20 ms."""

    def __init__(self) -> None:
        self.steps = 0  # there were so far
        self._bands: deque[Bands] = deque(maxlen=round((WINDOW + LATEST) * STEPS))
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._rate = 0

    def add(self, frame: AudioFrame) -> None:
        if frame.rate != self._rate:
            self._rate, self._rest = frame.rate, self._rest[:0]
        sound = np.concatenate([self._rest, frame.samples.mean(axis=1, dtype=np.float32) / 32768])
        length = frame.rate // STEPS
        for at in range(0, len(sound) - length + 1, length):
            self._bands.append(_bands(sound[at : at + length], frame.rate))
            self.steps += 1
        self._rest = sound[len(sound) // length * length :]

    def echoes(self, played: Outline) -> bool:
        """Whether the newest of this is something of what was played."""
        return self.likeness(played) >= ALIKE

    def likeness(self, played: Outline) -> float:
        """The correlation at the delay where it is highest, -1 to 1; 0 while there is too little to tell."""
        count = round(WINDOW * STEPS)
        if len(self._bands) < count or len(played._bands) < count:
            return 0.0
        heard = _shapes(np.array(list(self._bands)[-count:])[None])
        sounds = sliding_window_view(np.array(played._bands), count, axis=0).transpose(0, 2, 1)
        return float((_shapes(sounds) * heard).sum(axis=(1, 2)).max())


def _shapes(windows: Bands) -> Bands:
    """(n, steps, bands): each without how loud a band is on the whole, which the way changes, and of length 1, or 0
    where nothing happens."""
    shapes = windows - windows.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.square(shapes).sum(axis=(1, 2), keepdims=True))
    found: Bands = np.where(lengths > 1, shapes / np.maximum(lengths, 1), 0)
    return found


def _bands(sound: NDArray[np.float32], rate: int) -> Bands:
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)).astype(np.float32)))) / len(sound)
    edges = _edges(len(sound), rate)
    loud = np.add.reduceat(power, edges[:-1])[: len(edges) - 1] / len(sound)
    found: Bands = np.log(loud + QUIET).astype(np.float32)
    return found


@lru_cache(maxsize=16)
def _edges(length: int, rate: int) -> tuple[int, ...]:
    hertz = np.geomspace(LOWEST, min(HIGHEST, 0.45 * rate), BANDS + 1)
    return tuple(sorted(set(np.round(hertz * length / rate).astype(int).tolist())))
