"""A recogniser that knows beforehand what it will hear: for tests of what comes after. It counts seconds only.

`SCRIPT` has what the next utterances say, each for one that is over; "" is one in which nothing is understood.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aimass_stream.errors import ModelFailed
from aimass_stream.hearing.recognizers import Offer
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Heard, HearingAbilities
from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

ABILITIES = HearingAbilities(("en",), word_times=True, confidence=False, batching=False, hotwords=False,
                             translation=False)
SCRIPT: deque[str] = deque(maxlen=64)
BROKEN = "(broken)"  # the recogniser raises in place of this
PACE = 0.3  # s that a word takes


class Prompted:
    """Implements `speech.contract.Recognizer` and `hearing.recognizers.Opener`."""

    engine, model, abilities = "prompted", "script", ABILITIES

    @staticmethod
    def available(settings: Settings) -> tuple[list[Offer], str]:
        return [Offer("script", ABILITIES)], ""

    @classmethod
    async def open(cls, engine: Any, settings: Settings, **asked: Any) -> Prompted:
        return cls()

    async def begin(self, at: float) -> None:
        self._at, self._heard, self._told = at, 0.0, 0
        self._words = (SCRIPT.popleft() if SCRIPT else "").split()

    async def accept(self, audio: Waveform) -> Heard | None:
        if self._words == [BROKEN]:
            raise ModelFailed("the prompter says so")
        self._heard += len(audio) / HEARING_RATE
        return self._tell(int(self._heard / PACE) - 1)

    async def finish(self) -> Heard:
        if self._words == [BROKEN]:
            raise ModelFailed("the prompter says so")
        return self._tell(len(self._words)) or Heard()

    def _tell(self, until: int) -> Heard | None:
        fresh = self._words[self._told : until]
        if not fresh:
            return None
        begin, self._told = self._told, self._told + len(fresh)
        return Heard(tuple(Word(text, self._at + PACE * (begin + index), self._at + PACE * (begin + index + 1))
                           for index, text in enumerate(fresh)), language="en")

    async def close(self) -> None:
        """Nothing is held."""
