"""Whether a turn is a command: heard while it is spoken, asked in the silence that ends it, so that nobody waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from ..frames import AudioFrame
from ..hearing.commands import CommandEar, Listening
from ..speech.audio import ToHearing
from ..speech.grammar import Command
from ..speech.words import Waveform

ASKED = 0.2  # s of silence, after which the utterance may be all there is
BEFORE = 0.3  # s of sound before the speech that belong to it
PATIENCE = 1.5  # s that the end of a turn waits for the decision: without it the words are mostly wrong
KEPT = 2.0  # s of sound that wait for a speech to begin, or to go on: more than it takes to notice that
PIECES = 256  # frames of it


class CommandWatch:
    """For one track: `hear` every frame, `begin` with each speech, `decided` at its end; `close` it in the end."""

    def __init__(self, ear: CommandEar, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._ear, self._spawn = ear, spawn
        self._kept: deque[AudioFrame] = deque(maxlen=PIECES)
        self._listening: Listening | None = None
        self._hearing = ToHearing()
        self._answer: asyncio.Future[Command | None] | None = None

    def begin(self, at: float) -> None:
        """`at`: s of media time."""
        self.close()
        self._listening, self._answer, self._hearing = self._ear.listen(self._spawn), None, ToHearing()
        while self._kept and self._kept[0].seconds < at - BEFORE:
            self._kept.popleft()
        self._give()

    def hear(self, frame: AudioFrame, silence: float | None) -> None:
        """`silence` (s) is that since the last voice, None while nobody speaks."""
        self._kept.append(frame)
        while self._kept[0].seconds < frame.seconds - KEPT:
            self._kept.popleft()
        if self._listening is None or silence is None:
            return
        if self._answer is None:
            self._give()
            if silence >= ASKED:
                self._answer = self._ask(self._listening.decide())
        elif silence < ASKED / 2:
            self._answer = None  # it went on: what was asked before is of no use
            self._give()

    async def decided(self, audio: Waveform) -> Command | None:
        """The command that the turn was; `audio` is all of it, for a turn that began unnoticed."""
        listening, answer = self._listening, self._answer
        self._listening = self._answer = None
        if answer is None:
            answer = self._ask(self._ear.decide(audio) if listening is None else listening.decide())
        done, _ = await asyncio.wait([answer], timeout=PATIENCE)
        if listening is not None:
            listening.close()
        return answer.result() if done else None

    def close(self) -> None:
        """What is being heard is of no use any more."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _ask(self, asked: Coroutine[Any, Any, Command | None]) -> asyncio.Future[Command | None]:
        answer: asyncio.Future[Command | None] = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            command = await asked
            if not answer.done():
                answer.set_result(command)

        self._spawn(ask(), "command")
        return answer

    def _give(self) -> None:
        assert self._listening is not None
        while self._kept:
            self._listening.hear(self._hearing(self._kept.popleft()))
