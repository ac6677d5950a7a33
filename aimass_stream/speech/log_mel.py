"""Whisper's features: logarithms of a mel spectrogram, on one thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .words import Waveform

WINDOW, HOP = 400, 160  # samples: 25 and 10 ms
ROWS = 16  # frames multiplied at once: so few that BLAS does not wake other threads, which wait long on a busy machine
FLOOR = 1e-10
RANGE = 8.0  # tens of decibels under the loudest that are kept

HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def log_mel(audio: Waveform, filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """(bands, len(audio) // HOP) of at least WINDOW samples; `filters`: (bands, WINDOW / 2 + 1).

    As Whisper computes them (Radford et al., section 2.2, and its code): centred windows, reflected at the edges.
    """
    count = len(audio) // HOP
    rows = -(-count // ROWS) * ROWS
    padded = np.pad(audio, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    spectrum = np.fft.rfft(windows * HANN, axis=1)  # (count, WINDOW / 2 + 1)
    power = np.zeros((rows, filters.shape[1]), np.float32)
    power[:count] = spectrum.real**2 + spectrum.imag**2
    bands = (power.reshape(-1, ROWS, power.shape[1]) @ filters.T).reshape(rows, -1)[:count]
    logs = np.log10(np.maximum(bands, FLOOR))
    return np.asarray((np.maximum(logs, logs.max() - RANGE) + 4) / 4, np.float32).T
