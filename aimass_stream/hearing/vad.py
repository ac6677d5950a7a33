"""Voice activity of one stream: Silero in the inference engine, or a gate by loudness while that fails."""

from __future__ import annotations

import itertools
import logging
import math
import time

import numpy as np

from ..errors import AimassError
from ..inference import Engine
from ..speech.words import HEARING_RATE, Waveform

log = logging.getLogger(__name__)

MODEL = "silero-vad"
WINDOW = 512  # samples
MOST_WINDOWS = 64  # in one request

# after a minute of silence the network notices a voice up to 0.35 s late; with a fresh state it does at once
STALE = 150  # windows of silence
QUIET = 0.1  # probability

AGAIN = 5.0  # s until a detector that failed is tried anew
FLOOR_RISE = 1.5 * WINDOW / HEARING_RATE  # dB a window: the gate's idea of the background follows rising noise slowly
OVER_FLOOR = 12.0  # dB above the background: as likely speech as not
SLOPE = 3.0  # dB
QUIETEST, LOUDEST_FLOOR = -60.0, -25.0  # dBFS the background is held between


COUNTER = itertools.count()


class Vad:
    """The stream's place in the shared detector. Nothing here raises on account of the model."""

    def __init__(self, engine: Engine, *, session: str) -> None:
        self._engine = engine
        self._session = session
        self._state = self._new_state()
        self._gate = Gate()
        self._quiet = 0  # windows
        self._retry = math.inf  # s, monotonic: when to try the model again; inf: it is well
        self.failure = ""  # why the gate is in use; empty: it is not

    async def start(self) -> None:
        """Load the detector. If it can't be, the gate decides, and `failure` says why."""
        try:
            await self._engine.load(MODEL)
        except AimassError as error:
            self._failed(error)
        else:
            self._retry, self.failure = math.inf, ""

    async def probability(self, window: Waveform) -> float:
        """Of speech in the next 512 samples, (512,) at 16 kHz."""
        return (await self.probabilities(window[None]))[0]

    async def probabilities(self, windows: Waveform) -> list[float]:
        """The same for windows that follow each other, (n, 512), at once."""
        gated = [self._gate.probability(window) for window in windows]
        if time.monotonic() >= self._retry:
            await self.start()
        if self.failure:
            return gated
        state = self._state
        try:
            answers = [await self._engine.submit(MODEL, {"sound": windows[begin : begin + MOST_WINDOWS]},
                                                 session=self._session, state=state)
                       for begin in range(0, len(windows), MOST_WINDOWS)]
        except AimassError as error:
            if state is self._state:  # else it was given back meanwhile, and nobody wants this any more
                self._failed(error)
            return gated
        found = [float(probability) for answer in answers for probability in answer["probability"]]
        self._refresh(found)
        return found

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        self._quiet = 0
        before, self._state = self._state, self._new_state()
        self._engine.forget(MODEL, before)

    async def close(self) -> None:
        self._engine.forget(MODEL, self._state)

    def _refresh(self, found: list[float]) -> None:
        for probability in found:
            self._quiet = self._quiet + 1 if probability < QUIET else 0
        if self._quiet >= STALE:
            self.reset()

    def _new_state(self) -> str:
        return f"{self._session}/vad/{next(COUNTER)}"

    def _failed(self, error: AimassError) -> None:
        log.warning("voice activity of %s is decided by loudness: %s", self._session, error)
        self._retry, self.failure = time.monotonic() + AGAIN, str(error)


class Gate:
    """Voice activity by loudness over a background that it learns. Knows nothing of voices; better than deaf."""

    def __init__(self) -> None:
        self._floor = -45.0  # dBFS

    def probability(self, window: Waveform) -> float:
        power = float(np.mean(np.square(window)))
        level = 10 * math.log10(power) if power > 1e-12 else -120.0
        floor = min(self._floor + FLOOR_RISE, level) if level < self._floor + OVER_FLOOR else self._floor + FLOOR_RISE
        self._floor = min(max(floor, QUIETEST), LOUDEST_FLOOR)
        return 1 / (1 + math.exp(-(level - self._floor - OVER_FLOOR) / SLOPE))
