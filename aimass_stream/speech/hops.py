"""Sound in pieces of any length through something that takes hops of one length."""

from __future__ import annotations

import numpy as np

from .audio import NOTHING
from .words import Waveform


class Hops:
    """For one channel. As much comes out as went in; the delay is the least with which that is possible.

    When less is made than was taken in, silence goes out first: with the first few pieces, as long as they do not
    grow. `delay` is how much goes out in any case, so that nothing has to be put in later.
    """

    def __init__(self, size: int, delay: int = 0) -> None:
        self.size = size  # samples of a hop
        self.delay = delay  # samples of silence that went out first
        self._in = NOTHING
        self._out: Waveform = np.zeros(delay, np.float32)

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
