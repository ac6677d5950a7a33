"""The task beside the listening one: takes utterances to a recogniser, one after another, and tells their words."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from ..speech.contract import Heard, Pausing, Recognizer
from .events import Committed, EarEvent, HearingTrouble, Partial
from .utterance import Utterance

log = logging.getLogger(__name__)

MOST_WAITING = 16  # utterances; a recogniser that is further behind hears the oldest no more
MOST_FAILURES = 3  # in a row, then the rest of an utterance is not heard


class Recognition:
    """All that has gathered goes to the recogniser in one piece. If it raises, that piece is lost and no more."""

    def __init__(self, recognizer: Recognizer, output: Callable[[EarEvent], None]) -> None:
        self._recognizer = recognizer
        self._output = output
        self._pausing = recognizer if isinstance(recognizer, Pausing) else None
        self._utterances: deque[Utterance] = deque(maxlen=MOST_WAITING + 1)
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()

    def add(self, utterance: Utterance) -> None:
        self._utterances.append(utterance)
        if len(self._utterances) > MOST_WAITING:
            oldest = self._utterances[1]  # the first is being worked on
            del self._utterances[1]
            self._output(HearingTrouble("recognizer", f"{MOST_WAITING} utterances wait already: one is left out"))
            self._conclude(oldest)
        self._wanted.set()

    def wake(self) -> None:
        """An utterance has more sound, or another state."""
        self._wanted.set()

    async def until_settled(self, utterance: Utterance, most: float) -> None:
        """Wait until the text is all there; `most` s at most."""
        try:
            async with asyncio.timeout(most):
                while not utterance.settled and not utterance.over:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._utterances and await self._advance(self._utterances[0]):
                self._settled.set()

    async def close(self) -> None:
        """After `run` has ended."""
        for utterance in self._utterances:
            utterance.done.set()
        self._utterances.clear()
        await self._recognizer.close()

    async def _advance(self, utterance: Utterance) -> bool:
        """One step; False when there is nothing to do now."""
        utterance.busy = True
        try:
            moved = await self._step(utterance)
        except Exception as error:  # an engine's own, of any library: it must cost this piece of sound only
            self._failed(utterance, error)
            moved = True
        finally:
            utterance.busy = False
        if utterance.phase == "finished":
            self._utterances.popleft()
            self._conclude(utterance)
        return moved

    async def _step(self, utterance: Utterance) -> bool:
        hopeless = utterance.unwanted or utterance.failures >= MOST_FAILURES
        if hopeless:
            utterance.waiting.clear()
        if utterance.phase == "new" and not hopeless:
            await self._recognizer.begin(utterance.at)
            utterance.phase = "open"
        elif utterance.waiting:
            utterance.paused = False
            self._take(utterance, await self._recognizer.accept(utterance.take()))
            utterance.failures = 0
        elif utterance.over:
            begun, utterance.phase = utterance.phase == "open", "finished"  # also if it raises
            if begun:
                heard = await self._recognizer.finish()
                utterance.last, utterance.partial = tuple(heard.committed), ()
                utterance.language = heard.language or utterance.language
        elif utterance.asked and not utterance.paused:
            if self._pausing is not None and not hopeless:
                self._take(utterance, await self._pausing.pause())
            utterance.paused = utterance.asked  # unless the speech went on meanwhile
        else:
            return False
        return True

    def _take(self, utterance: Utterance, heard: Heard | None) -> None:
        if heard is None or utterance.unwanted:
            return
        before, utterance.partial = utterance.partial, tuple(heard.partial)
        utterance.words += heard.committed
        utterance.language = heard.language or utterance.language
        if heard.committed:
            self._output(Committed(utterance.name, tuple(heard.committed), utterance.language, False))
        if utterance.partial != before:
            self._output(Partial(utterance.name, utterance.partial, utterance.language))

    def _failed(self, utterance: Utterance, error: Exception) -> None:
        utterance.failures += 1
        log.warning("%s failed on an utterance, %d in a row", self._recognizer.engine, utterance.failures,
                    exc_info=error)
        if utterance.failures == 1:
            self._output(HearingTrouble("recognizer", f"{type(error).__name__}: {error}"))

    def _conclude(self, utterance: Utterance) -> None:
        if not utterance.unwanted:
            # where finishing failed, what was last thought to be said is better than nothing
            last = utterance.last or utterance.partial
            utterance.words += last
            self._output(Committed(utterance.name, last, utterance.language, True))
            utterance.turn = utterance.ending(time.monotonic())
            self._output(utterance.turn)
        utterance.done.set()
