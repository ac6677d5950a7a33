"""What of an echo the canceller has left, turned down: a voice activity detector hears speech however faint it is.

In each of some 25 bands two figures bound what the rest can be: the canceller's own uncertainty, and the least share
of the estimated echo that was lately left there (what no linear filter takes out: distortion, a room that changes).
That is taken off as in power subtraction, unless somebody speaks: then the sound is left as clear as it came, since
a recogniser minds holes in a voice more than an echo behind it. A short filter of minimum phase applies the gains in
the time domain, which adds no delay (Löllmann and Vary, "Low delay filter for adaptive noise reduction", 2005).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..speech.words import Waveform

BLOCK = 320  # samples, 20 ms
DOUBT = 10.0  # times the canceller's uncertainty is taken off
REST = 4.0  # times the least share of the echo that was left
LEARNS, FORGETS = 0.3, 1.02  # a block: how fast that share falls, and rises
MOST, LEAST = 1.0, 1e-4  # of that share
SOUNDS = 1e-3  # of the loudest band: an echo that is worth learning from
HANGS = 0.6  # of an echo's power, from block to block: what follows a loud one is still of it
SURE, SURE_BLOCKS = 0.5, 2  # share of the sound that is no echo, for so many blocks: somebody speaks
HOLD = 15  # blocks that this is believed for, 0.3 s
FADES = 0.7  # a block, afterwards
CLOSED = 0.1  # of the sound no echo: all of it is turned down further
FLOOR = 1e-3
TAPS, GRID = 64, 256  # samples of the filter, and of the transforms that make it
TINY = 1e-9

_HERTZ = np.concatenate([np.arange(0, 1000, 125), 1000 * 2 ** np.arange(0, 3.01, 1 / 6)])


def _edges(bins: int) -> NDArray[np.int64]:
    found = np.unique(np.round(_HERTZ / 8000 * bins).astype(np.int64))
    return np.asarray(found[:-1])


EDGES = _edges(BLOCK)
BANDS = len(EDGES)
_CENTRES = np.append(EDGES, BLOCK)[:-1] / 2 + np.append(EDGES, BLOCK)[1:] / 2
_WINDOW = np.sqrt(np.hanning(2 * BLOCK + 1)[:-1])
_RISING = np.minimum(np.linspace(0, 2, BLOCK), 1)


class Residual:
    """Blocks of 320 samples at 16 kHz; 0.15 ms each."""

    def __init__(self) -> None:
        self._share = np.full(BANDS, 0.3)  # least part of the estimated echo that was lately left
        self.reset()

    def reset(self, left: Waveform | None = None) -> None:
        """Nothing plays; `left` is the block that has just been heard."""
        self._left = np.zeros(BLOCK) if left is None else left.astype(np.float64)
        self._echo = np.zeros(BLOCK)
        self._hanging = np.zeros(BANDS)
        self._speaks, self._held, self._open = 0, 0, 0.0
        self._taps = np.zeros(TAPS)
        self._taps[0] = 1.0

    def __call__(self, left: NDArray[np.float64], echo: NDArray[np.float64], doubt: NDArray[np.float64]) -> Waveform:
        """`left` is what the canceller gave, `echo` what it took off, `doubt` (321,) the power that may still be in
        it."""
        power, taken = _bands(self._left, left), _bands(self._echo, echo)
        self._echo = echo
        unsure = _sums(doubt) * DOUBT
        rest = unsure + REST * self._learned(power, taken) * np.maximum(taken, self._hanging)
        self._hanging = np.maximum(taken, HANGS * self._hanging)
        total = power.sum() + TINY
        other = float(np.maximum(power - rest, 0).sum() / total)
        gains = np.maximum(1 - rest / (power + TINY), 0) * min(1.0, other / CLOSED)
        self._listen(other)
        clear = self._open * float(np.maximum(power - unsure, 0).sum() / total)
        return self._shaped(left, np.maximum(gains, clear))

    def nothing(self, left: Waveform) -> Waveform:
        """This block has neither an echo nor a voice that would be heard beside one."""
        self._left, self._echo = left.astype(np.float64), np.zeros(BLOCK)
        self._speaks = 0
        return np.zeros(BLOCK, np.float32)

    def _learned(self, power: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[np.float64]:
        share = np.minimum(power / (taken + TINY), 4.0)
        nearer = np.where(share < self._share, self._share + LEARNS * (share - self._share), self._share * FORGETS)
        sounds = taken > SOUNDS * taken.max() + 1e-7
        self._share = np.clip(np.where(sounds, nearer, self._share), LEAST, MOST)
        return self._share

    def _listen(self, other: float) -> None:
        """Does somebody speak?"""
        self._speaks = self._speaks + 1 if other > SURE else 0
        if self._speaks >= SURE_BLOCKS:
            self._held, self._open = HOLD, 1.0
        elif self._held:
            self._held -= 1
        else:
            self._open *= FADES

    def _shaped(self, left: NDArray[np.float64], gains: NDArray[np.float64]) -> Waveform:
        taps, before = minimum_phase(gains), self._taps
        line = np.concatenate([self._left[1 - TAPS :], left])
        self._left, self._taps = left, taps
        old, new = np.convolve(line, before, "valid"), np.convolve(line, taps, "valid")
        return np.asarray(old + (new - old) * _RISING, np.float32)


def minimum_phase(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """(TAPS,) of a filter with these gains of the bands and no more delay than they need, by the folded cepstrum."""
    logs = np.interp(np.arange(GRID // 2 + 1) / (GRID // 2) * BLOCK, _CENTRES, np.log(np.maximum(gains, FLOOR)))
    cepstrum = np.fft.irfft(logs)
    cepstrum[1 : GRID // 2] *= 2
    cepstrum[GRID // 2 + 1 :] = 0
    return np.asarray(np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:TAPS])


def _bands(before: NDArray[np.float64], block: NDArray[np.float64]) -> NDArray[np.float64]:
    return _sums(np.square(np.abs(np.fft.rfft(np.concatenate([before, block]) * _WINDOW))))


def _sums(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.add.reduceat(power, EDGES))
