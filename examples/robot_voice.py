"""A stage with a memory, for sound: `aimass dev examples/robot_voice.py`."""

import math

import numpy as np
from pydantic import Field

from aimass_stream.frames import AudioFrame
from aimass_stream.stage_base import AUDIO, BaseStage, Params


class RobotVoiceParams(Params):
    hertz: float = Field(50, ge=5, le=500, description="of the buzz", json_schema_extra={"unit": "Hz"})


class RobotVoice(BaseStage[RobotVoiceParams]):
    """Multiplies the voice by a sine (ring modulation), as the films did."""

    accepts = AUDIO
    Params = RobotVoiceParams

    def __init__(self, params: RobotVoiceParams) -> None:
        super().__init__(params)
        self._angle = 0.0  # rad; the sine goes on where the frame before left it, or each frame would click

    async def process(self, frame: AudioFrame) -> AudioFrame:
        step = math.tau * self.params.hertz / frame.rate
        angles = self._angle + step * np.arange(len(frame.samples))
        self._angle = (self._angle + step * len(frame.samples)) % math.tau
        return frame.replace(samples=(frame.samples * np.sin(angles)[:, None]).astype(np.int16))
