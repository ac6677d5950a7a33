"""Where speech begins and ends, decided from a voice activity detector's probabilities. Pure: no clock, no sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

WINDOW = 512 / 16_000  # s a probability speaks for

MIN_RESUME = 0.06  # s: what is shorter is a click and does not interrupt a silence


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    threshold: float = 0.5  # probability from which a window is speech
    release: float = 0.35  # speech that has begun goes on above this
    min_speech_ms: float = 90.0  # of speech, before it counts as begun: three windows
    silence_ms: float = 500.0  # that ends it
    pre_roll_ms: float = 300.0  # of sound before the begin, for the recogniser
    max_utterance_s: float = 60.0  # then it is cut


@dataclass(frozen=True, slots=True)
class Started:
    at: float  # s of media time: begin of the first window of speech
    noticed: float  # s of media time: when `min_speech_ms` of it had been heard
    probability: float  # mean over those windows


@dataclass(frozen=True, slots=True)
class Stopped:
    at: float  # s of media time: end of the last window of speech
    noticed: float  # s of media time: when the silence had lasted long enough
    began: float  # s of media time
    probability: float  # mean over the windows of speech
    voiced: float  # s of windows of speech, pauses left out
    cut: bool = False  # it went on, but was too long

    @property
    def duration(self) -> float:
        """s from begin to end, pauses included."""
        return self.at - self.began


Change: TypeAlias = Started | Stopped


class Endpointer:
    """Hysteresis, a least length of speech, a least length of silence, a most length of all."""

    def __init__(self, settings: EndpointSettings | None = None) -> None:
        self.settings = settings or EndpointSettings()
        self.reset()

    def reset(self) -> None:
        """Nobody has spoken."""
        self.speaking = False
        self.silence = 0.0  # s since the last speech, while `speaking`
        self._began = 0.0
        self._ended = 0.0  # end of the last window of speech
        self._voiced = 0.0  # s
        self._total = 0.0  # probability times s
        self._run = 0.0  # s of the speech that may turn out to be a click
        self._run_total = 0.0

    @property
    def ended(self) -> float:
        """s of media time: where the last speech ended."""
        return self._ended

    def feed(self, probability: float, at: float, *, seconds: float = WINDOW, patience: float | None = None
             ) -> list[Change]:
        """The window that begins at `at` (s of media time). `patience` (s) replaces the settings' silence."""
        end = at + seconds
        if self.speaking:
            return self._within(probability, end, seconds, patience)
        return self._outside(probability, at, end, seconds)

    def stop(self, at: float, *, cut: bool = False) -> Stopped:
        """End the speech now, whatever is heard."""
        mean = self._total / self._voiced if self._voiced else 0.0
        stopped = Stopped(self._ended, at, self._began, mean, self._voiced, cut)
        self.reset()
        return stopped

    def _outside(self, probability: float, at: float, end: float, seconds: float) -> list[Change]:
        if probability < (self.settings.release if self._run else self.settings.threshold):
            self._run = self._run_total = 0.0
            return []
        if not self._run:
            self._began = at
        self._run += seconds
        self._run_total += probability * seconds
        if self._run * 1000 < self.settings.min_speech_ms:
            return []
        self.speaking = True
        self.silence = 0.0
        self._count(end)
        return [Started(self._began, end, self._total / self._voiced)]

    def _within(self, probability: float, end: float, seconds: float, patience: float | None) -> list[Change]:
        quiet = self.silence > 0
        if probability >= (self.settings.threshold if quiet and not self._run else self.settings.release):
            self._run += seconds
            self._run_total += probability * seconds
            if not quiet or self._run >= MIN_RESUME:
                self.silence = 0.0
                self._count(end)
        else:
            self._run = self._run_total = 0.0
            self.silence = max(end - self._ended, seconds)
        if end - self._began >= self.settings.max_utterance_s:
            return [self.stop(end, cut=not self.silence)]
        wanted = self.settings.silence_ms / 1000 if patience is None else patience
        if self.silence and not self._run and self.silence >= wanted - 1e-6:
            return [self.stop(end)]
        return []

    def _count(self, end: float) -> None:
        self._voiced += self._run
        self._total += self._run_total
        self._ended = end
        self._run = self._run_total = 0.0
