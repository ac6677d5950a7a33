"""Any sound as what recognisers take: 16 kHz, one channel, float32 from -1 to 1."""

from __future__ import annotations

import numpy as np
import soxr

from ..frames import AudioFrame, Samples
from .polyphase import Polyphase
from .words import HEARING_RATE, Waveform

FULL = 32768.0
MOST_GAP = 2.0  # s of silence in place of missing sound: enough to end any utterance

NOTHING: Waveform = np.zeros(0, np.float32)
NOTHING.flags.writeable = False


class ToHearing:
    """Frames of one track as one stream. About 0.05 ms for 20 ms of sound.

    Rate and channels may change from frame to frame. A gap becomes silence of the same length, 2 s at most.
    The resampler keeps 1 to 2 ms back; `flush` gives them out.
    """

    def __init__(self) -> None:
        self._rate = 0
        self._resampler: Polyphase | None = None

    def __call__(self, frame: AudioFrame) -> Waveform:
        """The next piece, (n,). Its length follows the frame's, give or take what the resampler holds back."""
        tail = NOTHING
        if frame.rate != self._rate:
            tail = self.flush()
            self._open(frame.rate)
        wave = _mono(frame.samples)
        if frame.gap:
            missing = min(frame.gap, int(MOST_GAP * frame.rate))
            wave = np.concatenate([np.zeros(missing, np.float32), wave])
        if self._resampler is not None:
            wave = self._resampler(wave)
        return np.concatenate([tail, wave]) if len(tail) else wave

    def flush(self) -> Waveform:
        """What is held back; the next frame begins a new stream."""
        resampler, self._resampler, self._rate = self._resampler, None, 0
        return NOTHING if resampler is None else resampler.flush()

    def _open(self, rate: int) -> None:
        self._rate = rate
        if rate != HEARING_RATE:
            self._resampler = Polyphase(rate, HEARING_RATE)


def to_hearing(samples: Samples, rate: int) -> Waveform:
    """A whole clip, (n, channels) int16 at `rate` Hz, as (m,) at 16 kHz. Long ones belong in a thread."""
    wave = _mono(samples)
    return wave if rate == HEARING_RATE else np.asarray(soxr.resample(wave, rate, HEARING_RATE, quality="HQ"))


def _mono(samples: Samples) -> Waveform:
    if samples.ndim == 2 and samples.shape[1] > 1:
        return np.asarray(samples.mean(axis=1, dtype=np.float32) / np.float32(FULL), np.float32)
    return samples.reshape(-1).astype(np.float32) / np.float32(FULL)
