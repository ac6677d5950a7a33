"""G.711 (ITU-T G.711, 11/1988): telephone speech in 8 bits a sample at 8 kHz, mu-law and A-law, by tables of our own.

Both laws are piecewise linear with eight segments a sign; a table of all 65,536 samples is the quickest encoder.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..frames import Samples

RATE = 8000  # Hz

Law: TypeAlias = Literal["mu", "a"]
Octets: TypeAlias = NDArray[np.uint8]

_MU_BIAS, _MU_CLIP = 132, 32635  # 33 and 8159 on the 14-bit scale of table 2a, in 16 bits


def _mu_decoding() -> NDArray[np.int16]:
    """All 256 codes of table 2a; the bits of a code are inverted on the line (section 3.2)."""
    code = ~np.arange(256, dtype=np.uint8)
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = ((step * 8 + _MU_BIAS) << segment) - _MU_BIAS
    return np.where(code & 128, -size, size).astype(np.int16)


def _a_decoding() -> NDArray[np.int16]:
    """All 256 codes of table 1a; every second bit of a code is inverted on the line (section 3.1)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(segment == 0, step * 16 + 8, (step * 16 + 264) << np.maximum(segment - 1, 0))
    return np.where(code & 128, size, -size).astype(np.int16)


def _segment(size: NDArray[np.int32], lowest: int) -> NDArray[np.int32]:
    """Which of the eight segments a magnitude lies in: how often it can be halved before it fits `lowest` bits."""
    bits = np.frexp(size.astype(np.float64))[1]
    return np.asarray(np.clip(bits - lowest, 0, 7), np.int32)


def _mu_encoding() -> Octets:
    sample = np.arange(-32768, 32768, dtype=np.int32)
    size = np.minimum(np.abs(sample), _MU_CLIP) + _MU_BIAS
    segment = _segment(size, 8)
    code = (segment << 4) | ((size >> (segment + 3)) & 15) | np.where(sample < 0, 128, 0)
    return (~code.astype(np.uint8)).astype(np.uint8)


def _a_encoding() -> Octets:
    sample = np.arange(-32768, 32768, dtype=np.int32)
    size = np.where(sample < 0, -sample - 1, sample)  # the codes of table 1b are symmetric about -0.5
    segment = _segment(size, 8)
    step = (size >> np.where(segment == 0, 4, segment + 3)) & 15
    code = (segment << 4) | step | np.where(sample < 0, 0, 128)
    return (code.astype(np.uint8) ^ 0x55).astype(np.uint8)


_DECODING = {"mu": _mu_decoding(), "a": _a_decoding()}
_ENCODING = {"mu": _mu_encoding(), "a": _a_encoding()}  # index: the sample plus 32768


def encode(samples: Samples, law: Law) -> bytes:
    """(n, 1) int16 at any rate as n bytes."""
    return _ENCODING[law][samples[:, 0].astype(np.int32) + 32768].tobytes()


def decode(data: bytes, law: Law) -> Samples:
    """n bytes as (n, 1) int16."""
    samples: Samples = _DECODING[law][np.frombuffer(data, np.uint8)][:, None]
    return samples
