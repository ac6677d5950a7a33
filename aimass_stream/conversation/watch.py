"""Whether a turn is a command, asked in the silence that ends it, so that nobody waits for the answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from ..frames import AudioFrame
from ..hearing.commands import LONGEST, CommandEar
from ..speech.audio import to_hearing
from ..speech.grammar import Command
from ..speech.words import Waveform

ASKED = 0.2  # s of silence, after which the utterance may be all there is
BEFORE = 0.3  # s of sound before the speech that belong to it
PATIENCE = 1.5  # s that the end of a turn waits for the decision: without it the words are mostly wrong
PIECES = 1024  # of sound kept: more than the longest command


class CommandWatch:
    """For one track: `hear` every frame, `begin` with each speech, `decided` at its end."""

    def __init__(self, ear: CommandEar, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._ear, self._spawn = ear, spawn
        self._kept: deque[AudioFrame] = deque(maxlen=PIECES)
        self._began: float | None = None  # s of media time
        self._answer: asyncio.Future[Command | None] | None = None

    def begin(self, at: float) -> None:
        self._began, self._answer = at, None

    def hear(self, frame: AudioFrame, silence: float | None) -> None:
        """`silence` (s) is that since the last voice, None while nobody speaks."""
        self._kept.append(frame)
        while self._kept[0].seconds < frame.seconds - LONGEST - 2:
            self._kept.popleft()
        if self._began is None or silence is None:
            return
        if silence < ASKED / 2:
            self._answer = None  # it went on: what was asked before is of no use
        elif silence >= ASKED and self._answer is None:
            self._ask(self._sound(self._began - BEFORE))

    async def decided(self, audio: Waveform) -> Command | None:
        """The command that the turn was; `audio` is all of it, for a turn that ended without a silence."""
        if self._answer is None:
            self._ask(audio)
        answer, self._answer, self._began = self._answer, None, None
        assert answer is not None
        done, _ = await asyncio.wait([answer], timeout=PATIENCE)  # not cut off: others use the same decoder
        return answer.result() if done else None

    def _ask(self, audio: Waveform) -> None:
        answer: asyncio.Future[Command | None] = asyncio.get_running_loop().create_future()
        self._answer = answer

        async def ask() -> None:
            command = await self._ear.decide(audio)
            if not answer.done():
                answer.set_result(command)

        self._spawn(ask(), "command")

    def _sound(self, begin: float) -> Waveform:
        pieces = [frame.samples for frame in self._kept if frame.seconds >= begin]
        rate = self._kept[-1].rate
        return to_hearing(np.concatenate(pieces), rate) if pieces else np.zeros(0, np.float32)
