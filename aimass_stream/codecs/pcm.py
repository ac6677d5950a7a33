"""Sound as plain samples: another rate, another number of channels, bytes."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from ..errors import InvalidMedia
from ..frames import AudioFrame, Samples

LAYOUTS = {1: "mono", 2: "stereo"}
DRIFT = 0.03  # s: a step in pts beyond this starts the resampler's clock anew


def to_bytes(samples: Samples) -> bytes:
    """(n, channels) int16 as interleaved little-endian bytes."""
    return samples.astype("<i2", copy=False).tobytes()


def from_bytes(data: bytes, channels: int) -> Samples:
    """(n, channels) int16, writable. Raises `InvalidMedia` for half a sample or none."""
    if not data or len(data) % (2 * channels):
        raise InvalidMedia(f"{len(data)} bytes are no whole samples of {channels} channels",
                           reason="garbage" if data else "empty")
    samples: Samples = np.frombuffer(data, "<i2").astype(np.int16).reshape(-1, channels)
    return samples


def mix(samples: Samples, channels: int) -> Samples:
    """(n, any) int16 as (n, channels): mono is doubled, more channels are averaged or cut to two."""
    have = samples.shape[1]
    if have == channels:
        return samples
    if channels == 1:
        return np.asarray(samples.sum(axis=1, dtype=np.int32) // have, np.int16)[:, None]
    return np.repeat(samples, 2, axis=1) if have == 1 else samples[:, :2]


class Converter:
    """Frames of any rate and channels to one rate and number of channels.

    pts of what comes out count in 1/rate s; the resampler's own delay (about 16 samples) is in them.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate  # Hz
        self.channels = channels
        self._resampler: av.AudioResampler | None = None
        self._from = 0  # Hz the resampler was made for
        self._next = 0  # pts of the next sample out

    def convert(self, frame: AudioFrame) -> AudioFrame | None:
        """None while the resampler still gathers."""
        time_base = Fraction(1, self.rate)
        pts = round(frame.pts * frame.time_base / time_base)
        gap = frame.gap * self.rate // frame.rate
        samples = mix(frame.samples, self.channels)
        if frame.rate == self.rate:
            return frame.replace(samples=samples, pts=pts, time_base=time_base, gap=gap)
        if self._resampler is None or self._from != frame.rate or abs(pts - self._next) > DRIFT * self.rate:
            self._resampler = av.AudioResampler("s16", LAYOUTS[self.channels], self.rate)
            self._from, self._next = frame.rate, pts
        resampled = self._resampler.resample(self._av(samples))
        pieces = [piece.to_ndarray().reshape(-1, self.channels) for piece in resampled]
        if not pieces:
            return None
        out = np.concatenate(pieces).astype(np.int16, copy=False)
        converted = frame.replace(samples=out, rate=self.rate, pts=self._next, time_base=time_base, gap=gap)
        self._next += len(out)
        return converted

    def _av(self, samples: Samples) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", LAYOUTS[self.channels])
        frame.sample_rate = self._from
        return frame
