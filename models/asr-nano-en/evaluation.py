"""Measures an exported model: word error rate by voice, and how far its word times lie from espeak's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import ctranslate2
import jiwer
import numpy as np
import soxr
from bank import RATE, Samples, Utterance, kathleen, read_clip, read_shard
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from tokenizers import Tokenizer

AROUND = 0.25  # s of silence before and after a clip
STEP = 2.0  # s: a window is as long as its sound, rounded up to this
Sound: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    sound: Sound
    text: str
    times: list[tuple[float, float]] = field(default_factory=list)


def plain(text: str) -> str:
    """Lower case without punctuation, as word errors are counted."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("-", " ")).split())


def error_rate(references: Sequence[str], heard: Sequence[str]) -> float:
    return float(jiwer.wer([plain(text) for text in references], [plain(text) for text in heard]))


def clips(folder: Path, real: Path | None, count: int) -> dict[str, list[Clip]]:
    """Clips that were not trained on: seen voices, voices held out, the first with noise, the CC0 speaker."""
    sets = {"seen": _of(read_shard(folder, "dev-seen"), count), "held-out": _of(read_shard(folder, "dev-held"), count)}
    rng = np.random.default_rng(5)
    sets["noisy"] = [Clip(_noisy(clip.sound, rng), clip.text, clip.times) for clip in sets["seen"]]
    if real is not None:
        sets["kathleen"] = _of(kathleen(real, folder, held=True), count)
    return sets


def real_clips(shared: Path) -> dict[str, list[Clip]]:
    """Readers that nothing was trained on: ../shared/data/speech, where it is there."""
    sets: dict[str, list[Clip]] = {}
    if (shared / "librivox" / "transcription").exists():
        rows = [found.groups()
                for line in (shared / "librivox" / "transcription").read_text(encoding="utf-8").splitlines()
                if (found := re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()))]
        sets["librivox"] = [Clip(_read(shared / "librivox" / f"{name}.wav"), text) for text, name in rows]
    if (shared / "ljspeech" / "metadata.csv").exists():
        parts = [line.split("|")
                 for line in (shared / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()]
        sets["ljspeech"] = [Clip(_read(shared / "ljspeech" / f"{name}.flac"), text) for name, _, text in parts]
    return sets


def _read(path: Path) -> Sound:
    sound, rate = read_clip(path)
    return np.asarray(soxr.resample(sound, rate, RATE), np.float32)


def _of(shard: tuple[Samples, list[Utterance]], count: int) -> list[Clip]:
    samples, utterances = shard
    longer = [one for one in utterances if len(one.text.split()) > 1]
    quiet = np.zeros(round(AROUND * RATE), np.float32)
    return [Clip(np.concatenate([quiet, samples[one.start : one.stop].astype(np.float32) / 32768, quiet]), one.text,
                 [(start + AROUND, end + AROUND) for start, end in one.times]) for one in longer[:count]]


def _noisy(sound: Sound, rng: np.random.Generator) -> Sound:
    """White noise at 10 dB."""
    noise = rng.normal(0, np.sqrt(np.mean(sound**2)) * 10**-0.5, len(sound))
    return np.asarray(sound + noise, np.float32)


class Listener:
    """An exported model, its prompt and features; windows of `step` s, or all of 30 s if it is 30."""

    def __init__(self, folder: Path, step: float = STEP, threads: int = 2) -> None:
        self.model = ctranslate2.models.Whisper(str(folder), device="cpu", intra_threads=threads)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.features, self.step = FeatureExtractor(), step
        known = self.tokenizer.get_vocab()
        self.end, self.start = known["<|endoftext|>"], known["<|startoftranscript|>"]
        self.untimed = known["<|notimestamps|>"]

    def encode(self, sound: Sound) -> tuple[ctranslate2.StorageView, int]:
        """The encoder's answer for a window that is as long as the sound needs, and the frames that are sound."""
        mel = self.features(sound, padding=0)[:, :3000]
        whole = np.zeros((1, mel.shape[0], max(round(-(-mel.shape[1] // (self.step * 100)) * self.step * 100), 1)),
                         np.float32)
        whole[0, :, : mel.shape[1]] = mel
        return self.model.encode(ctranslate2.StorageView.from_array(whole)), mel.shape[1]

    def hear(self, sound: Sound, beams: int = 1, timed: bool = False) -> str:
        """The text of up to 30 s."""
        prompt = [self.start] if timed else [self.start, self.untimed]
        result = self.model.generate(self.encode(sound)[0], [prompt], beam_size=beams, max_length=200)[0]
        return str(self.tokenizer.decode([token for token in result.sequences_ids[0] if token < self.end]))

    def word_times(self, sound: Sound, text: str) -> list[tuple[float, float]]:
        """Start and end of each word of the text by CTranslate2's `align`."""
        encoded, frames = self.encode(sound)
        ids = self.tokenizer.encode(" " + text, add_special_tokens=False)
        result = self.model.align(encoded, [self.start], [ids.ids], [frames])[0]
        text_at, time_at = np.array(result.alignments).T
        jumps = np.concatenate([[True], np.diff(text_at) > 0])
        starts = np.append(time_at[jumps], time_at[-1]) * 0.02
        opens = [index for index, token in enumerate(ids.tokens) if token.startswith("Ġ")]
        bounds = [*opens, len(ids.ids)]
        return [(float(starts[first]), float(starts[min(last, len(starts) - 1)])) for first, last in pairwise(bounds)]


def word_error_rates(listener: Listener, sets: dict[str, list[Clip]]) -> dict[str, float]:
    return {name: error_rate([clip.text for clip in some], [listener.hear(clip.sound) for clip in some])
            for name, some in sets.items() if some}


def time_errors(listener: Listener, some: Sequence[Clip]) -> NDArray[np.float64]:
    """s between a word's aligned start and espeak's, for all words of the clips."""
    errors = []
    for clip in some:
        for aligned, spoken in zip(listener.word_times(clip.sound, clip.text), clip.times, strict=True):
            errors.append(abs(aligned[0] - spoken[0]))
    return np.array(errors)
