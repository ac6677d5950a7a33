"""Training windows, mixed on the fly: utterances with pauses, cut, worn, noisy, and what Whisper says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from bank import RATE, Samples, Utterance
from numpy.typing import NDArray
from tokenizers import Tokenizer

Sound: TypeAlias = NDArray[np.float32]
Shard: TypeAlias = tuple[Samples, list[Utterance]]
KATHLEEN_SHARE = 0.12
EMPTY_SHARE = 0.04
LETTERS = " abcdefghijklmnopqrstuvwxyz'"  # what the CTC head says; 0 is its blank
TICK = 0.02  # s of a time token
NOISE_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said without a break, as far as it lies inside the window."""

    start: float  # s
    end: float
    text: str
    words: list[tuple[float, float]]  # s; empty where not known


@dataclass(frozen=True, slots=True)
class Window:
    sound: Sound  # (samples,) at 16 kHz
    content: float  # s of sound; after it there is nothing
    blank: bool  # features after the content are zeros, as faster-whisper pads; else those of digital silence
    segments: list[Segment]
    before: str  # what was said before, for the prompt; may be empty
    ends_open: bool  # the last utterance goes on after a full window of 30 s


@dataclass(frozen=True, slots=True)
class Sequence:
    """Tokens for the decoder and for the loss."""

    inputs: list[int]
    targets: list[int]  # -100 where nothing is asked
    letters: list[int]


class Mixer:
    """Windows out of shards; one random generator."""

    def __init__(self, shards: list[Shard], extra: Shard | None, seed: int) -> None:
        self.shards, self.extra = shards, extra
        self.rng = np.random.default_rng(seed)
        self.noises = noise_bank(self.rng)

    def window(self, seconds: float, padded_to: float | None = None, augment: bool = True) -> Window:
        """A window of so many s; with `padded_to` all that comes after is silence, up to there."""
        rng = self.rng
        length = padded_to or seconds
        content = seconds if padded_to or rng.random() < 0.35 else rng.uniform(max(seconds - 2.0, 0.8), seconds)
        sound = np.zeros(round(length * RATE), np.float32)
        empty = rng.random() < EMPTY_SHARE
        segments, open_end = ([], False) if empty else self._fill(sound, content, content >= 29.9)
        sound[round(content * RATE) :] = 0
        if augment:
            sound = self._worn(sound, content, empty)
        before = " ".join(self._pick()[1].text for _ in range(int(rng.integers(1, 4)))) if rng.random() < 0.25 else ""
        return Window(sound, content, bool(rng.random() < 0.6), segments, before, open_end)

    def _pick(self) -> tuple[Samples, Utterance]:
        if self.extra is not None and self.rng.random() < KATHLEEN_SHARE:
            samples, utterances = self.extra
        else:
            samples, utterances = self.shards[int(self.rng.integers(len(self.shards)))]
        utterance = utterances[int(self.rng.integers(len(utterances)))]
        return samples[utterance.start : utterance.stop], utterance

    def _fill(self, sound: Sound, content: float, full: bool) -> tuple[list[Segment], bool]:
        """Put utterances into the window one after another; the first may begin before it, the last end after it."""
        rng = self.rng
        segments: list[Segment] = []
        at = float(rng.uniform(0, 0.5)) if rng.random() < 0.8 else float(rng.uniform(0, min(3.0, content / 2)))
        cut_first, ends_open = rng.random() < 0.3, False
        for attempt in range(40):
            samples, utterance = self._pick()
            seconds = len(samples) / RATE
            if cut_first and not segments and utterance.times:
                at = -float(rng.uniform(0, seconds * 0.8))
            if at + seconds > content and (not utterance.times or (segments and rng.random() < 0.4)):
                if attempt > 8 or at > content - 0.5:
                    break
                continue
            level = 10 ** (rng.uniform(-6, 6) / 20)
            _add(sound, samples, at, level)
            inside = _inside(utterance, seconds, at, content)
            if inside is not None:
                segments.append(inside)
                ends_open = full and at + seconds > content and len(segments) > 1
            at += seconds + (float(rng.uniform(0.05, 0.4)) if rng.random() < 0.5 else float(rng.uniform(0.3, 1.6)))
            cut_first = False
            if at >= content - 0.3:
                break
        return segments, ends_open

    def _worn(self, sound: Sound, content: float, empty: bool) -> Sound:
        """Room, telephone, tone colour, noise, level."""
        rng = self.rng
        if rng.random() < 0.6 and not empty:
            sound = self._coloured(sound)
        if rng.random() < 0.08 and not empty:
            for _ in range(int(rng.integers(1, 5))):
                samples, _ = self._pick()
                _add(sound, samples, float(rng.uniform(-1, max(content - 1, 0))), 10 ** (rng.uniform(-24, -12) / 20))
        if rng.random() < (0.9 if empty else 0.65):
            noise = self.noises[int(rng.integers(len(self.noises)))]
            first = int(rng.integers(len(noise)))
            noise = np.resize(np.roll(noise, -first), len(sound))
            decibel = rng.uniform(-60, -8) if empty else -float(rng.triangular(4, 22, 45))
            sound = sound + noise * np.float32(0.06 * 10 ** (decibel / 20))
        if rng.random() < 0.7:
            sound[round(content * RATE) :] = 0
        loud = 10 ** (rng.uniform(-24, 12) / 20) if rng.random() < 0.7 else 1.0
        return np.asarray(np.clip(sound * loud, -1, 1), np.float32)

    def _coloured(self, sound: Sound) -> Sound:
        """A random slow curve over frequency; sometimes the telephone's band, sometimes a room's echo."""
        rng = self.rng
        size = 1 << (len(sound) + RATE // 2 - 1).bit_length()
        spectrum = np.fft.rfft(sound, size)
        hertz = np.linspace(0, RATE / 2, len(spectrum))
        knots = np.array([0, 200, 500, 1000, 2000, 3500, 5500, 8000])
        decibel = np.interp(hertz, knots, rng.normal(0, 4, len(knots)))
        curve = 10 ** (decibel / 20)
        if rng.random() < 0.12:
            curve = np.where((hertz > 280) & (hertz < 3500), curve, curve * 0.003)
        spectrum = spectrum * curve
        if rng.random() < 0.35:
            decay = rng.uniform(0.02, 0.12)
            taps = np.arange(round(min(4 * decay, 0.45) * RATE))
            impulse = rng.normal(size=len(taps)) * np.exp(-taps / (decay * RATE)) * rng.uniform(0.01, 0.06)
            impulse[0] = 1
            spectrum = spectrum * np.fft.rfft(impulse, size)
        return np.asarray(np.fft.irfft(spectrum, size)[: len(sound)], np.float32)


def _add(sound: Sound, samples: Samples, at: float, level: float) -> None:
    """Mix in at a time, which may lie before the window."""
    first = round(at * RATE)
    skip = max(-first, 0)
    piece = samples[skip : len(sound) - first]
    if len(piece):
        sound[first + skip : first + skip + len(piece)] += piece.astype(np.float32) * np.float32(level / 32768)


def _inside(utterance: Utterance, seconds: float, at: float, content: float) -> Segment | None:
    """The words that lie wholly between 0 and the end of the content."""
    if not utterance.times:
        return Segment(at, at + seconds, utterance.text, [])
    words = utterance.text.split()
    kept = [index for index, (start, end) in enumerate(utterance.times) if start + at >= -0.01
            and end + at <= content + 0.01]
    if not kept:
        return None
    first, last = kept[0], kept[-1]
    times = [(max(start + at, 0.0), end + at) for start, end in utterance.times[first : last + 1]]
    return Segment(times[0][0], times[-1][1], " ".join(words[first : last + 1]), times)


def noise_bank(rng: np.random.Generator) -> list[Sound]:
    """Long noises of root mean square 1: white, pink, brown, hum, chords, knocks."""
    count = NOISE_SECONDS * RATE
    moments = np.arange(count) / RATE
    noises = []
    for slope in (0.0, 0.0, 0.5, 0.5, 1.0):
        spectrum = np.fft.rfft(rng.normal(size=count))
        spectrum /= np.maximum(np.arange(len(spectrum)), 800) ** slope
        noises.append(np.fft.irfft(spectrum, count))
    for base in (50, 60):
        tones = [rng.uniform(0.1, 1) * np.sin(2 * np.pi * base * part * moments) for part in range(1, 9)]
        noises.append(np.sum(tones, axis=0))
    chords = np.zeros(count)
    for start in range(0, count - RATE, RATE // 2):
        some = moments[: RATE]
        tone = sum(np.sin(2 * np.pi * 110 * 2 ** (int(rng.integers(0, 36)) / 12) * some) for _ in range(3))
        chords[start : start + RATE] += tone * np.exp(-3 * some)
    knocks = np.zeros(count)
    for start in rng.integers(0, count - RATE, NOISE_SECONDS):
        some = moments[: RATE // 4]
        knocks[start : start + len(some)] += rng.normal(size=len(some)) * np.exp(-some * rng.uniform(20, 200))
    return [np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32) for noise in (*noises, chords, knocks)]


_ENDS = ("endoftext", "startoftranscript", "startofprev")


class Writer:
    """What Whisper's decoder is to say of a window."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        known = tokenizer.get_vocab()
        self.end, self.start, self.previous = (known[f"<|{name}|>"] for name in _ENDS)
        self.nospeech, self.untimed, self.zero = known["<|nospeech|>"], known["<|notimestamps|>"], known["<|0.00|>"]

    def text(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(" " + text, add_special_tokens=False).ids)

    def write(self, window: Window, timed: bool, capped: bool) -> Sequence:
        """With time tokens if `timed`; `capped` keeps the first at 1 s, as Whisper's decoding rules do."""
        prompt = [self.previous, *self.text(window.before)[-100:]] if window.before else []
        said: list[int] = [] if timed else [self.untimed]
        for index, segment in enumerate(window.segments):
            if not timed:
                said += self.text(segment.text)
                continue
            start = min(segment.start, 1.0) if capped and index == 0 else segment.start
            said.append(self.time(start))
            if window.ends_open and index == len(window.segments) - 1:
                break
            said += [*self.text(segment.text), self.time(max(segment.end, start + TICK))]
        if not window.segments and timed:
            said = [self.zero]
        inputs = [*prompt, self.start, *said]
        targets = [-100] * len(prompt) + [*said, self.end]
        if not window.segments:
            targets[len(prompt)] = self.nospeech
        text = " ".join(segment.text for segment in window.segments).lower()
        letters = [LETTERS.index(letter) + 1 for letter in text if letter in LETTERS]
        return Sequence(inputs, targets, letters)

    def time(self, seconds: float) -> int:
        return self.zero + min(max(round(seconds / TICK), 0), 1500)
