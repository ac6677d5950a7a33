"""Noise suppression without a model: what is steady in each band is noise, and is turned down.

Noise by minimum statistics (Martin, 2001): the least smoothed power of a band within 1.5 s. The gain is Wiener's
with the decision-directed signal-to-noise ratio of Ephraim and Malah (1984), which keeps residual noise from
tinkling. It takes away steady noise (fans, hiss, hum), not voices or clatter.
"""

from __future__ import annotations

import numpy as np

from .words import Waveform

HOP_SECONDS = 0.01
SMOOTHING = 0.85  # of the power, from hop to hop
PARTS, PART = 8, 19  # the minimum is over 8 parts of 19 hops: 1.5 s
SETTLED = 12  # hops, before which there is no smoothed power worth a minimum
BIAS = 2.0  # the least of many smoothed powers lies below their mean
MEMORY = 0.96  # of the decision-directed ratio
FLOOR = 10 ** (-20 / 20)  # least gain
SILENT = 1e-10  # power, to divide by


class SpectralGate:
    """One channel at any rate. Hops of 10 ms; what comes out is 10 ms late. Under 0.2 ms for a hop at 48 kHz."""

    def __init__(self, rate: int) -> None:
        self.rate = rate  # Hz
        self.hop = max(16, round(rate * HOP_SECONDS))  # samples
        self.delay = self.hop  # samples
        self._window = np.sin(np.pi * (np.arange(2 * self.hop) + 0.5) / (2 * self.hop)).astype(np.float32)
        bins = self.hop + 1
        self._before = np.zeros(self.hop, np.float32)
        self._tail = np.zeros(self.hop, np.float32)
        self._power = np.zeros(bins, np.float32)
        self._least = np.full((PARTS, bins), np.inf, np.float32)
        self._count = 0
        self._clean = np.zeros(bins, np.float32)  # the last hop's power after the gain, over the noise

    def clean(self, hops: Waveform) -> Waveform:
        """(k, hop) in, (k, hop) out, one hop late."""
        return np.stack([self._step(hop) for hop in hops]) if len(hops) else hops

    def close(self) -> None:
        """Nothing is held."""

    def _step(self, hop: Waveform) -> Waveform:
        spectrum = np.fft.rfft(np.concatenate([self._before, hop]) * self._window)
        self._before = hop
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        ratio = power / self._noise(power)
        likely = MEMORY * self._clean + (1 - MEMORY) * np.maximum(ratio - 1, 0)
        gain = np.maximum(likely / (1 + likely), FLOOR)
        self._clean = gain * gain * ratio
        wave = np.fft.irfft(spectrum * gain).astype(np.float32) * self._window
        out, self._tail = self._tail + wave[: self.hop], wave[self.hop :]
        return np.asarray(out, np.float32)

    def _noise(self, power: Waveform) -> Waveform:
        keep = min(SMOOTHING, self._count / (self._count + 1))  # a mean at first: one hop alone has deep holes
        self._power = keep * self._power + (1 - keep) * power
        part, place = divmod(self._count, PART)
        row = self._least[part % PARTS]
        fresh = place == 0 or self._count < SETTLED
        row[:] = self._power if fresh else np.minimum(row, self._power)
        self._count += 1
        return np.asarray(BIAS * self._least.min(axis=0) + SILENT, np.float32)
