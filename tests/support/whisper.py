"""Whisper directories with random weights: the real thing in shape, in milliseconds, and saying nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH, HEADS, LAYERS = 32, 2, 1
LANGUAGES = ("en", "zh", "de", "es", "ru", "ko", "fr", "ja")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def make(folder: Path, *, multilingual: bool = False, seed: int = 1) -> Path:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json."""
    tokenizer = _tokenizer(multilingual)
    vocabulary = [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]
    if multilingual:
        vocabulary[0] = ""  # by this token CTranslate2 knows a model for several languages
    spec = ctranslate2.specs.whisper_spec.WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _fill(spec, len(vocabulary), np.random.default_rng(seed))
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in LANGUAGES] if multilingual else []
    spec.config.alignment_heads = [[0, 0], [0, 1]]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
    return folder


def _tokenizer(multilingual: bool) -> Tokenizer:
    """Byte-level letters and two-letter pieces with a blank before them, then Whisper's special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {piece: index for index, piece in enumerate([*alphabet, *(f"Ġ{letter}" for letter in LETTERS)])}
    languages = LANGUAGES if multilingual else LANGUAGES[:1]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in languages), "<|translate|>",
               "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
               *(f"<|{tick * 0.02:.2f}|>" for tick in range(1501))]
    tokenizer = Tokenizer(models.BPE(vocab=pieces, merges=[("Ġ", letter) for letter in LETTERS]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    return tokenizer


def _fill(spec: Any, tokens: int, rng: np.random.Generator) -> None:
    def noise(*shape: int) -> Any:
        return rng.normal(0, 0.5 / np.sqrt(shape[-1]), shape).astype(np.float32)

    def linear(layer: Any, out: int, into: int) -> None:
        layer.weight, layer.bias = noise(out, into), np.zeros(out, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    spec.encoder.conv1.weight, spec.encoder.conv1.bias = noise(WIDTH, 80, 3), np.zeros(WIDTH, np.float32)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = noise(WIDTH, WIDTH, 3), np.zeros(WIDTH, np.float32)
    spec.encoder.position_encodings.encodings = noise(1500, WIDTH)
    spec.decoder.position_encodings.encodings = noise(448, WIDTH)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = noise(tokens, WIDTH)
    for part in (spec.encoder, spec.decoder):
        norm(part.layer_norm)
        for layer in part.layer:
            attentions = [layer.self_attention] + ([layer.attention] if part is spec.decoder else [])
            for attention in attentions:
                norm(attention.layer_norm)
                sizes = (3, 1) if attention is layer.self_attention else (1, 2, 1)
                for each, times in zip(attention.linear, sizes, strict=True):
                    linear(each, times * WIDTH, WIDTH)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
            linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
