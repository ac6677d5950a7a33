"""Limit how many pictures a second go on."""

from __future__ import annotations

from pydantic import Field

from ..frames import VideoFrame
from ..stage import Result
from ..stage_base import VIDEO, BaseStage, Params


class FpsParams(Params):
    max: float = Field(15, ge=0.1, le=240, description="pictures a second of media time; fewer are left as they are",
                       json_schema_extra={"unit": "1/s", "step": 0.1})


class Fps(BaseStage[FpsParams]):
    """Lets at most so many pictures a second through, counted in media time.

    Pictures are due at even steps, and the one nearest to each due moment passes: a camera that is a little
    early or late loses nothing, and over time the rate is exact.
    """

    title = "Frame rate"
    accepts = VIDEO
    Params = FpsParams

    def __init__(self, params: FpsParams) -> None:
        super().__init__(params)
        self._due: float | None = None  # s
        self._last = 0.0  # s, the picture before
        self._spacing = 0.0  # s between pictures that come in, smoothed, at most the step between those that go out

    async def process(self, frame: VideoFrame) -> Result:
        time, step = frame.seconds, 1 / self.params.max
        if self._due is None or time < self._last:  # the first one, or the sender's clock started anew
            self._due = time
        else:
            spacing = min(time - self._last, step)
            self._spacing = min(step, self._spacing + 0.2 * (spacing - self._spacing) if self._spacing else spacing)
        self._last = time
        early = self._spacing / 2 + 1e-6  # the next picture is farther from the due moment than this one
        if time + early < self._due:
            return None
        # pictures that come late leave no credit behind: after a pause nothing comes faster
        self._due = max(self._due, time - early) + step
        return frame

    def update(self, params: FpsParams) -> None:
        super().update(params)
        self._due = None
