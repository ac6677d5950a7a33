"""The three formats of sound on the line, from bytes to samples and back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ...codecs import g711, pcm
from ...errors import InvalidMedia
from ...frames import AudioFrame, Samples
from .session import PCM_RATE, AudioFormat, Pcm, Pcmu

TICKS = 24_000  # a second: a multiple of every rate there is
TIME_BASE = Fraction(1, TICKS)


def rate_of(form: AudioFormat) -> int:
    """Hz."""
    return PCM_RATE if isinstance(form, Pcm) else g711.RATE


def bytes_per_second(form: AudioFormat) -> int:
    return PCM_RATE * 2 if isinstance(form, Pcm) else g711.RATE


def encode(samples: Samples, form: AudioFormat) -> bytes:
    """(n, 1) int16 at the format's rate."""
    if isinstance(form, Pcm):
        return pcm.to_bytes(samples)
    return g711.encode(samples, "mu" if isinstance(form, Pcmu) else "a")


class Decoder:
    """Bytes of one stream in; half a sample waits for its other half."""

    def __init__(self, form: AudioFormat) -> None:
        self.form = form
        self.rate = rate_of(form)
        self._rest = b""

    def __call__(self, data: bytes) -> Samples:
        """(n, 1) int16; n may be 0."""
        if not isinstance(self.form, Pcm):
            return g711.decode(data, "mu" if isinstance(self.form, Pcmu) else "a")
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        try:
            return pcm.from_bytes(data[:whole], 1)
        except InvalidMedia:
            return np.zeros((0, 1), np.int16)


class Encoder:
    """Samples of a voice at any rate, as bytes of the format."""

    def __init__(self, form: AudioFormat) -> None:
        self.form = form
        self._converter = pcm.Converter(rate_of(form), 1)
        self._pts = 0
        self._rate = 0

    def __call__(self, samples: Samples, rate: int) -> bytes:
        if rate != self._rate:
            self._pts, self._rate = round(self._pts * rate / self._rate) if self._rate else 0, rate
        frame = AudioFrame(samples=samples, pts=self._pts, time_base=Fraction(1, rate), track="voice", rate=rate)
        self._pts += len(samples)
        converted = self._converter.convert(frame)
        return b"" if converted is None else encode(converted.samples, self.form)
