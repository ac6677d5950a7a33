"""Hold frames back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import ClassVar, Literal

from pydantic import Field

from ..frames import AudioFrame, Frame, Kind, VideoFrame, now
from ..stage import Result
from ..stage_base import BaseStage, Params

MOST_FRAMES = 1024
MOST_BYTES = 256 * 1024 * 1024


class DelayParams(Params):
    ms: float = Field(200, ge=0, le=5000, description="how long a frame is held", json_schema_extra={
        "unit": "ms", "step": 10})
    mode: Literal["hold", "busy"] = Field(
        "hold", description="hold: every frame comes later, at the full rate. busy: one frame at a time is held, as "
        "a slow model would, so that the queue before this stage has to drop")


class Delay(BaseStage[DelayParams]):
    """Delays sound, pictures or text. For tests, and to see what a slow stage does to a session.

    At most 1024 frames or 256 MiB are held; beyond that the oldest goes on early and nothing is lost. Frames keep
    their order when the delay changes: a shorter one lets go at once of what is over it.
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"audio", "video", "text"})
    Params = DelayParams

    def __init__(self, params: DelayParams) -> None:
        super().__init__(params)
        # one more than MOST_FRAMES, because the oldest is let go of after the newest has come
        self._held: deque[tuple[float, Frame]] = deque(maxlen=MOST_FRAMES + 1)
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    async def process(self, frame: Frame) -> Result:
        if self.params.mode == "busy":
            await asyncio.sleep(self.params.ms / 1000)
            return frame
        self._held.append((now(), frame))
        self._bytes += _size(frame)
        self._release()
        return None

    def update(self, params: DelayParams) -> None:
        super().update(params)
        self._release()

    async def close(self) -> None:
        self._cancel()
        if self._held:
            self.context.drop("removed", len(self._held))
            self._held.clear()

    def _release(self) -> None:
        """Let go of all that is due, and come back when the next one is."""
        self._cancel()
        delay = self.params.ms / 1000 if self.params.mode == "hold" else 0.0
        while self._held:
            since, frame = self._held[0]
            full = len(self._held) > MOST_FRAMES or self._bytes > MOST_BYTES
            left = since + delay - now()
            if left > 0 and not full:
                self._timer = asyncio.get_running_loop().call_later(left, self._release)
                return
            self._held.popleft()
            self._bytes -= _size(frame)
            self.context.emit(frame)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _size(frame: Frame) -> int:
    """Bytes, about."""
    if isinstance(frame, VideoFrame):
        return frame.width * frame.height * 3 // 2
    return frame.samples.nbytes if isinstance(frame, AudioFrame) else len(frame.text)
