"""Reply sound at the pace of the microphone: each frame that comes in is answered by a piece of the reply as long.

So the reply is paced by the client's own clock, keeps in step with pictures, and it is known to the sample what has
been played. A client that sends no sound (muted) is served by a timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..frames import AUDIO_RATE, AudioFrame, Samples, now
from ..speech.resample import Resampler
from ..speech.words import Word

FRAME = 0.02  # s a frame of the timer
SILENT = 0.06  # s without a frame of the microphone, then the timer plays
FADE = 240  # samples (5 ms), so that stopping and going on does not click
BEHIND = 3.0  # s of played sound kept, for going back
AHEAD = 6.0  # s of sound that may wait
GIVEN = 256  # frames of the timer that are remembered, 5 s
LONGEST_GAP = 2.0  # s of lost frames in which it is known what was played
ON_ITS_WAY = 0.06  # s between a frame's leaving and its being heard, at the least: a word cut there was not heard


@dataclass(slots=True)
class Clause:
    """A clause of a reply and where its sound lies, in samples of the reply at AUDIO_RATE."""

    text: str
    begin: int
    end: int
    words: list[Word] = field(default_factory=list)  # times from the reply's begin


class Utterance:
    """One reply's sound, growing while it is played."""

    def __init__(self, turn: str, rate: int) -> None:
        """`rate` is that of what comes, Hz."""
        self.turn = turn
        self.clauses: list[Clause] = []
        self.played = 0  # samples
        self.length = 0  # samples there so far
        self.finished = False  # no more will come
        self.first_played: float | None = None  # s, monotonic
        self._resample = Resampler(rate, AUDIO_RATE)
        self._pieces: deque[tuple[int, Samples]] = deque(maxlen=4096)  # (place of the first sample, samples)
        self._room = asyncio.Event()
        self._told = 0  # clauses whose begin was told
        self._fresh = True  # the next samples out fade in

    def add(self, samples: Samples, text: str = "", words: tuple[Word, ...] = (), *, first: bool = False) -> None:
        """The next piece, (n, 1) int16. `first`: of a clause."""
        if self.finished:
            return
        if first or not self.clauses:
            self.clauses.append(Clause(text, self.length, self.length))
        self._append(self._resample(samples))
        self.clauses[-1].words += words
        self.clauses[-1].end = self.length

    def finish(self) -> None:
        if not self.finished:
            self._append(self._resample(np.zeros((0, 1), np.int16), last=True))
            self.finished = True
            self._room.set()

    def _append(self, samples: Samples) -> None:
        if len(samples):
            self._pieces.append((self.length, samples))
            self.length += len(samples)

    async def room(self) -> None:
        """Wait until more sound is of use."""
        while self.length - self.played > AHEAD * AUDIO_RATE and not self.finished:
            self._room.clear()
            await self._room.wait()

    def take(self, count: int) -> Samples:
        """The next samples, fewer where they are not there yet."""
        wanted = self.played + count
        parts = [samples[max(0, self.played - at) : wanted - at] for at, samples in self._pieces
                 if at < wanted and at + len(samples) > self.played]
        taken = np.concatenate(parts) if parts else np.zeros((0, 1), np.int16)
        if self._fresh and len(taken):
            self._fresh, taken = False, _faded(taken, rising=True)
        self.played += len(taken)
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) < self.played - BEHIND * AUDIO_RATE:
            self._pieces.popleft()
        self._room.set()
        return taken

    @property
    def over(self) -> bool:
        return self.finished and self.played >= self.length

    def begun(self) -> list[Clause]:
        """Clauses that have begun to be played since the last call."""
        found = []
        while self._told < len(self.clauses) and self.clauses[self._told].begin < self.played:
            found.append(self.clauses[self._told])
            self._told += 1
        return found

    def back(self) -> None:
        """To the begin of the word that was cut off, so that it can be understood when it goes on."""
        at = self.played / AUDIO_RATE
        words = [word for clause in self.clauses for word in clause.words if word.start <= at]
        start = words[-1].start if words and at - words[-1].start < 0.8 else at - 0.25
        kept = self._pieces[0][0] if self._pieces else self.played
        self.played = max(kept, min(self.played, int(start * AUDIO_RATE)), 0)
        self._fresh = True

    def heard(self) -> str:
        """The words that have reached the user, as they were written."""
        end = self.played - int(ON_ITS_WAY * AUDIO_RATE)
        texts = []
        for clause in self.clauses:
            if clause.end <= end:
                texts.append(clause.text)
            elif clause.begin < end:
                texts.append(_begin_of(clause, end))
        return " ".join(text for text in texts if text)


class Player:
    """`answer` is called for every frame of the microphone. One utterance at a time."""

    def __init__(self, emit: Callable[[AudioFrame], None], *, on_clause: Callable[[Utterance, Clause, float], None],
                 on_over: Callable[[Utterance], None]) -> None:
        """`emit` takes frames that the timer makes; `on_clause` gets the media time (s) at which a clause begins."""
        self._emit, self._on_clause, self._on_over = emit, on_clause, on_over
        self.utterance: Utterance | None = None
        self.paused = False
        self.underruns = 0  # frames that a reply's sound came too late for
        self._last: AudioFrame | None = None  # the newest frame of the microphone
        self._until = 0.0  # s of media time up to which sound was given out
        self._playing = asyncio.Event()
        self._given: deque[AudioFrame] = deque(maxlen=GIVEN)  # by the timer
        self._tail: Samples = np.zeros((0, 1), np.int16)  # of what was stopped: it fades out in the next frame

    @property
    def active(self) -> bool:
        """A reply is being heard, or is held in the middle."""
        return self.utterance is not None and self.utterance.first_played is not None

    def play(self, utterance: Utterance) -> None:
        """In place of whatever played."""
        self.utterance, self.paused = utterance, False
        self._playing.set()

    def pause(self) -> None:
        """Silence from the next frame on, until `resume`."""
        if not self.paused:
            self._fade_out()
        self.paused = True

    def resume(self) -> None:
        """Go on at the word that was cut off."""
        if self.utterance is not None and self.paused:
            self.utterance.back()
        self.paused = False

    def stop(self) -> Utterance | None:
        """Silence from now on; answers what was cut off."""
        if not self.paused:
            self._fade_out()
        utterance, self.utterance = self.utterance, None
        self.paused = False
        self._playing.clear()
        return utterance

    def answer(self, frame: AudioFrame) -> AudioFrame | None:
        """The frame that goes back for this one: of the same media time and length, 48 kHz mono.

        None where the timer has already given out this time.
        """
        self._last = frame
        if frame.seconds < self._until - FRAME / 2:
            return None
        return self._frame(frame, frame.pts, frame.duration)

    def beside(self, frame: AudioFrame, answer: AudioFrame | None) -> AudioFrame:
        """What was given out in this frame's time, by its `answer` or by the timer, and in the gap before it."""
        missing = min(frame.gap / frame.rate, LONGEST_GAP)
        parts = [self._given_at(frame.seconds - missing, missing)] if missing else []
        parts.append(answer.samples if answer is not None else self._given_at(frame.seconds, frame.duration))
        return frame.replace(samples=np.concatenate(parts), rate=AUDIO_RATE)

    def _given_at(self, seconds: float, duration: float) -> Samples:
        """By the timer; silence where that gave nothing."""
        begin, count = round(seconds * AUDIO_RATE), round(duration * AUDIO_RATE)
        samples: Samples = np.zeros((count, 1), np.int16)
        for each in self._given:
            at = round(each.seconds * AUDIO_RATE)
            start, end = max(at, begin), min(at + len(each.samples), begin + count)
            if start < end:
                samples[start - begin : end - begin] = each.samples[start - at : end - at]
        return samples

    async def run(self) -> None:
        """Plays while the microphone is silent. Runs as long as the track."""
        while True:
            await self._playing.wait()
            last = self._last
            if last is None or now() - last.arrived < SILENT:
                await asyncio.sleep(SILENT if last is None else max(0.005, last.arrived + SILENT - now()))
                continue
            begun, count = now(), 0
            begin = max(self._until, last.seconds + last.duration)
            while last is self._last and self._playing.is_set():
                pts = round((begin + count * FRAME) / last.time_base)
                self._given.append(self._frame(last, pts, FRAME))
                self._emit(self._given[-1])
                count += 1
                await asyncio.sleep(max(0.0, begun + count * FRAME - now()))

    def _fade_out(self) -> None:
        if self.active and self.utterance is not None:
            self._tail = _faded(self.utterance.take(FADE), rising=False)

    def _frame(self, like: AudioFrame, pts: int, duration: float) -> AudioFrame:
        count = round(duration * AUDIO_RATE)
        seconds = pts * like.time_base.numerator / like.time_base.denominator
        samples = self._samples(count, seconds)
        self._until = max(self._until, seconds + duration)
        return like.replace(samples=samples, rate=AUDIO_RATE, pts=pts, gap=0, notes={})

    def _samples(self, count: int, seconds: float) -> Samples:
        utterance = self.utterance
        silence: Samples = np.zeros((count, 1), np.int16)
        if len(self._tail):
            tail, self._tail = self._tail[:count], self._tail[:0]
            silence[: len(tail)] = tail
        if utterance is None or self.paused:
            return silence
        taken = utterance.take(count)
        if len(taken) and utterance.first_played is None:
            utterance.first_played = now()
        for clause in utterance.begun():
            late = max(0, clause.begin - (utterance.played - len(taken)))
            self._on_clause(utterance, clause, seconds + late / AUDIO_RATE)
        if utterance.over:
            self.utterance = None
            self._playing.clear()
            self._on_over(utterance)
        elif len(taken) < count and utterance.first_played is not None:
            self.underruns += 1
        if len(taken) < count:
            silence[: len(taken)] = taken
            return silence
        return taken


def _begin_of(clause: Clause, end: int) -> str:
    """As many of the clause's words as were heard up to `end` (samples). Written words may be said as several."""
    written = clause.text.split()
    if clause.words:
        seconds = end / AUDIO_RATE
        share = sum((word.start + word.end) / 2 <= seconds for word in clause.words) / len(clause.words)
    else:
        share = (end - clause.begin) / max(1, clause.end - clause.begin)
    return " ".join(written[: int(share * len(written) + 1e-6)])


def _faded(samples: Samples, *, rising: bool) -> Samples:
    count = min(FADE, len(samples))
    ramp = np.linspace(0, 1, count)[:, None]
    faded = samples.copy()
    if rising:
        faded[:count] = (faded[:count] * ramp).astype(np.int16)
    else:
        faded[-count:] = (faded[-count:] * ramp[::-1]).astype(np.int16)
    return faded
