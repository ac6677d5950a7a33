"""Sound from one rate to another in a stream, with the least delay: a windowed sinc, one row of it for each phase.

soxr's stream gives its sound out in blocks, on average 11 ms and from 8 kHz 32 ms late, up to twice that; here it is
1 to 2 ms for rates from 8 to 48 kHz. Kaiser window, 32 zero crossings: 70 dB,
flat to 0.8 of the lower Nyquist frequency.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view

from .words import Waveform

CROSSINGS = 16  # on each side
CUTOFF = 0.9  # of the lower Nyquist frequency
BETA = 7.0
MOST_PHASES = 640  # 44.1 to 16 kHz has 160; odder rates go through soxr


class Polyphase:
    """One channel. About 0.05 ms for 20 ms."""

    def __init__(self, rate: int, wanted: int) -> None:
        """Both in Hz."""
        common = math.gcd(rate, wanted)
        self._up, self._down = wanted // common, rate // common
        self._odd: Any = None
        if self._up > MOST_PHASES:
            self._odd = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="LQ")
            return
        self._bank = _bank(self._up, self._down)
        self._half = self._bank.shape[1] // 2
        self._buffer = np.zeros(self._half - 1, np.float32)
        self._phase = 0  # of the next sample: its place is `_phase` / `_up` samples behind the buffer's middle
        self._in = self._out = 0  # samples

    def __call__(self, wave: Waveform) -> Waveform:
        """The next piece, of any length: what is complete by it."""
        if self._odd is not None:
            return np.asarray(self._odd.resample_chunk(wave), np.float32)
        self._in += len(wave)
        return self._made(wave)

    def flush(self) -> Waveform:
        """The rest. After that the stream is over."""
        if self._odd is not None:
            return np.asarray(self._odd.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)
        left = -(-self._in * self._up // self._down) - self._out
        return self._made(np.zeros(self._half + 1, np.float32))[:max(0, left)]

    def _made(self, wave: Waveform) -> Waveform:
        buffer = np.concatenate([self._buffer, wave])
        taps = 2 * self._half
        # the sample at phase p needs the buffer from p // up on, as many as there are taps
        count = max(0, -(-((len(buffer) - taps + 1) * self._up - self._phase) // self._down))
        places, phases = np.divmod(self._phase + self._down * np.arange(count), self._up)
        made = np.zeros(0, np.float32)
        if count:
            windows = sliding_window_view(buffer, taps)[places]
            made = windows @ self._bank[0] if self._up == 1 else np.einsum("ij,ij->i", windows, self._bank[phases])
        used, self._phase = divmod(self._phase + self._down * count, self._up)
        if used > len(buffer):  # a very high rate: the next sample begins beyond what there is
            self._phase += (used - len(buffer)) * self._up
            used = len(buffer)
        self._buffer = buffer[used:]
        self._out += count
        return made


@functools.lru_cache(16)
def _bank(up: int, down: int) -> Waveform:
    """(phases, taps): the filter as each phase of the output needs it."""
    slow = min(1.0, up / down)
    half = math.ceil(CROSSINGS / slow)
    distance = np.arange(-half + 1, half + 1)[None, :] - (np.arange(up) / up)[:, None]  # in samples of the input
    window = np.i0(BETA * np.sqrt(np.maximum(0, 1 - (distance / half) ** 2))) / np.i0(BETA)
    rows = np.sinc(CUTOFF * slow * distance) * window
    bank = np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)
    bank.flags.writeable = False
    return bank
