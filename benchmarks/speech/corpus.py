"""What is said to the servers: sentences of the bundled voices with the times of their words, and real speech."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from aimass_stream.frames import Samples
from aimass_stream.inference import Engine, installed
from aimass_stream.settings import Settings
from aimass_stream.speaking.voices import open_synthesizer
from aimass_stream.speech.audio import to_hearing
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.words import HEARING_RATE, Waveform, Word

SHARED = Path(__file__).parents[3] / "shared" / "data"  # real speech, where it is there

# Sentences in the words that the nano model knows, in none of its training patterns' order; the same for every server.
SENTENCES = (
    "The old man walked down to the river before the sun came up.",
    "Nobody knew why the train was late again this morning.",
    "Please put the red book back on the table near the window.",
    "My sister bought three apples and a bottle of milk at the market.",
    "We should leave now because the road will be busy after five.",
    "He asked the teacher a question, but she did not know the answer.",
    "The children played in the garden until it was dark.",
    "Can you tell me how far it is to the next town?",
    "I think that it will rain tomorrow, so take your coat.",
    "She wrote a long letter to her friend in the city.",
    "The dog slept under the chair all day long.",
    "Turn off the light in the kitchen when you go to bed.",
    "Twenty seven people came to the meeting on Monday.",
    "They built a small house on the hill last summer.",
    "What did you say about the picture on the wall?",
    "The water in the lake was cold and very clear.",
    "Set a timer for ten minutes and call me back.",
    "Every night the same bird sings outside my window.",
    "It is hard to read without a good light.",
    "Open the door and let the fresh air come in.",
    "The young woman gave the money to the man at the door.",
    "Half of the money was gone before the week was over.",
    "Do you remember the name of the street where we lived?",
    "His father worked in the same office for thirty years.",
)
# the first four of these voices read in the training of the nano model, the last four never do
KNOWN_VOICES = 4
VOICES = ("en-us", "en-gb", "en-us+f3", "en-us+m3", "en-us+f5", "en-gb+m7", "en-us+Alicia", "en-gb-x-rp+f4")


@dataclass(frozen=True)
class Stream:
    """Sound at HEARING_RATE with what is said in it. `ends`: where each sentence stops, in s."""

    audio: Waveform
    words: tuple[Word, ...]
    ends: tuple[float, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Clip:
    """One utterance at HEARING_RATE, with what is said in it."""

    audio: Waveform
    text: str


async def spoken(count: int, seconds: float, *, seed: int = 1) -> list[Stream]:
    """That many streams of at least so many seconds: sentences in a random order, each stream with its own voice."""
    engine = Engine(installed())
    try:
        voice = await open_synthesizer(engine, Settings(), "espeak")
        rng = random.Random(seed)
        streams = []
        for number in range(count):
            manner = Manner(voice=VOICES[number % len(VOICES)], speed=rng.uniform(0.85, 1.0))
            pieces: list[tuple[str, Waveform, list[Word]]] = []
            length = 0.0
            order = rng.sample(SENTENCES, len(SENTENCES))
            for text in order:
                samples: list[Samples] = []
                words: list[Word] = []
                async for piece in voice.speak(text, manner):
                    samples.append(piece.samples)
                    words += piece.words
                audio = to_hearing(np.concatenate(samples), voice.rate)
                pieces.append((text, audio, words))
                length += len(audio) / HEARING_RATE + 0.9
                if length >= seconds:
                    break
            streams.append(_joined(pieces, rng))
        return streams
    finally:
        await engine.close()


def _joined(pieces: Sequence[tuple[str, Waveform, list[Word]]], rng: random.Random) -> Stream:
    """With pauses of 0.6 to 1.2 s and a little noise, for nothing real is digitally silent."""
    parts: list[Waveform] = []
    words: list[Word] = []
    ends, at = [], 0.0
    for text, audio, timed in pieces:
        pause = np.zeros(int(rng.uniform(0.6, 1.2) * HEARING_RATE), np.float32)
        parts += [pause, audio]
        at += len(pause) / HEARING_RATE
        single = [word for time in timed for word in _apart(time)]
        written = text.split()
        if len(single) != len(written):
            raise ValueError(f"the voice told {len(single)} words for {text!r}")
        words += [Word(word, at + time.start, at + time.end) for word, time in zip(written, single, strict=True)]
        loud = np.flatnonzero(np.abs(audio) > 0.01)
        ends.append(at + (int(loud[-1]) + 1 if len(loud) else len(audio)) / HEARING_RATE)
        at += len(audio) / HEARING_RATE
    audio = np.concatenate(parts)
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, 0.001, len(audio))
    return Stream((audio * 0.8 + noise).astype(np.float32), tuple(words), tuple(ends), tuple(p[0] for p in pieces))


def _apart(word: Word) -> list[Word]:
    """espeak says small words as one ("on the"): its time is shared by their letters."""
    parts = word.text.split()
    each = (word.end - word.start) / max(1, sum(map(len, parts)))
    begins = [word.start + each * sum(map(len, parts[:place])) for place in range(len(parts))]
    return [Word(part, begin, begin + each * len(part)) for part, begin in zip(parts, begins, strict=True)]


async def read_alone(voices: Sequence[str], sentences: Sequence[str] = SENTENCES, *, seed: int = 2) -> list[Clip]:
    """Every sentence by every voice, a quarter of a second of near silence around it."""
    engine = Engine(installed())
    rng = np.random.default_rng(seed)
    try:
        voice = await open_synthesizer(engine, Settings(), "espeak")
        found = []
        for name in voices:
            for text in sentences:
                samples = [piece.samples async for piece in voice.speak(text, Manner(voice=name))]
                audio = 0.8 * np.pad(to_hearing(np.concatenate(samples), voice.rate), HEARING_RATE // 4)
                found.append(Clip((audio + rng.normal(0, 0.001, len(audio))).astype(np.float32), text))
        return found
    finally:
        await engine.close()


def noisy(clips: Sequence[Clip], *, decibels: float = 10, seed: int = 3) -> list[Clip]:
    """With white noise so far below them."""
    rng = np.random.default_rng(seed)
    found = []
    for clip in clips:
        loud = np.sqrt(np.mean(clip.audio**2)) * 10 ** (-decibels / 20)
        found.append(Clip((clip.audio + rng.normal(0, loud, len(clip.audio))).astype(np.float32), clip.text))
    return found


def kathleen() -> list[Clip]:
    """The CC0 speaker's clips that the nano model's training holds out, every eleventh; none where they aren't here."""
    folder = SHARED / "speech" / "kathleen"
    if not (folder / "metadata.csv").is_file():
        return []
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[::11]
    rows = [line.split("|") for line in lines]
    return [Clip(read(folder / f"{name}.flac"), text) for name, _, text in rows]


def librivox_clips() -> list[Clip]:
    """One reader of LibriVox; none where they are not here."""
    return [Clip(read(path.with_suffix(".wav")), " ".join(word.text for word in _told(path)))
            for path in sorted((SHARED / "speech" / "librivox").glob("*.json"))]


def _told(path: Path) -> list[Word]:
    """The aligned words of a clip, in its own time."""
    return [Word(re.sub(r"\(\d+\)$", "", one["t"]), one["b"], one["b"] + one["d"])
            for one in json.loads(path.read_text())["w"] if not one["t"].startswith(("<", "["))]


def librivox() -> Stream | None:
    """Four clips of real reading with aligned words, one after the other; None where they are not here."""
    folder = SHARED / "speech" / "librivox"
    clips = sorted(folder.glob("*.json"))
    if not clips:
        return None
    parts, words, ends, sentences, at = [], [], [], [], 0.0
    for path in clips:
        audio, told = read(path.with_suffix(".wav")), _told(path)
        words += [word.moved(at) for word in told]
        ends.append(words[-1].end)
        sentences.append(" ".join(word.text for word in told))
        parts += [audio, np.zeros(int(0.8 * HEARING_RATE), np.float32)]
        at += (len(audio) + len(parts[-1])) / HEARING_RATE
    return Stream(np.concatenate(parts), tuple(words), tuple(ends), tuple(sentences))


def ljspeech(count: int = 8) -> Stream | None:
    """Long read sentences; their words' times are not known, so they serve for WER only."""
    folder = SHARED / "speech" / "ljspeech"
    if not (folder / "metadata.csv").is_file():
        return None
    parts, words, ends, sentences, at = [], [], [], [], 0.0
    for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[:count]:
        name, _, text = line.split("|")
        audio = read(folder / f"{name}.flac")
        each = len(audio) / HEARING_RATE / len(text.split())
        words += [Word(word, at + n * each, at + (n + 1) * each) for n, word in enumerate(text.split())]
        at += len(audio) / HEARING_RATE
        ends.append(at)
        sentences.append(text)
        parts += [audio, np.zeros(int(0.8 * HEARING_RATE), np.float32)]
        at += 0.8
    return Stream(np.concatenate(parts), tuple(words), tuple(ends), tuple(sentences))


def read(path: Path) -> Waveform:
    """A sound file at HEARING_RATE, mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE)
        pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return (np.concatenate(pieces) / 32768).astype(np.float32)

