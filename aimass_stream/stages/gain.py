"""Make sound louder or softer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..frames import AudioFrame, Samples
from ..stage import Result
from ..stage_base import AUDIO, BaseStage, Params

FULL = 32767.0
KNEE = 0.7 * FULL  # above this an amplified wave is bent instead of cut off (about -3 dBFS)


class GainParams(Params):
    db: float = Field(0, ge=-60, le=40, description="gain; 0 leaves the sound as it is",
                      json_schema_extra={"unit": "dB", "step": 0.5})


class Gain(BaseStage[GainParams]):
    """Changes the loudness. Amplified peaks are clipped softly, and a change glides over one frame."""

    accepts = AUDIO
    Params = GainParams
    phrases = {"[make it|a bit|a little|much|speak] louder": {"db": "+6"}, "(speak up|volume up)": {"db": "+6"},
               "turn (it|the volume|the sound) up": {"db": "+6"}, "turn up the (volume|sound)": {"db": "+6"},
               "[make it|a bit|a little|much|speak|be] (quieter|softer)": {"db": "-6"}, "volume down": {"db": "-6"},
               "turn (it|the volume|the sound) down": {"db": "-6"}, "turn down the (volume|sound)": {"db": "-6"},
               "[the] normal volume": {"db": 0}}

    def __init__(self, params: GainParams) -> None:
        super().__init__(params)
        self._factor = _factor(params.db)  # at the end of the last frame

    async def process(self, frame: AudioFrame) -> Result:
        target = _factor(self.params.db)
        if not len(frame.samples) or (target == 1 and self._factor == 1):
            return frame
        # a step in loudness would click: go there evenly over this frame
        ramp = np.linspace(self._factor, target, len(frame.samples), dtype=np.float32)[:, None]
        amplified = frame.samples * ramp
        if max(self._factor, target) > 1:
            amplified = _soft_clip(amplified)
        self._factor = target
        return frame.replace(samples=_rounded(amplified))


def _factor(db: float) -> float:
    return float(10 ** (db / 20))


def _soft_clip(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Straight up to the knee, then ever flatter towards full scale, without a corner."""
    size = np.abs(wave)
    room = FULL - KNEE
    bent = KNEE + room * np.tanh((size - KNEE) / room)
    return np.where(size > KNEE, np.copysign(bent, wave), wave).astype(np.float32)


def _rounded(wave: NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
