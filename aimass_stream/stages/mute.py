"""Silence, and black pictures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from ..frames import AudioFrame, Kind, VideoFrame
from ..stage import Result
from ..stage_base import BaseStage, Params, black


class MuteParams(Params):
    audio: bool = Field(True, description="replace sound by silence")
    video: bool = Field(False, description="replace pictures by black ones")


class Mute(BaseStage[MuteParams]):
    """Replaces sound by silence, pictures by black, or both. Timing and size stay, so nothing has to reconnect."""

    accepts: ClassVar[frozenset[Kind]] = frozenset({"audio", "video"})
    Params = MuteParams

    async def process(self, frame: AudioFrame | VideoFrame) -> Result:
        if isinstance(frame, AudioFrame):
            return frame.replace(samples=np.zeros_like(frame.samples)) if self.params.audio else frame
        return frame.replace(picture=black(frame.width, frame.height)) if self.params.video else frame
