"""Tell when somebody speaks."""

from __future__ import annotations

from pydantic import Field

from ..errors import ModelFailed
from ..events import SpeechStarted, SpeechStopped
from ..frames import AudioFrame
from ..hearing.ears import EarEvent, Ears, EarSettings, HearingTrouble, SpeechBegan, SpeechEnded
from ..speech.endpoint import EndpointSettings
from ..stage import Context, Result
from ..stage_base import AUDIO, BaseStage, Params

HYSTERESIS = 0.15  # speech that has begun goes on down to this much below the threshold
LONGEST = 3600.0  # s of speech without a pause, then it stops and starts


class VadParams(Params):
    threshold: float = Field(0.5, ge=0.05, le=0.95, description="probability from which a sound is speech; what has "
                             "begun goes on down to 0.15 less", json_schema_extra={"unit": "probability", "step": 0.05})
    min_speech: float = Field(90, ge=0, le=2000, description="speech that is shorter is not told",
                              json_schema_extra={"unit": "ms", "step": 10})
    silence: float = Field(500, ge=50, le=10_000, description="silence after which the speech is over",
                           json_schema_extra={"unit": "ms", "step": 10})
    pre_roll: float = Field(0, ge=0, le=2000, description="how much earlier than the voice `speech.started` lies, for "
                            "those who cut there", json_schema_extra={"unit": "ms", "step": 10})


class Vad(BaseStage[VadParams]):
    """Sends `speech.started` and `speech.stopped` (Silero VAD, 32 ms at a time); sound passes untouched.

    Speech is told about `min_speech` after it began; the events' times are those of the speech itself. Should the
    model fail, the client is told, loudness over the background decides, and the model is tried again every 5 s.
    """

    title = "Voice activity"
    accepts = AUDIO
    Params = VadParams

    def __init__(self, params: VadParams) -> None:
        super().__init__(params)
        self._ears: Ears | None = None
        self._trouble = ""

    async def start(self, context: Context) -> None:
        await super().start(context)
        self._ears = Ears(context.engine, None, _settings(self.params), session=context.session, output=self._heard,
                          spawn=context.spawn)
        await self._ears.start()

    async def process(self, frame: AudioFrame) -> Result:
        """Raises `ModelFailed` once when the detector fails; listening goes on."""
        assert self._ears is not None
        self._ears.hear(frame)
        trouble, self._trouble = self._trouble, ""
        if trouble:
            raise ModelFailed(f"voice activity is decided by loudness: {trouble}")
        return frame

    def update(self, params: VadParams) -> None:
        super().update(params)
        if self._ears is not None:
            self._ears.update(_settings(params))

    async def close(self) -> None:
        if self._ears is not None:
            await self._ears.close()

    def _heard(self, event: EarEvent) -> None:
        if isinstance(event, SpeechBegan):
            at = max(0.0, event.at - self.params.pre_roll / 1000)
            self.context.event(SpeechStarted(at=round(at, 3)))
        elif isinstance(event, SpeechEnded):
            self.context.event(SpeechStopped(at=round(event.at, 3), duration=round(event.duration, 3)))
        elif isinstance(event, HearingTrouble):
            self._trouble = event.detail


def _settings(params: VadParams) -> EarSettings:
    endpoint = EndpointSettings(params.threshold, max(0.01, params.threshold - HYSTERESIS), params.min_speech,
                                params.silence, params.pre_roll, LONGEST)
    return EarSettings(endpoint, semantic=False, keep_audio=False)
