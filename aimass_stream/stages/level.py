"""Measure how loud sound is."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from ..events import AudioLevel
from ..frames import AudioFrame
from ..stage import Result
from ..stage_base import AUDIO, BaseStage, Params

FULL = 32768.0  # 0 dBFS: a square wave that fills 16 bits
FLOOR = -100.0  # dBFS, for digital silence; one bit is -90


class LevelParams(Params):
    rate: float = Field(10, ge=0.1, le=50, description="events a second of sound",
                        json_schema_extra={"unit": "1/s", "step": 0.1})


class Level(BaseStage[LevelParams]):
    """Sends `audio.level` events with mean (RMS) and peak of the sound since the last one; sound passes untouched."""

    accepts = AUDIO
    Params = LevelParams

    def __init__(self, params: LevelParams) -> None:
        super().__init__(params)
        self._forget()

    def _forget(self) -> None:
        self._power = 0.0  # sum over samples and channels
        self._values = 0  # samples times channels
        self._peak = 0.0
        self._seconds = 0.0

    async def process(self, frame: AudioFrame) -> Result:
        if frame.samples.size:
            wave = frame.samples.astype(np.float32)
            self._power += float(np.dot(wave.ravel(), wave.ravel()))
            self._values += wave.size
            self._peak = max(self._peak, float(np.abs(wave).max()))
            self._seconds += frame.duration
            # frames of 20 ms don't add up to 0.1 s exactly in binary
            if self._seconds >= 1 / self.params.rate - 1e-6:
                rms = math.sqrt(self._power / self._values)
                self.context.event(AudioLevel(rms=_dbfs(rms), peak=_dbfs(self._peak)), frame)
                self._forget()
        return frame


def _dbfs(value: float) -> float:
    return round(max(FLOOR, 20 * math.log10(value / FULL)), 2) if value > 0 else FLOOR
