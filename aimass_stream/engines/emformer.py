"""Emformer RNN-T as a model of the engine: one step of 160 ms for all streams at once, each in a slot of its own.

A directory has ``*.safetensors`` or ``*.pt`` (torchaudio's names), ``config.json`` (what differs from
`architectures.emformer.BASE`; may be missing), ``vocabulary.txt`` (a token a line, ``▁`` before those that begin a
word) or a SentencePiece ``*.model``, and the features' statistics as JSON (`mean`, `invstddev`). torchaudio's bundle
EMFORMER_RNNT_BASE_LIBRISPEECH is used from torch's cache when it lies there. Nothing is fetched here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..inference.contract import SLOT, Batch, Capabilities, TensorSpec
from ..inference.device import Device
from ..inference.loader import Entry

BUNDLE = "emformer-rnnt-base-librispeech"
SLOTS = 16
MOST_SYMBOLS = 8  # of one encoded frame of 40 ms

RATE, HOP, WINDOW = 16_000, 160, 400  # Hz, samples: torchaudio's bundle
GAIN = 32767.0**2  # the features were made of 16-bit samples
MARK = "\u2581"  # SentencePiece's blank
UNKNOWN = ("<unk>", "<s>", "</s>", "<pad>")

REDUCED: dict[str, Any] = {  # 17 million parameters: what a core keeps up with for 8 streams
    "time_reduction_input_dim": 64, "transformer_num_heads": 4, "transformer_num_layers": 12, "encoding_dim": 512,
    "symbol_embedding_dim": 256, "num_lstm_layers": 1}


class Files(NamedTuple):
    weights: Path
    vocabulary: Path
    statistics: Path
    config: Path | None


class Emformer:
    """Takes the sound of a segment with its right context; the next call begins one segment later."""

    version = "1"

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` naming what is missing in the folder or does not fit."""
        self._open(entry.name, files(entry.folder), device)
        self.version = entry.version

    @classmethod
    def from_folder(cls, name: str, folder: Path, device: Device) -> Emformer:
        """`folder` has no manifest; for `BUNDLE` it is not looked at."""
        model = cls.__new__(cls)
        found = cached() if name == BUNDLE else files(folder)
        if found is None:
            raise InvalidInput(f"{BUNDLE} is not in torch's cache", field="model")
        model._open(name, found, device)
        return model

    @classmethod
    def generated(cls, name: str, device: Device, *, vocabulary: list[str], seed: int = 0, bias: float = 0.0,
                  slots: int = SLOTS, **shape: Any) -> Emformer:
        """Untrained: for measuring, and for proving the streaming right. `bias` makes the blank more likely."""
        import torch

        from ..architectures import emformer

        model = cls.__new__(cls)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = emformer.build(len(vocabulary) + 1, **shape)
        with torch.no_grad():
            network.joiner.linear.bias[-1] += bias
        model._build(name, network, emformer.BASE | shape, vocabulary, np.zeros(80), np.ones(80) / 5, device, slots)
        return model

    def _open(self, name: str, found: Files, device: Device) -> None:
        import torch
        from safetensors.torch import load_file

        from ..architectures import emformer

        try:
            changes = json.loads(found.config.read_text()) if found.config else {}
            statistics = json.loads(found.statistics.read_text())
            vocabulary = read_vocabulary(found.vocabulary)
            network = emformer.build(len(vocabulary) + 1, **changes)
            network.load_state_dict(load_file(found.weights) if found.weights.suffix == ".safetensors" else
                                    torch.load(found.weights, map_location="cpu", weights_only=True))
            mean, scale = (np.array(statistics[key], np.float64) for key in ("mean", "invstddev"))
        except (ValueError, KeyError, TypeError, RuntimeError, OSError, EOFError) as error:
            raise InvalidInput(f"{found.weights.parent} holds no Emformer that fits: {error}", field="model") from error
        self._build(name, network, emformer.BASE | changes, vocabulary, mean, scale, device, SLOTS)

    def _build(self, name: str, network: Any, shape: dict[str, Any], vocabulary: list[str], mean: Any, scale: Any,
               device: Device, slots: int) -> None:
        import torch
        from torchaudio.transforms import MelSpectrogram

        from ..architectures import emformer

        self._torch = torch
        self.name = name
        self.vocabulary = vocabulary
        self.threads = device.threads
        self._device = torch.device(device.name if device.name.startswith("cuda") else "cpu")
        self._mel = MelSpectrogram(RATE, n_fft=WINDOW, n_mels=shape["input_dim"], hop_length=HOP,
                                   center=False).to(self._device)
        self._mean, self._scale = (torch.tensor(each, dtype=torch.float32, device=self._device)
                                   for each in (mean, scale))
        with torch.inference_mode():
            self.stepper = emformer.Stepper(network.to(self._device), shape, blank=len(vocabulary), slots=slots,
                                            most_symbols=MOST_SYMBOLS)
        self.frame = shape["time_reduction_stride"] * HOP / RATE  # s of an encoded frame
        self.advance: int = shape["segment_length"] * HOP  # samples
        frames = shape["segment_length"] + shape["right_context_length"]
        self.samples: int = (frames - 1) * HOP + WINDOW
        answer = (None, self.stepper.segment, MOST_SYMBOLS)
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec("sound", (None, self.samples), unit="16 kHz mono, -1 to 1"),)
        self.outputs: tuple[TensorSpec, ...] = (TensorSpec("tokens", answer, "int64", "of the vocabulary; -1: none"),
                                                 TensorSpec("probabilities", answer))
        self.capabilities = Capabilities(batchable=True, max_batch=slots, fixed_shapes=True, slots=slots,
                                         accelerated=self._device.type == "cuda")

    def warm_up(self) -> None:
        self.run({"sound": self.inputs[0].zeros(1), SLOT: np.zeros(1, np.int64)})
        self.reset(0)

    def run(self, batch: Batch) -> Batch:
        """Rows of different slots; the engine gives a state one step at a time."""
        torch = self._torch
        if torch.get_num_threads() != self.threads:  # this worker's own number
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            slots = torch.from_numpy(batch[SLOT]).to(self._device)
            encoded = self.stepper.encode(self.features(torch.from_numpy(batch["sound"]).to(self._device)), slots)
            tokens, probabilities = self.stepper.tokens(encoded, slots)
        return {"tokens": tokens.cpu().numpy(), "probabilities": probabilities.cpu().numpy()}

    def features(self, sound: Any) -> Any:
        """(B, samples) -> (B, frames, mels): logarithmic above e, linear below, as the bundle's."""
        mel = self._mel(sound).transpose(1, 2) * GAIN
        logarithmic = self._torch.where(mel > np.e, mel.clamp_min(np.e).log(), mel / np.e)
        return (logarithmic - self._mean) * self._scale

    def reset(self, slot: int) -> None:
        with self._torch.inference_mode():
            self.stepper.reset(slot)

    def close(self) -> None:
        del self.stepper


def files(folder: Path) -> Files:
    """Raises `InvalidInput` naming what is missing."""
    def one(what: str, *patterns: str) -> Path:
        found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.name != "config.json"]
        if not found:
            raise InvalidInput(f"{folder} has no {what} ({' or '.join(patterns)})", field="model")
        return found[0]

    config = folder / "config.json"
    return Files(one("weights", "*.safetensors", "*.pt"), one("vocabulary", "vocabulary.txt", "*.model"),
                 one("statistics", "*.json"), config if config.is_file() else None)


def cached() -> Files | None:
    """torchaudio's bundle, if all of it lies in torch's cache."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    assets = Path(home) / "hub" / "torchaudio"
    found = Files(assets / "models" / "emformer_rnnt_base_librispeech.pt",
                  assets / "pipeline-assets" / "spm_bpe_4096_librispeech.model",
                  assets / "pipeline-assets" / "global_stats_rnnt_librispeech.json", None)
    return found if all(path.is_file() for path in found[:3]) else None


def read_vocabulary(path: Path) -> list[str]:
    """The tokens by number, of a text file or a SentencePiece model."""
    if path.suffix == ".model":
        return [piece.decode() for number, message in _fields(path.read_bytes()) if number == 1
                for inner, piece in _fields(message) if inner == 1]
    return path.read_text(encoding="utf-8").splitlines()


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that are bytes (sentencepiece_model.proto: 1 is a piece, and in it its text)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size, at = _varint(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError("this is no SentencePiece model")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("this is no SentencePiece model: it ends early")
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
