"""The vocabulary: a small byte-level BPE, then Whisper's special tokens in their English-only order.

CTranslate2 takes a vocabulary below 51,865 tokens for English only: the prompt is <|startoftranscript|> alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

MERGED = 1280  # tokens of text
TIMES = 1501  # <|0.00|> to <|30.00|>
SPECIALS = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
            "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")


def train(texts: Iterable[str], size: int = MERGED) -> Tokenizer:
    """Learn the merges from texts.

    Every letter and sign after a space is one token, so that no word needs the bare space: faster-whisper never lets
    a model say the first token of " -" or of " ♪".
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = _with_spaced_letters(tokenizer, alphabet)
    full = Tokenizer(model)
    full.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    full.decoder = decoders.ByteLevel()
    names = [*SPECIALS, *(f"<|{index * 0.02:.2f}|>" for index in range(TIMES))]
    full.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return full


def _with_spaced_letters(tokenizer: Tokenizer, alphabet: list[str]) -> models.BPE:
    import json

    table = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = table["vocab"]
    merges = [tuple(pair) for pair in table["merges"]]
    for sign in sorted(alphabet):
        if f"Ġ{sign}" not in vocabulary and sign not in "ĠĊ":
            vocabulary[f"Ġ{sign}"] = len(vocabulary)
            merges.append(("Ġ", sign))
    return models.BPE(vocab=vocabulary, merges=merges)


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Every token by its number."""
    return [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
