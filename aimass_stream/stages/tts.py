"""Say what is written."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from weakref import WeakSet, WeakValueDictionary

import numpy as np
from pydantic import Field

from ..errors import AimassError, TooLarge
from ..events import SpeechSpoken, SpokenWord
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Kind, Samples, TextFrame, now
from ..speaking.speaker import Piece, Speaker
from ..speaking.voices import open_synthesizer, voice_id
from ..speech.contract import Manner, Synthesizer
from ..speech.resample import Resampler
from ..speech.words import Word
from ..stage import Context, Result
from ..stage_base import BaseStage, Params

log = logging.getLogger(__name__)

FRAME = AUDIO_RATE // 50  # samples of 20 ms
LEAD = 0.04  # s that sound leaves before it is due: what the loop may be late by
ENOUGH = AUDIO_RATE * 3 // 20  # samples that are there before speech begins: a first word may be short,
GRACE = 0.06  # s that are waited for them, at most
STORE = AUDIO_RATE  # samples that wait to leave; further ones are made when there is room
PATIENCE = 0.6  # s without a further word, then what there is of a clause is said
FRESH = 1.0  # s for which the last of a track's own sound tells where its clock is
MOST_CLAUSES = 256  # whose beginnings are to be told
SOUND_TRACK = "audio-0"
TIMES: dict[str, Any] = {"unit": "×", "step": 0.05}


class TtsParams(Params):
    engine: Literal["auto", "espeak", "piper", "tacotron2"] = Field(
        "auto", description="which voice engine; auto: the best that is really there")
    voice: str = Field("", max_length=128, description="an id of GET /v1/audio/voices, or a name such as alloy; empty: "
                       "the language's own")
    language: str = Field("en", max_length=35, description="BCP 47, where no voice is named")
    speed: float = Field(1.0, ge=0.25, le=4, description="times the voice's own", json_schema_extra=TIMES)
    pitch: float = Field(1.0, ge=0.5, le=2, description="times the voice's own", json_schema_extra=TIMES)
    volume: float = Field(1.0, ge=0, le=2, description="times the voice's own", json_schema_extra=TIMES)
    text: Literal["lines", "words", "pieces"] = Field(
        "lines", description="lines: each text is said as it stands. words: texts are some words of one that goes on, "
        "said clause by clause. pieces: the same, but their blanks are in them, as a language model gives them")
    track: str = Field("", max_length=64, pattern="^[A-Za-z0-9_-]*$", description="that the speech goes out on; empty: "
                       f"the text's own if that has sound, else {SOUND_TRACK}")


@dataclass(eq=False)
class _Outlet:
    """What the instances of this stage share about the track that speech goes out on: one sees its sound, one text."""

    media: tuple[float, float] | None = None  # s of the track's own clock, and when that was
    last: int = -1  # pts of the end of what has left
    voices: WeakSet[Tts] = field(default_factory=WeakSet)

    def clock(self) -> float | None:
        """The track's media time now, where its own sound tells."""
        if self.media is None or now() - self.media[1] > FRESH:
            return None
        return self.media[0] + now() - self.media[1]


_OUTLETS: WeakValueDictionary[tuple[str, str], _Outlet] = WeakValueDictionary()


@dataclass
class _Clause:
    text: str
    start: int  # samples at AUDIO_RATE since the speaker began
    begin: float  # s of the same, as its words count
    words: list[Word] = field(default_factory=list)
    complete: bool = False
    heard: float | None = None  # s of media time


class Tts(BaseStage[TtsParams]):
    """Speaks the text that passes: final texts as they come, in place of the sound of the track that it goes out on.

    Event `speech.spoken` for every clause, with the times of its words. Clauses are said as soon as they stand, and
    the next one is made while one is heard.
    """

    title = "Text to speech"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"text", "audio"})
    Params = TtsParams

    def __init__(self, params: TtsParams) -> None:
        super().__init__(params)
        self.underruns = 0  # times that sound was due and not made yet
        self._synthesizer: Synthesizer | None = None
        self._speaker: Speaker | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: AimassError | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._outlet = _Outlet()

    async def start(self, context: Context) -> None:
        """Raises `Unavailable` or `NotFound` when there is no such voice engine: it is started here, not at a text."""
        await super().start(context)
        self._find_outlet()
        await self._open()

    async def _open(self) -> None:
        engine = "" if self.params.engine == "auto" else self.params.engine
        self._synthesizer = await open_synthesizer(self.context.engine, self.context.settings, engine)

    async def process(self, frame: TextFrame | AudioFrame) -> Result:
        if isinstance(frame, AudioFrame):
            if self._track != self.context.track:
                return frame
            self._outlet.media = (frame.seconds + frame.duration, frame.arrived)
            return None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if frame.final:
            await self._say(frame)
        return frame

    def update(self, params: TtsParams) -> None:
        """From the next clause on; another engine or track ends what is being said."""
        before = self.params
        super().update(params)
        if (before.engine, before.track) != (params.engine, params.track):
            self.flushed()
            self._synthesizer = None
            self._find_outlet()
        elif self._speaker is not None and self._synthesizer is not None:
            self._speaker.manner = self._manner(self._synthesizer)

    def flushed(self) -> None:
        """Barge-in: the track's sound is thrown away, so nothing of it is said any more."""
        for voice in list(self._outlet.voices):
            voice.stop()

    def stop(self) -> None:
        """Say no more of what came so far; at once."""
        if self._patience is not None:
            self._patience.cancel()
        if self._speaker is not None:
            self._speaker.cancel()
            self._speaker = None
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def close(self) -> None:
        tasks = list(self._tasks)
        self.stop()
        if tasks:
            await asyncio.wait(tasks)

    # what is said ----------------------------------------------------------------------------------

    @property
    def _track(self) -> str:
        own = self.context.track
        return self.params.track or (own if own.startswith("audio") else SOUND_TRACK)

    def _find_outlet(self) -> None:
        self._outlet.voices.discard(self)
        self._outlet = _OUTLETS.setdefault((self.context.session, self._track), _Outlet())
        self._outlet.voices.add(self)

    def _manner(self, synthesizer: Synthesizer) -> Manner:
        params = self.params
        voice = voice_id(synthesizer, params.voice) or self.context.settings.voice
        return Manner(voice, params.language, params.speed, params.pitch, params.volume)

    async def _say(self, frame: TextFrame) -> None:
        if self._synthesizer is None:
            await self._open()
            assert self._synthesizer is not None
        if self._speaker is None or self._speaker.over:
            self.stop()
            self._speaker = Speaker(self._synthesizer, self._manner(self._synthesizer))
            player = _Player(self, self._speaker, frame.seconds + now() - frame.arrived)
            self._tasks = [self.context.spawn(player.read(), "read"), self.context.spawn(player.play(), "play")]
        try:
            self._speaker.say(f" {frame.text}" if self.params.text == "words" else frame.text)
        except TooLarge:
            self.context.drop("too_much_text")
            raise
        if self._patience is not None:
            self._patience.cancel()
        if self.params.text == "lines":
            self._speaker.flush()
        else:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE, self._speaker.flush)

    def failed(self, error: AimassError) -> None:
        """The client is told with the next text."""
        log.warning("%s: the voice failed: %s", self.context.session, error)
        self.context.drop("failed")
        self._failure = error

    def underrun(self) -> None:
        self.underruns += 1
        self.context.drop("underrun")

    def leave(self, samples: Samples, begin: float | None) -> float:
        """20 ms of speech on its way; answers their media time in s.

        `begin` is that of speech that begins, where no sound of the track tells it; speech that goes on has None.
        """
        pts = self._outlet.last
        if begin is not None:
            clock = self._outlet.clock()
            pts = max(pts, round((begin if clock is None else clock) * AUDIO_RATE))
        self._outlet.last = pts + len(samples)
        self.context.emit(AudioFrame(samples=samples, pts=pts, time_base=AUDIO_TIME_BASE, track=self._track))
        return pts / AUDIO_RATE

    def spoken(self, clause: _Clause) -> None:
        assert clause.heard is not None
        offset = clause.heard - clause.begin
        words = [SpokenWord(**word.moved(offset).json()) for word in clause.words]
        engine = self._synthesizer.name if self._synthesizer is not None else ""
        voice = self._speaker.manner.voice if self._speaker is not None else ""
        self.context.event(SpeechSpoken(text=clause.text, voice=voice, engine=engine, words=words))


class _Player:
    """The sound of one speaker: made as there is room for it, and let go of in real time."""

    def __init__(self, stage: Tts, speaker: Speaker, media: float) -> None:
        self._stage = stage
        self._speaker = speaker
        self._offset = media - now()  # s from the monotonic clock to the text's
        self._resample = Resampler(speaker.rate, AUDIO_RATE)
        self._waiting: deque[Samples] = deque(maxlen=1 << 16)
        self._stored = 0  # samples that wait
        self._read_in = 0  # samples of the speaker's rate
        self._left = 0  # samples that have left
        self._whole = False  # all that there was to say has been taken in: what comes is another utterance's
        self._clauses: deque[_Clause] = deque(maxlen=MOST_CLAUSES)
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def read(self) -> None:
        try:
            async with contextlib.aclosing(self._speaker.pieces()) as pieces:
                async for piece in pieces:
                    self._take(piece)
                    while self._stored > STORE:
                        self._room.clear()
                        await self._room.wait()
        except AimassError as error:
            self._stage.failed(error)

    def _take(self, piece: Piece) -> None:
        if piece.first:
            start = self._read_in * AUDIO_RATE // self._speaker.rate
            self._clauses.append(_Clause(piece.text, start, self._read_in / self._speaker.rate))
        if self._clauses:
            clause = self._clauses[-1]
            clause.words += piece.words
            clause.complete = clause.complete or piece.last
        self._read_in += len(piece.samples)
        self._store(self._resample(piece.samples))
        self._whole = piece.last and self._speaker.idle
        if self._whole:
            # nothing follows for now: what the resampler holds back must not wait for it
            self._store(self._resample(np.zeros((0, 1), np.int16), last=True))
            self._resample = Resampler(self._speaker.rate, AUDIO_RATE)
        self._tell()
        self._news.set()

    def _store(self, samples: Samples) -> None:
        if len(samples):
            self._waiting.append(samples)
            self._stored += len(samples)

    async def play(self) -> None:
        due, speaking = now(), False
        while True:
            if self._stored < FRAME and not (self._stored and self._speaker.idle):
                late_from = due if speaking and not self._whole else None
                self._news.clear()
                await self._news.wait()
                if late_from is not None and now() > late_from and not self._speaker.idle:
                    self._stage.underrun()
                speaking = False
                continue
            begin = None
            if not speaking:
                await self._gather()
                due, speaking = max(due, now()), True
                begin = due + self._offset
            self._begin(self._stage.leave(self._frame(), begin))
            self._left += FRAME
            due += FRAME / AUDIO_RATE
            await asyncio.sleep(max(0.0, due - LEAD - now()))

    async def _gather(self) -> None:
        """Wait for a little more than a first word, whose end would be heard before the next one comes."""
        try:
            async with asyncio.timeout(GRACE):
                while self._stored < ENOUGH and not self._speaker.idle:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            log.debug("%s: the voice is slow, and begins with what there is", self._stage.context.session)

    def _frame(self) -> Samples:
        """The next 20 ms; the last of them are filled up with silence."""
        parts, missing = [], FRAME
        while missing and self._waiting:
            samples = self._waiting.popleft()
            if len(samples) > missing:
                self._waiting.appendleft(samples[missing:])
                samples = samples[:missing]
            parts.append(samples)
            missing -= len(samples)
        self._stored -= FRAME - missing
        self._room.set()
        return np.concatenate([*parts, np.zeros((missing, 1), np.int16)])

    def _begin(self, moment: float) -> None:
        """The frame that has just left begins at this media time: so do the clauses in it."""
        for clause in self._clauses:
            if clause.heard is None and clause.start < self._left + FRAME:
                clause.heard = moment + max(0, clause.start - self._left) / AUDIO_RATE
        self._tell()

    def _tell(self) -> None:
        while self._clauses and self._clauses[0].complete and self._clauses[0].heard is not None:
            self._stage.spoken(self._clauses.popleft())
