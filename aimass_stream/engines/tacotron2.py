"""torchaudio's Tacotron 2: letters to a mel spectrogram, and from there to sound by WaveRNN or Griffin-Lim.

Shen et al., *Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions* (arXiv:1712.05884);
Kalchbrenner et al., *Efficient Neural Audio Synthesis* (arXiv:1802.08435). A voice is a folder with ``tacotron2.pth``,
``wavernn.pth`` where it was trained for that, and ``config.json`` with the parameters that are not torchaudio's own;
or what torchaudio's bundles have downloaded. English, letter by letter. It runs on the engine's device, one sentence at
a time. Speed and pitch are a filter's work; word times are estimates.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import pickle
import warnings
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..errors import InvalidInput, Unavailable
from ..frames import Samples
from ..inference.contract import Batch, Capabilities, TensorSpec
from ..inference.engine import Engine
from ..inference.loader import check_listed
from ..settings import Settings
from ..speech.contract import Manner, Spoken, Voice
from ..speech.numbers import worded
from ..speech.plain import parts
from ..speech.words import Word

RATE = 22_050  # Hz
SYMBOLS = "_-!'(),.:;? abcdefghijklmnopqrstuvwxyz"  # torchaudio's, in its order
PART = 160  # characters: attention loses its way in longer ones
FRAMES_A_LETTER = 14  # of 11.6 ms, at most: what goes on longer has lost its end
LEAST_FRAMES = 60
FEWEST_FRAMES, SILENCE = 8, -11.5  # frames; the logarithm of no sound
GRIFFIN_LIM_STEPS = 32
LONGEST_BYTES = 1 << 30
EXAMPLE = "hello."
# in torch's cache: (Tacotron 2, WaveRNN)
BUNDLES = (("tacotron2_english_characters_1500_epochs_wavernn_ljspeech.pth", "wavernn_10k_epochs_8bits_ljspeech.pth"),
           ("tacotron2_english_characters_1500_epochs_ljspeech.pth", ""))
WAVERNN = {"upsample_scales": [5, 5, 11], "n_classes": 256, "hop_length": 275, "n_res_block": 10, "n_rnn": 512,
           "n_fc": 512, "kernel_size": 5, "n_freq": 80, "n_hidden": 128, "n_output": 128}


@dataclass(frozen=True, slots=True)
class Weights:
    tacotron: Path
    vocoder: Path | None  # None: Griffin-Lim
    config: Path | None = None


class Network:
    """The `Model` on the engine's device: rows of text in, int16 sound out."""

    name, version = "voice-tacotron2", "1"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("text", (None,), "object", "letters of SYMBOLS"),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("sound", (None,), "object", "int16 at 22050 Hz"),)
    capabilities = Capabilities(longest=3600)  # WaveRNN takes minutes for a sentence

    def __init__(self, weights: Weights, threads: int) -> None:
        """Raises `InvalidInput` when the files are none of this network's."""
        import torch
        import torchaudio

        self._torch, self._audio = torch, torchaudio
        warnings.filterwarnings("ignore", "Reached max decoder steps")  # where we want it to stop
        config = json.loads(weights.config.read_text("utf-8")) if weights.config is not None else {}
        try:
            self._tacotron = torchaudio.models.Tacotron2(**({"n_symbol": len(SYMBOLS)} | config.get("tacotron2", {})))
            self._tacotron.load_state_dict(_state(torch, weights.tacotron))
            self._wavernn: Any = None
            if weights.vocoder is not None:
                self._wavernn = torchaudio.models.WaveRNN(**(WAVERNN | config.get("wavernn", {})))
                self._wavernn.load_state_dict(_state(torch, weights.vocoder))
                self._wavernn.eval()
        except (RuntimeError, TypeError, KeyError, ValueError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise InvalidInput(f"no Tacotron 2 in {weights.tacotron.parent}: {str(error).splitlines()[0]}") from error
        self._tacotron.eval()
        mels = int(self._tacotron.n_mels)
        self._inverse = torchaudio.transforms.InverseMelScale(
            n_stft=513, n_mels=mels, sample_rate=RATE, f_min=0.0, f_max=8000.0, mel_scale="slaney", norm="slaney")
        self._griffin_lim = torchaudio.transforms.GriffinLim(
            n_fft=1024, power=1, hop_length=256, win_length=1024, n_iter=GRIFFIN_LIM_STEPS)
        self._threads = threads

    def warm_up(self) -> None:
        self.run({"text": np.array([EXAMPLE], object)})

    def run(self, batch: Batch) -> Batch:
        torch = self._torch
        torch.set_num_threads(self._threads)
        sounds = np.empty(len(batch["text"]), object)
        for row, text in enumerate(batch["text"]):
            with torch.inference_mode():
                sounds[row] = self._speak(text if isinstance(text, str) else EXAMPLE)  # 0 when batches are measured
        return {"sound": sounds}

    def _speak(self, text: str) -> Samples:
        torch = self._torch
        letters = torch.tensor([[SYMBOLS.index(letter) for letter in text]])  # (1, n)
        self._tacotron.decoder.decoder_max_step = LEAST_FRAMES + FRAMES_A_LETTER * len(text)
        mel, lengths, _ = self._tacotron.infer(letters)  # (1, mels, frames)
        if mel.shape[2] < FEWEST_FRAMES:  # less than the vocoders' windows
            mel = torch.nn.functional.pad(mel, (0, FEWEST_FRAMES - mel.shape[2]), value=SILENCE)
            lengths = lengths.clamp(min=FEWEST_FRAMES)
        sound = self._by_wavernn(mel, lengths) if self._wavernn is not None else self._by_griffin_lim(mel)
        samples: Samples = (sound.clamp(-1, 1) * 32767).to(torch.int16).reshape(-1, 1).numpy()
        return samples

    def _by_griffin_lim(self, mel: Any) -> Any:
        return self._griffin_lim(self._inverse(self._torch.exp(mel)))

    def _by_wavernn(self, mel: Any, lengths: Any) -> Any:
        """The level that it was trained on is 0 to 1 over 100 dB; it gives mu-law steps."""
        torch = self._torch
        level = 20 * torch.log10(torch.exp(mel).clamp(min=1e-5))
        wave, _ = self._wavernn.infer(((level + 100) / 100).clamp(0, 1), lengths)
        steps = ((wave + 1) / 2 * (2**self._wavernn.n_bits - 1)).clamp(min=0).to(torch.int64)
        return self._audio.functional.mu_law_decoding(steps, self._wavernn.n_classes)

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._tacotron = self._wavernn = None


class Tacotron2:
    """A `Synthesizer`. Made by `open`."""

    name = "tacotron2"
    rate = RATE

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, engine: Engine, settings: Settings) -> Tacotron2:
        """Raises `Unavailable` when there are no weights, `InvalidInput` for ones that are no Tacotron 2."""
        reason = cls.unavailable(settings)
        weights = look(settings)
        if reason or weights is None:
            raise Unavailable(reason)
        files = [path for path in (weights.tacotron, weights.vocoder, weights.config) if path is not None]
        await asyncio.to_thread(check_listed, *files)
        network = await engine.device.run(lambda: Network(weights, engine.device.threads))
        await engine.add(network)
        return cls(engine)

    @staticmethod
    def unavailable(settings: Settings) -> str:
        """Why it can't be used here; empty if it can."""
        if importlib.util.find_spec("torchaudio") is None:
            return "torchaudio is not installed: the extra `torch` brings it"
        if look(settings) is None:
            return f"there is no tacotron2.pth in {', '.join(map(str, folders(settings)))} or in torch's cache"
        return ""

    @staticmethod
    def languages(settings: Settings) -> list[str]:
        return ["en-US"]

    def voices(self) -> list[Voice]:
        return [Voice("tacotron2", "Tacotron 2", self.name, ("en-US",), "neutral")]

    async def speak(self, text: str, manner: Manner) -> AsyncGenerator[Spoken, None]:
        if manner.voice not in ("", "tacotron2"):
            raise InvalidInput(f"Tacotron 2 has one voice, tacotron2, and not {manner.voice[:64]!r}", field="voice")
        if not manner.language.lower().startswith("en"):
            raise InvalidInput(f"Tacotron 2 speaks English, not {manner.language[:35]!r}", field="language")
        said = 0  # samples
        for part, _ in parts(text, PART, PART):
            letters = "".join(letter for letter in worded(part).lower() if letter in SYMBOLS[1:]).strip()
            if not any(letter.isalpha() for letter in letters):
                continue
            answer = await self._engine.submit(Network.name, {"text": np.array([letters], object)}, session="voice")
            samples = await self._engine.device.run(partial(altered, answer["sound"][0], manner))
            yield Spoken(samples, tuple(word.moved(said / RATE) for word in estimated(part, len(samples) / RATE)))
            said += len(samples)

    async def close(self) -> None:
        """Its network is the engine's, which ends it."""


def altered(samples: Samples, manner: Manner) -> Samples:
    """(n, 1) int16 in another speed, pitch and volume: played faster by `pitch`, then stretched to `speed`."""
    if (manner.speed, manner.pitch, manner.volume) == (1.0, 1.0, 1.0) or not len(samples):
        return samples
    graph = av.filter.Graph()
    chain = [graph.add_abuffer(sample_rate=RATE, format="s16", layout="mono"),
             graph.add("asetrate", str(round(RATE * manner.pitch))), graph.add("aresample", str(RATE)),
             graph.add("atempo", f"{min(max(manner.speed / manner.pitch, 0.5), 8):.4f}"),
             graph.add("volume", f"{manner.volume:.4f}"), graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"),
             graph.add("abuffersink")]
    graph.link_nodes(*chain).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout="mono")
    frame.sample_rate = RATE
    graph.push(frame)
    graph.push(None)
    pieces = [samples[:0]]
    while True:
        try:
            pulled = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(pieces)
        assert isinstance(pulled, av.AudioFrame)
        pieces.append(pulled.to_ndarray().reshape(-1, 1).astype(np.int16))


def estimated(text: str, seconds: float) -> list[Word]:
    """Each word has the share of the time that it has of the letters."""
    words, done = text.split(), 0
    total, times = sum(map(len, words)), [0.0]
    for word in words:
        done += len(word)
        times.append(seconds * done / total)
    return [Word(word, times[place], times[place + 1]) for place, word in enumerate(words)]


def folders(settings: Settings) -> list[Path]:
    return [*settings.model_dirs, settings.data_dir / "models", settings.data_dir / "voices"]


def look(settings: Settings) -> Weights | None:
    """The first weights that there are: in our folders, one for each voice, then in torch's cache."""
    for folder in folders(settings):
        for found in sorted(folder.glob("*/tacotron2.pth")):
            vocoder, config = found.with_name("wavernn.pth"), found.with_name("config.json")
            return Weights(found, vocoder if vocoder.is_file() else None, config if config.is_file() else None)
    home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch"))
    cache = home.expanduser() / "hub" / "checkpoints"
    for tacotron, vocoder_name in BUNDLES:
        if (cache / tacotron).is_file() and (not vocoder_name or (cache / vocoder_name).is_file()):
            return Weights(cache / tacotron, cache / vocoder_name if vocoder_name else None)
    return None


def _state(torch: Any, path: Path) -> Any:
    """A state dictionary, and nothing else that a pickle might hold."""
    if path.stat().st_size > LONGEST_BYTES:
        raise ValueError(f"{path.name} is larger than {LONGEST_BYTES} bytes")
    return torch.load(path, map_location="cpu", weights_only=True)
