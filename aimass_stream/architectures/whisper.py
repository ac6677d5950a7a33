"""Whisper's network in torch, small enough to read, and its export to CTranslate2.

Radford et al., *Robust Speech Recognition via Large-Scale Weak Supervision* (arXiv:2212.04356): a convolutional stem
of stride 2 over log-mel frames, sinusoidal positions, pre-norm transformer blocks, a decoder with learned positions
whose output layer is its embedding. Keys are projected without a bias.
"""

# torch's types are left out of the check
# mypy: allow-subclassing-any, allow-untyped-decorators

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

FRAMES_A_SECOND = 100  # hop of 160 samples at 16 kHz
SAMPLES = 16_000
FFT, HOP = 400, 160  # 25 ms and 10 ms
STRIDE = 2  # of the stem: the encoder answers at 50 Hz


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The sizes of a network; `vocabulary` with the special and time tokens."""

    vocabulary: int
    width: int = 160
    heads: int = 5
    encoder_layers: int = 4
    decoder_layers: int = 3
    mels: int = 80
    audio_context: int = 1500  # 30 s at 50 Hz
    text_context: int = 448


class LogMel(nn.Module):
    """Whisper's features: log10 of an 80-band mel spectrogram, clamped 8 below its peak, then (x + 4) / 4."""

    filters: Tensor
    window: Tensor

    def __init__(self, mels: int = 80) -> None:
        super().__init__()
        from faster_whisper.feature_extractor import FeatureExtractor

        filters = FeatureExtractor.get_mel_filters(SAMPLES, FFT, n_mels=mels)
        self.register_buffer("filters", torch.tensor(np.asarray(filters, np.float32)), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """audio (batch, samples) at 16 kHz to (batch, mels, samples // 160); the peak is each row's own."""
        spectrum = torch.stft(audio, FFT, HOP, window=self.window, return_complex=True)[..., :-1].abs() ** 2
        logs = torch.log10((self.filters @ spectrum).clamp(min=1e-10))  # (batch, mels, frames)
        peak = logs.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(logs, peak - 8.0) + 4.0) / 4.0


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor | None = None, causal: bool = False) -> Tensor:
        """x (batch, length, width) attends to source (batch, other, width), or to itself."""
        if source is None:  # one product for all three is faster
            weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
            bias = torch.cat([self.query.bias, torch.zeros_like(self.query.bias), self.value.bias])
            query, key, value = functional.linear(x, weight, bias).chunk(3, dim=2)
        else:
            query, key, value = self.query(x), self.key(source), self.value(source)
        query, key, value = self._split(query), self._split(key), self._split(value)
        # torch's fused attention on a CPU took twice as long in training as the plain product in bfloat16
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)  # (batch, heads, length, other)
        if causal:
            scores = scores + torch.full(scores.shape[2:], -torch.inf, dtype=scores.dtype).triu(1)
        mixed = scores.softmax(-1) @ value  # (batch, heads, length, width / heads)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, width) to (batch, heads, length, width / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Self-attention, attention to the encoder if `cross`, and a feed-forward layer, each added to its input."""

    def __init__(self, width: int, heads: int, cross: bool) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, heads), nn.LayerNorm(width)
        self.cross = Attention(width, heads) if cross else None
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.wide, self.narrow, self.feed_norm = nn.Linear(width, 4 * width), nn.Linear(4 * width,
                                                                                        width), nn.LayerNorm(width)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), causal=self.cross is not None)
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross(self.cross_norm(x), source)
        return x + self.narrow(functional.gelu(self.wide(self.feed_norm(x))))


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): sines, then cosines, of wavelengths from 2 pi to 20,000 pi."""
    scales = torch.exp(-np.log(10_000.0) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * scales[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Encoder(nn.Module):
    positions: Tensor

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(sizes.mels, sizes.width, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.width, sizes.width, 3, stride=STRIDE, padding=1)
        self.register_buffer("positions", sinusoids(sizes.audio_context, sizes.width), persistent=False)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads, cross=False) for _ in range(sizes.encoder_layers))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, mel: Tensor) -> Tensor:
        """mel (batch, mels, frames) to (batch, frames / 2, width)."""
        x = functional.gelu(self.conv1(mel))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Decoder(nn.Module):
    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.positions = nn.Parameter(torch.zeros(sizes.text_context, sizes.width))
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads, cross=True) for _ in range(sizes.decoder_layers))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        """tokens (batch, length) and the encoder's (batch, frames, width) to logits (batch, length, vocabulary)."""
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, source)
        return self.norm(x) @ self.embedding.weight.T


class Whisper(nn.Module):
    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder, self.decoder = Encoder(sizes), Decoder(sizes)
        self.apply(_initialise)
        for block in (*self.encoder.blocks, *self.decoder.blocks):
            for layer in (block.attention.out, block.narrow, *([block.cross.out] if block.cross else [])):
                nn.init.normal_(layer.weight, std=0.02 / (2 * len(self.encoder.blocks)) ** 0.5)

    def forward(self, mel: Tensor, tokens: Tensor) -> Tensor:
        """mel (batch, mels, frames), tokens (batch, length) to logits (batch, length, vocabulary)."""
        return self.decoder(tokens, self.encoder(mel))

    @torch.inference_mode()
    def greedy(self, mel: Tensor, prompt: Sequence[int], end: int, limit: int = 200) -> list[int]:
        """What the network says about one mel (mels, frames) after the prompt, up to `end`, which is left out."""
        source, tokens = self.encoder(mel[None]), list(prompt)
        while len(tokens) < limit:
            best = int(self.decoder(torch.tensor([tokens]), source)[0, -1].argmax())
            if best == end:
                break
            tokens.append(best)
        return tokens[len(prompt) :]


def _initialise(module: nn.Module) -> None:
    """Convolutions start strong enough that what is heard outweighs the positions that are added to it."""
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        module.weight.data *= 1.5
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Embedding) else module.weight.shape[1] ** -0.5)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


# CTranslate2 -----------------------------------------------------------------------------------------------


def save(model: Whisper, folder: Path, vocabulary: Sequence[str], alignment_heads: Sequence[tuple[int, int]],
         suppressed: Sequence[int], suppressed_first: Sequence[int], quantization: str | None = "int8") -> None:
    """Write model.bin, config.json and vocabulary.json as CTranslate2 reads them.

    `vocabulary` is every token in the order of its number; alignment heads are (decoder layer, head).
    """
    from ctranslate2.specs.whisper_spec import WhisperSpec

    sizes = model.sizes
    spec = WhisperSpec(sizes.encoder_layers, sizes.heads, sizes.decoder_layers, sizes.heads)
    # copies: CTranslate2 quantises some arrays where they lie
    weights = {name: tensor.detach().float().numpy().copy() for name, tensor in model.state_dict().items()}
    for name, conv in (("conv1", spec.encoder.conv1), ("conv2", spec.encoder.conv2)):
        conv.weight, conv.bias = weights[f"encoder.{name}.weight"], weights[f"encoder.{name}.bias"]
    spec.encoder.position_encodings.encodings = model.encoder.positions.numpy().copy()
    spec.decoder.position_encodings.encodings = weights["decoder.positions"]
    spec.decoder.embeddings.weight = weights["decoder.embedding.weight"]
    spec.decoder.projection.weight = weights["decoder.embedding.weight"]
    for side, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        _norm(part.layer_norm, weights, f"{side}.norm")
        for index, layer in enumerate(part.layer):
            _layer(layer, weights, f"{side}.blocks.{index}", cross=side == "decoder")
    spec.register_vocabulary(list(vocabulary))
    spec.config.suppress_ids = list(suppressed)
    spec.config.suppress_ids_begin = list(suppressed_first)
    spec.config.lang_ids = []
    spec.config.alignment_heads = [list(head) for head in alignment_heads]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps(
        {"feature_size": sizes.mels, "sampling_rate": SAMPLES, "hop_length": HOP, "n_fft": FFT,
         "chunk_length": 30}) + "\n")


def _layer(layer: Any, weights: dict[str, Any], name: str, cross: bool) -> None:
    _self_attention(layer.self_attention, weights, f"{name}.attention")
    _norm(layer.self_attention.layer_norm, weights, f"{name}.attention_norm")
    if cross:
        query, both, out = layer.attention.linear
        _linear(query, weights, [f"{name}.cross.query"])
        _linear(both, weights, [f"{name}.cross.key", f"{name}.cross.value"])
        _linear(out, weights, [f"{name}.cross.out"])
        _norm(layer.attention.layer_norm, weights, f"{name}.cross_norm")
    _linear(layer.ffn.linear_0, weights, [f"{name}.wide"])
    _linear(layer.ffn.linear_1, weights, [f"{name}.narrow"])
    _norm(layer.ffn.layer_norm, weights, f"{name}.feed_norm")


def _self_attention(spec: Any, weights: dict[str, Any], name: str) -> None:
    together, out = spec.linear
    _linear(together, weights, [f"{name}.query", f"{name}.key", f"{name}.value"])
    _linear(out, weights, [f"{name}.out"])


def _linear(spec: Any, weights: dict[str, Any], names: list[str]) -> None:
    """One linear layer of several, one after another; a missing bias is zeros."""
    parts = [weights[f"{name}.weight"] for name in names]
    spec.weight = np.concatenate(parts)
    spec.bias = np.concatenate([weights.get(f"{name}.bias", np.zeros(len(part), np.float32))
                                for name, part in zip(names, parts, strict=True)])


def _norm(spec: Any, weights: dict[str, Any], name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def dimensions_as_json(sizes: Dimensions) -> str:
    return json.dumps(asdict(sizes))
