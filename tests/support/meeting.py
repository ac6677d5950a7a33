"""What tests of rooms share: clips that people say, and sounds and pictures as tracks of stock aiortc."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from aimass_stream.frames import AUDIO_RATE, Samples

PACKET = AUDIO_RATE // 50  # samples: 20 ms


class Voice(MediaStreamTrack):  # type: ignore[misc]
    """Silence; `say` puts a clip into it. `said_at` is when its last sample went to the encoder, s, monotonic."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.said_at = 0.0
        self._clip: Samples = np.zeros((0, 1), np.int16)
        self._count = 0
        self._start: float | None = None

    def say(self, clip: Samples) -> None:
        self._clip = clip

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._start is None:
            self._start = time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self._count * 0.02 - time.monotonic()))
        piece: np.ndarray[Any, np.dtype[np.int16]] = np.zeros((PACKET, 1), np.int16)
        if len(self._clip):
            said, self._clip = self._clip[:PACKET], self._clip[PACKET:]
            piece[: len(said)] = said
            self.said_at = time.monotonic()
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self._count * PACKET, Fraction(1, AUDIO_RATE)
        self._count += 1
        return frame
