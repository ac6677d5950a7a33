"""Sound in pieces of any length through something that takes hops of one length."""

from __future__ import annotations

import numpy as np

from .audio import NOTHING
from .words import Waveform


class Hops:
    """For one channel. As much comes out as went in; the delay is the least with which that is possible.

    When less is made than was taken in, silence goes out first: once, as long as the pieces do not grow.
    """

    def __init__(self, size: int) -> None:
        self.size = size  # samples of a hop
        self.delay = 0  # samples of silence that went out first
        self._in = NOTHING
        self._out = NOTHING

    def put(self, wave: Waveform) -> Waveform:
        """The hops that are full now, (k, size)."""
        wave = np.concatenate([self._in, wave])
        count = len(wave) // self.size
        self._in = wave[count * self.size :]
        return wave[: count * self.size].reshape(count, self.size)

    def take(self, made: Waveform, count: int) -> Waveform:
        """What was made of them, of any length, joins what is left; `count` samples go out."""
        wave = np.concatenate([self._out, made])
        if len(wave) < count:
            self.delay += count - len(wave)
            wave = np.concatenate([np.zeros(count - len(wave), np.float32), wave])
        self._out = wave[count:]
        return wave[:count]
