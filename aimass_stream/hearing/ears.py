"""A stream of sound in; who speaks when, and what, out.

Two tasks: one follows the voice (0.1 ms for 32 ms of sound), so that speech is noticed at once however slow the
recogniser is; the other takes what is speech to the recogniser. In a pause the recogniser is asked for all of the
text, and by that text the length of the silence is chosen which ends the turn (`speech.turn`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import Busy
from ..frames import AudioFrame
from ..inference import Engine
from ..speech.audio import MOST_GAP, NOTHING, ToHearing
from ..speech.contract import Recognizer
from ..speech.endpoint import WINDOW as WINDOW_SECONDS
from ..speech.endpoint import Endpointer, EndpointSettings, Started, Stopped
from ..speech.turn import MOST, looks_finished, needed_silence
from ..speech.words import HEARING_RATE, Waveform
from .events import (
    Committed,
    EarEvent,
    HearingTrouble,
    Partial,
    SpeechBegan,
    SpeechEnded,
    TurnEnded,
    TurnLikely,
    TurnResumed,
)
from .recognition import Recognition
from .utterance import Utterance, shorten
from .vad import MOST_WINDOWS, WINDOW, Vad

__all__ = ["Committed", "EarEvent", "EarSettings", "Ears", "HearingTrouble", "Partial", "SpeechBegan", "SpeechEnded",
           "TurnEnded", "TurnLikely", "TurnResumed"]

BACKLOG = 30.0  # s of sound that may wait, for the detector and for the recogniser each
KEPT = 60.0  # s of an utterance's sound
PIECES = 4096  # of sound that may wait, for clients that send crumbs
JUMP = 0.05  # s: what media time may differ from the samples' count
SETTLE = 0.15  # s of silence after which the text is asked for; what follows is kept back
LIKELY = 0.2  # s of silence after which a reply may be begun
STALL = 1.0  # s without any sound, after which that counts as silence
BEHIND = 0.5  # s of waiting sound: it came faster than it was spoken


@dataclass(frozen=True, slots=True)
class EarSettings:
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    semantic: bool = True  # the words decide how long a silence ends the turn
    manual: bool = False  # push to talk: turns end by `commit` only, and no speech events are told
    keep_audio: bool = True  # in `TurnEnded`


class Ears:
    """Made for one track. Everything is called on the loop; events come by `output`, on the loop, in order."""

    def __init__(self, engine: Engine, recognizer: Recognizer | None, settings: EarSettings, *, session: str,
                 output: Callable[[EarEvent], None],
                 spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        """`spawn` runs a task for as long as the session lives. The recogniser is closed with the ears."""
        self.settings = settings
        self.dropped = 0.0  # s of sound that nobody heard, because it came faster than it could be heard
        self._output = output
        self._spawn = spawn
        self._vad = Vad(engine, session=session)
        self._recognition = Recognition(recognizer, output) if recognizer is not None else None
        self._tasks: list[asyncio.Task[None]] = []

        self._sound = ToHearing()
        self._clock: float | None = None  # media time of the next sample that comes out of `_sound`
        self._input = 0.0  # media time of the next sample that goes in
        self._stall = STALL
        self._pieces: deque[tuple[float, Waveform] | _Commit] = deque(maxlen=PIECES)
        self._waiting = 0.0  # s in `_pieces`
        self._news = asyncio.Event()

        self._endpointer = Endpointer(settings.endpoint)
        self._utterance: Utterance | None = None
        self._pre_roll: deque[tuple[float, Waveform]] = deque(maxlen=_windows(settings.endpoint))
        self._rest = NOTHING  # less than a window
        self._at = 0.0  # media time of the first sample of `_rest`
        self._used = 0.0  # media time up to which utterances have had the sound: none gets it twice
        self._epoch = 0  # counts what makes sound at hand worthless

    async def start(self) -> None:
        """Load the detector and begin to listen. A detector that can't be loaded is told, and loudness decides."""
        await self._vad.start()
        self._tell_vad("")
        self._tasks.append(self._spawn(self._listen(), "ears"))
        if self._recognition is not None:
            self._tasks.append(self._spawn(self._recognition.run(), "recogniser"))

    def hear(self, frame: AudioFrame) -> None:
        """The next frame of the track. Takes about 0.05 ms; the rest happens later."""
        wave = self._sound(frame)
        missing = frame.gap / frame.rate
        jump = frame.seconds - missing - self._input
        if self._clock is None:
            self._clock, self._input, jump = frame.seconds - missing, frame.seconds - missing, 0.0
        if abs(jump) > JUMP:
            self._clock += jump
            self._input += jump
        self._input += missing + frame.duration
        self._stall = max(STALL, 2 * frame.duration)
        self._put(wave)
        self._clock += max(0.0, missing - MOST_GAP)

    async def commit(self) -> TurnEnded | None:
        """The turn is over now. Answers when its words are there, with what is also told as an event.

        None: nothing was heard since the last turn (with `manual`: no sound at all; else: nobody spoke). Raises `Busy`
        when thousands wait.
        """
        if not self._tasks:
            return None
        self._put(self._sound.flush())
        commit = _Commit()
        if len(self._pieces) == PIECES and not self._drop():
            raise Busy("too many commits wait already")
        self._pieces.append(commit)
        self._news.set()
        await commit.taken.wait()
        if commit.utterance is None:
            return None
        await commit.utterance.done.wait()
        return commit.utterance.turn

    def clear(self) -> None:
        """Forget what was heard since the last turn. Nothing more is told of it; what was committed stays."""
        self._epoch += 1
        commits = [piece for piece in self._pieces if isinstance(piece, _Commit)]
        self._pieces.clear()
        self._waiting = 0.0
        for commit in commits:
            commit.taken.set()
        if self._utterance is not None:
            self._utterance.over = self._utterance.unwanted = True
            self._leave()
        self._forget()

    def update(self, settings: EarSettings) -> None:
        """Other settings from the next window on. Going to or from `manual` clears."""
        before, self.settings = self.settings, settings
        self._endpointer.settings = settings.endpoint
        self._pre_roll = deque(self._pre_roll, maxlen=_windows(settings.endpoint))
        if settings.manual != before.manual:
            self.clear()

    async def close(self) -> None:
        """Nothing more is told. A commit that waits gets None."""
        self.clear()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._vad.close()
        if self._recognition is not None:
            await self._recognition.close()

    @property
    def speaking(self) -> bool:
        """Between the begin of speech and the end of the silence after it."""
        return self._endpointer.speaking

    @property
    def silence(self) -> float:
        """s since the last voice, while `speaking`."""
        return self._endpointer.silence

    @property
    def voiced_until(self) -> float:
        """s of media time: the end of the last voice that was noticed, while `speaking`."""
        return self._endpointer.ended

    @property
    def backlog(self) -> float:
        """s of sound that nobody has listened to yet, for senders that can wait: some is dropped beyond 30."""
        waiting = 0 if self._utterance is None else len(self._utterance.waiting)
        return self._waiting + waiting * WINDOW_SECONDS

    @property
    def position(self) -> float:
        """s of media time: the end of what came in."""
        return self._input

    # sound -----------------------------------------------------------------------------------------

    def _put(self, wave: Waveform) -> None:
        if not len(wave):
            return
        assert self._clock is not None
        if len(self._pieces) == PIECES:
            self._drop()
        self._pieces.append((self._clock, wave))
        length = len(wave) / HEARING_RATE
        self._clock += length
        self._waiting += length
        while self._waiting > BACKLOG:
            self._drop()
        self._news.set()

    def _drop(self) -> bool:
        """The oldest sound that waits; False if there is none."""
        for index, piece in enumerate(self._pieces):
            if not isinstance(piece, _Commit):
                del self._pieces[index]
                self._waiting -= len(piece[1]) / HEARING_RATE
                self.dropped += len(piece[1]) / HEARING_RATE
                return True
        return False

    def _windows(self) -> tuple[float, Waveform]:
        """What waits without a jump in time, (n, 512), and the media time of its begin; n may be 0."""
        end = self._at + len(self._rest) / HEARING_RATE
        waves = [self._rest]
        room = MOST_WINDOWS * WINDOW - len(self._rest)
        while self._pieces and room > 0:
            piece = self._pieces[0]
            if isinstance(piece, _Commit) or abs(piece[0] - end) > JUMP:
                break
            self._pieces.popleft()
            waves.append(piece[1])
            room -= len(piece[1])
            end += len(piece[1]) / HEARING_RATE
            self._waiting -= len(piece[1]) / HEARING_RATE
        wave = np.concatenate(waves)
        count = min(len(wave) // WINDOW, MOST_WINDOWS)
        at, self._rest = self._at, wave[count * WINDOW :]
        self._at = end - len(self._rest) / HEARING_RATE
        return at, wave[: count * WINDOW].reshape(count, WINDOW)

    # listening -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            await self._wait()
            while self._pieces:
                piece = self._pieces[0]
                if isinstance(piece, _Commit):
                    self._pieces.popleft()
                    self._committed(piece)
                    continue
                if abs(piece[0] - self._at - len(self._rest) / HEARING_RATE) > JUMP:
                    self._jump(piece[0])
                await self._hear_windows(*self._windows())

    async def _wait(self) -> None:
        """Until there is something to hear. No sound at all is silence, too, after a while."""
        waits, since = self._stall, time.monotonic()
        while True:
            within = self._utterance is not None and not self.settings.manual
            try:
                async with asyncio.timeout(waits if within else None):
                    await self._news.wait()
                self._news.clear()
                return
            except TimeoutError:
                until = time.monotonic()
            if not self._pieces and self._utterance is not None:
                elapsed, since, waits = until - since, until, WINDOW_SECONDS
                self._follow(0.0, self._endpointer.ended + self._endpointer.silence, seconds=elapsed)

    async def _hear_windows(self, at: float, windows: Waveform) -> None:
        if not len(windows):
            return
        epoch = self._epoch
        if self.settings.manual:
            for number, window in enumerate(windows):
                self._record(window, at + number * WINDOW_SECONDS)
            return
        before = self._vad.failure
        probabilities = await self._vad.probabilities(windows)
        self._tell_vad(before)
        for number, probability in enumerate(probabilities):
            if epoch != self._epoch:
                return
            moment = at + number * WINDOW_SECONDS
            self._hear_window(windows[number], moment, probability)
            behind = self._waiting + (len(probabilities) - number) * WINDOW_SECONDS
            if behind > BEHIND:
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Sound that comes faster than it was spoken: in a pause the text is waited for, as if it were live."""
        utterance = self._utterance
        if self._recognition is None or utterance is None or utterance.waited:
            return
        if utterance.asked and not utterance.settled:
            utterance.waited = True
            await self._recognition.until_settled(utterance, MOST)

    def _hear_window(self, window: Waveform, at: float, probability: float) -> None:
        self._pre_roll.append((at, window))
        if self._utterance is not None:
            self._deliver(self._utterance, window, at + WINDOW_SECONDS)
        self._follow(probability, at)

    def _follow(self, probability: float, at: float, *, seconds: float = WINDOW_SECONDS) -> None:
        for change in self._endpointer.feed(probability, at, seconds=seconds, patience=self._patience()):
            if isinstance(change, Started):
                self._begin(change)
            else:
                self._end(change)
        utterance = self._utterance
        if utterance is None:
            return
        if self._endpointer.silence:
            self._pause(utterance)
        elif utterance.asked:
            self._resume(utterance, at + seconds)

    def _begin(self, started: Started) -> None:
        earliest = max(self._used, started.at - self.settings.endpoint.pre_roll_ms / 1000) - 1e-6
        sound = [(at, window) for at, window in self._pre_roll if at >= earliest]
        utterance = self._open(sound[0][0], started.at)
        for at, window in sound:
            self._deliver(utterance, window, at + WINDOW_SECONDS)
        self._output(SpeechBegan(started.at, started.noticed, utterance.name, started.probability))

    def _open(self, at: float, began: float) -> Utterance:
        utterance = self._utterance = Utterance(at, began)
        if self._recognition is not None:
            self._recognition.add(utterance)
        return utterance

    def _deliver(self, utterance: Utterance, window: Waveform, end: float) -> None:
        if self.settings.keep_audio:
            utterance.kept.append(window)
            shorten(utterance.kept, int(KEPT / WINDOW_SECONDS))
        if utterance.asked:
            utterance.held.append(window)
            return
        self._used = end
        if self._recognition is None:
            return
        utterance.waiting.append(window)
        self.dropped += shorten(utterance.waiting, int(BACKLOG / WINDOW_SECONDS)) * WINDOW_SECONDS
        self._recognition.wake()

    def _pause(self, utterance: Utterance) -> None:
        silence = self._endpointer.silence
        if self._recognition is None:
            return
        if silence >= SETTLE and not utterance.asked:
            utterance.asked = True
            self._recognition.wake()
        ready = self.settings.semantic and utterance.settled and not utterance.likely
        if ready and silence >= LIKELY and looks_finished(utterance.text):
            utterance.likely = True
            self._output(TurnLikely(utterance.text, utterance.heard, utterance.name))

    def _resume(self, utterance: Utterance, noticed: float) -> None:
        utterance.resume()
        self._used = noticed
        if self._recognition is not None:
            self._recognition.wake()
        if utterance.likely:
            utterance.likely = False
            self._output(TurnResumed(utterance.name, self._endpointer.ended - WINDOW_SECONDS, noticed))

    def _patience(self) -> float:
        """s of silence that end the turn, by what is known of its words."""
        usual = self.settings.endpoint.silence_ms / 1000
        utterance = self._utterance
        if utterance is None or self._recognition is None or not self.settings.semantic:
            return usual
        if not utterance.settled:
            return max(usual, MOST)  # the turn is of no use before its words are there
        return needed_silence(utterance.text, usual=usual) if utterance.text else usual

    def _end(self, stopped: Stopped) -> None:
        utterance = self._utterance
        assert utterance is not None
        self._finish(utterance, stopped.at)
        self._output(SpeechEnded(stopped.at, stopped.noticed, utterance.name, stopped.began, stopped.probability,
                                 stopped.voiced, stopped.cut))
        self._leave()

    def _finish(self, utterance: Utterance, ended: float) -> None:
        utterance.ended, utterance.endpointed = ended, time.monotonic()
        utterance.over = True

    def _leave(self) -> None:
        """The utterance is in the recogniser's hands; without one it is done."""
        utterance, self._utterance = self._utterance, None
        assert utterance is not None
        if self._recognition is not None:
            self._recognition.wake()
        else:
            if not utterance.unwanted:
                utterance.turn = utterance.ending(time.monotonic())
            utterance.done.set()

    def _record(self, window: Waveform, at: float) -> None:
        """Push to talk: all sound belongs to the turn."""
        self._deliver(self._utterance or self._open(at, at), window, at + WINDOW_SECONDS)

    def _committed(self, commit: _Commit) -> None:
        end = self._at + len(self._rest) / HEARING_RATE
        if self._utterance is None and self.settings.manual and len(self._rest):
            self._open(self._at, self._at)
        utterance = commit.utterance = self._utterance
        if utterance is not None:
            if len(self._rest):
                self._deliver(utterance, self._rest, end)
            if self._endpointer.speaking:
                self._end(self._endpointer.stop(end, cut=not self._endpointer.silence))
            else:
                self._finish(utterance, end)
                self._leave()
        self._used, self._at, self._rest = end, end, NOTHING
        commit.taken.set()

    def _jump(self, at: float) -> None:
        """Media time goes on elsewhere. A short gap is silence; after a long one nothing is as it was."""
        end = self._at + len(self._rest) / HEARING_RATE
        missing = at - end
        if self._utterance is not None and 0 < missing <= MOST_GAP:
            self._rest = np.concatenate([self._rest, np.zeros(round(missing * HEARING_RATE), np.float32)])
            self._at = at - len(self._rest) / HEARING_RATE
            return
        if self._utterance is not None and self._endpointer.speaking:
            self._end(self._endpointer.stop(end, cut=True))
        self._forget()
        self._at = self._used = at

    def _forget(self) -> None:
        self._endpointer.reset()
        self._pre_roll.clear()
        self._vad.reset()
        self._at += len(self._rest) / HEARING_RATE
        self._rest = NOTHING

    def _tell_vad(self, before: str) -> None:
        if self._vad.failure and not before:
            self._output(HearingTrouble("vad", self._vad.failure))


@dataclass(slots=True, eq=False)
class _Commit:
    """Stands among the sound where the turn is to end."""

    taken: asyncio.Event = field(default_factory=asyncio.Event)
    utterance: Utterance | None = None


def _windows(settings: EndpointSettings) -> int:
    """As many as the pre-roll and the begin of speech may need."""
    return int((settings.pre_roll_ms + settings.min_speech_ms) / 1000 / WINDOW_SECONDS) + 3
