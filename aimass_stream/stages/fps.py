"""Limit how many pictures a second go on."""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field

from ..frames import VideoFrame
from ..stage import Result
from ..stage_base import VIDEO, BaseStage, Params


class FpsParams(Params):
    max: float = Field(15, ge=0.1, le=240, description="pictures a second of media time; fewer are left as they are",
                       json_schema_extra={"unit": "1/s", "step": 0.1})


class Fps(BaseStage[FpsParams]):
    """Lets at most so many pictures a second through, counted in media time.

    Pictures are due at even steps, and each one within half a step of the next due time passes: a camera
    that is a little early or late loses nothing, and over time the rate is exact.
    """

    accepts = VIDEO
    Params = FpsParams

    def __init__(self, params: FpsParams) -> None:
        super().__init__(params)
        self._due: Fraction | None = None  # s
        self._last = Fraction(0)  # s

    async def process(self, frame: VideoFrame) -> Result:
        step = 1 / Fraction(self.params.max).limit_denominator(1001)  # 29.97 is 30000/1001
        time = frame.pts * frame.time_base
        if self._due is None or time < self._last:  # the sender's clock started anew
            self._due = time
        self._last = time
        if time < self._due - step / 2:
            return None
        # late pictures leave no credit behind: after a pause nothing comes faster
        self._due = max(self._due, time - step / 2) + step
        return frame

    def update(self, params: FpsParams) -> None:
        super().update(params)
        self._due = None
