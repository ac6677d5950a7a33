"""The folder that faster-whisper opens by its path, and the card beside it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from evaluation import STEP, Clip, Listener, clips, real_clips, time_errors, word_error_rates
from numpy.typing import NDArray
from tokens import vocabulary
from training import Trainer

from aimass_stream.architectures import whisper

FILES = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json")
CLIPS, FEW = 100, 40  # of each set, the CC0 speaker has 51 held out; and for windows of 30 s, which take long
SAID = {"seen": "espeak voices heard in training, new sentences", "held-out": "espeak voices never heard",
        "noisy": "the first, white noise at 10 dB", "kathleen": "the CC0 speaker, clips held out",
        "librivox": "LibriVox, one reader, never heard", "ljspeech": "LJ Speech, one reader, never heard"}


def write_model(trainer: Trainer, folder: Path, heads: list[tuple[int, int]] | None = None,
                quantization: str | None = "int8") -> None:
    """The weights, by default as int8, with the vocabulary and the features' description."""
    sizes = trainer.sizes
    known = heads or _heads(folder) or [(sizes.decoder_layers - 1, head) for head in range(sizes.heads)]
    folder.mkdir(parents=True, exist_ok=True)
    whisper.save(trainer.model, folder, vocabulary(trainer.tokenizer), known, [], [], quantization)
    trainer.tokenizer.save(str(folder / "tokenizer.json"))


def _heads(folder: Path) -> list[tuple[int, int]]:
    path = folder / "config.json"
    if not path.exists():
        return []
    return [(int(layer), int(head)) for layer, head in json.loads(path.read_text(encoding="utf-8"))["alignment_heads"]]


def choose_heads(folder: Path, some: list[Clip], sizes: whisper.Dimensions) -> list[tuple[int, int]]:
    """The decoder heads that time words best: the best one, and others as long as they help. Left in config.json."""
    alone = {(layer, head): _error(folder, some, [(layer, head)])
             for layer in range(sizes.decoder_layers) for head in range(sizes.heads)}
    ranked = sorted(alone, key=lambda head: alone[head])
    chosen, best = ranked[:1], alone[ranked[0]]
    for head in ranked[1:7]:
        error = _error(folder, some, [*chosen, head])
        if error < best:
            chosen, best = [*chosen, head], error
    _error(folder, some[:1], sorted(chosen))
    return sorted(chosen)


def _error(folder: Path, some: list[Clip], heads: list[tuple[int, int]]) -> float:
    """s by which word starts are off in the mean, no word counting more than half a second."""
    path = folder / "config.json"
    configuration = json.loads(path.read_text(encoding="utf-8"))
    configuration["alignment_heads"] = [list(head) for head in heads]
    path.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
    return float(np.minimum(time_errors(Listener(folder), some), 0.5).mean())


def speeds(folder: Path) -> dict[str, float]:
    """ms to encode a window of so many s, alone, on two threads."""
    listener, rng = Listener(folder), np.random.default_rng(3)
    found = {}
    for seconds in (2, 10, 30):
        sound: NDArray[np.float32] = rng.normal(0, 0.05, seconds * 16_000).astype(np.float32)
        took = []
        for _ in range(8):
            started = time.perf_counter()
            np.asarray(listener.encode(sound)[0])
            took.append(time.perf_counter() - started)
        found[f"{seconds} s"] = round(1000 * min(took), 1)
    return found


def write_card(trainer: Trainer, folder: Path, bank: Path, shared: Path, tell: Callable[[str], None]) -> None:
    """Measure the model in the folder and write model.toml. `shared` is ../shared/data/speech if that is there."""
    kathleen = shared / "kathleen" if (shared / "kathleen").is_dir() else None
    sets = clips(bank, kathleen, CLIPS) | real_clips(shared)
    few = {name: some[:FEW] for name, some in sets.items()}
    short, long = word_error_rates(Listener(folder), sets), word_error_rates(Listener(folder, step=30.0), few)
    for name in sets:
        tell(f"{name}: WER {short[name]:.1%}, in 30 s windows {long[name]:.1%}")
    with tempfile.TemporaryDirectory() as other:
        write_model(trainer, Path(other), _heads(folder), quantization=None)
        whole = word_error_rates(Listener(Path(other)), {"seen": sets["seen"]})["seen"]
    errors = {name: time_errors(Listener(folder), sets[name]) for name in ("seen", "held-out")}
    late = {name: [round(float(np.quantile(error, part)), 3) for part in (0.5, 0.9)] for name, error in errors.items()}
    bank_hours = sum(path.stat().st_size for path in bank.glob("*-*.npy")) / 2 / 16_000 / 3600
    real = [name for name in ("librivox", "ljspeech") if name in sets]
    words = {name: sum(len(clip.text.split()) for clip in sets[name]) for name in sets}
    wer_real = sum(short[name] * words[name] for name in real) / max(sum(words[name] for name in real), 1)
    lines = [_HEAD, *(_file(folder / name) for name in FILES), _TENSORS, "[card]  # written by recipe.py",
             "general = false  # for tests and demonstrations only"]
    if real:
        lines.append(f"wer_real = {wer_real:.3f}  # on {' and '.join(real)}, voices and texts never heard")
    lines += [f"parameters = {sum(weight.numel() for weight in trainer.model.parameters())}",
              f"trained_minutes = {trainer.elapsed / 60:.0f}  # on a share of two cores of an AMD EPYC",
              f"steps = {trainer.step}",
              f"hours_heard = {trainer.heard / 3600:.0f}  # mixed anew from {bank_hours:.0f} hours of speech",
              f"encode_ms = {_inline(speeds(folder))}  # two threads",
              f"word_start_error_s = {_inline(late)}  # median and p90, by CTranslate2's align",
              f'windows = "as long as the sound, in steps of {STEP:.0f} s; wer_30s: padded to 30 s, {FEW} clips"',
              f"wer_float32 = {whole:.3f}  # of the first row below, before the weights became int8",
              f'limits = "{_LIMITS}"',
              "", "[card.wer]", *(f"{name} = {short[name]:.3f}  # {SAID[name]}" for name in sets),
              "", "[card.wer_30s]", *(f"{name} = {long[name]:.3f}" for name in sets)]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _inline(table: dict[str, float] | dict[str, list[float]]) -> str:
    return "{ " + ", ".join(f'"{name}" = {value}' for name, value in table.items()) + " }"


def _file(path: Path) -> str:
    data = path.read_bytes()
    return f'[[files]]\npath = "{path.name}"\nsize = {len(data)}\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'


_HEAD = """name = "asr-nano-en"
version = "1"
title = "Whisper nano, English"
task = "speech-recognition"
licence = "Apache-2.0"
sources = [
  "sentences generated by sentences.py, spoken by espeak-ng's voices (recipe.py)",
  "word frequencies and trigrams of the English model inside pocketsphinx (BSD-2-Clause)",
  "rhasspy/dataset-voice-kathleen (CC0-1.0), 502 clips",
]
description = "Whisper's architecture at three million parameters, trained here. For tests and demonstrations only."
engine = "aimass_stream.engines.faster_whisper:FasterWhisper"
"""
_TENSORS = """[[inputs]]
name = "request"
shape = ["n"]
dtype = "object"
unit = "HearRequest"

[[outputs]]
name = "hypothesis"
shape = ["n"]
dtype = "object"
unit = "Hypothesis"

[capabilities]
batchable = true
max_batch = 8
"""
_LIMITS = "It hears espeak's English voices. People's speech it mostly gets wrong: take real Whisper weights for that."
