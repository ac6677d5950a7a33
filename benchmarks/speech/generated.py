"""A network of Whisper-tiny's shape that was never trained, for throughput only: as much work as the real one.

It says made-up words in a fixed order, never ends by itself, and places the n-th word of a window at n / RATE
seconds, so that streams settle words and let go of sound as with a trained one. How many tokens it says for a
second of sound is set by whoever runs it (`paced.py`). What words it says means nothing.

How: what a layer adds is small beside what goes around it. Projecting the state onto the vocabulary finds the
token whose row is the embedding of the one before. Alignment head 0 of decoder layer 0 compares the sinusoids of
the encoder's positions with those that the decoder's positions hold in their last `PLACES` numbers.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Weight = NDArray[np.float32]

RATE = 4.0  # tokens a second of sound, about what English has in Whisper's vocabulary
TEXT_TOKENS = 50_257  # of Whisper's multilingual vocabulary, before the special ones
WORDS = 4000  # after which it begins again
PLACES = 64  # width of a head
SMALL = 0.01  # what a layer adds, in parts of what it would with usual weights
SHARP = 40.0  # how far the right place stands out in the alignment head, before the softmax
FASTEST, SLOWEST = 1.0, 0.005  # rad a frame: of the encoder's sinusoids those that tell places in a window apart
SYLLABLES = ["".join(pair) for pair in itertools.product("bcdfghjklmnpqrstvwxyz", "aeiou")]


@dataclass(frozen=True)
class Sizes:
    width: int = 384
    heads: int = 6
    layers: int = 4  # of the encoder, and of the decoder
    mels: int = 80
    audio_context: int = 1500
    text_context: int = 448


TINY = Sizes()


def write(folder: Path, sizes: Sizes = TINY, *, seed: int = 1) -> int:
    """Write an int8 directory as faster-whisper opens it; answers the number of parameters."""
    tokenizer = _tokenizer()
    vocabulary = [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]
    spec = ctranslate2.specs.whisper_spec.WhisperSpec(sizes.layers, sizes.heads, sizes.layers, sizes.heads)
    filler = _Filler(sizes, np.random.default_rng(seed))
    filler.encoder(spec.encoder)
    filler.decoder(spec.decoder, tokenizer)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": sizes.mels}))
    return filler.parameters


def spoken_words() -> list[str]:
    return ["".join(pair) for pair in itertools.islice(itertools.product(SYLLABLES, SYLLABLES), WORDS)]


def _tokenizer() -> Tokenizer:
    """Byte-level letters, syllables, and words of two and three of them, as many as Whisper has; special tokens."""
    merges = [*((syllable[0], syllable[1]) for syllable in SYLLABLES), *(("Ġ", syllable) for syllable in SYLLABLES)]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    two = [(f"Ġ{first}", second) for first, second in itertools.product(SYLLABLES, SYLLABLES)]
    three = (("".join(pair), third) for pair, third in itertools.product(two, SYLLABLES))
    for pair in itertools.islice(itertools.chain(two, three), TEXT_TOKENS - len(pieces)):
        merges.append(pair)
        pieces.append("".join(pair))
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in _LANGUAGE_CODES[:99]),
               "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>",
               "<|notimestamps|>", *(f"<|{tick * 0.02:.2f}|>" for tick in range(1501))]
    tokenizer = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    return tokenizer


def sinusoids(positions: Weight, frequencies: Weight) -> Weight:
    """(positions, 2 x frequencies): sines, then cosines."""
    angles = positions[:, None] * frequencies[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class _Filler:
    """Writes the weights into a specification and counts them."""

    def __init__(self, sizes: Sizes, rng: np.random.Generator) -> None:
        self.sizes, self.rng = sizes, rng
        self.parameters = 0
        half = sizes.width // 2
        self._frequencies = np.exp(-np.log(10_000) / (half - 1) * np.arange(half)).astype(np.float32)
        usable = np.flatnonzero((self._frequencies <= FASTEST) & (self._frequencies >= SLOWEST))
        self._telling = usable[np.linspace(0, len(usable) - 1, PLACES // 2).astype(int)]

    def encoder(self, spec: Any) -> None:
        sizes = self.sizes
        for conv, into in ((spec.conv1, sizes.mels), (spec.conv2, sizes.width)):
            conv.weight = self._noise(sizes.width, into, 3, scale=0.1 / np.sqrt(3 * into))
            conv.bias = self._zeros(sizes.width)
        spec.position_encodings.encodings = sinusoids(np.arange(sizes.audio_context, dtype=np.float32),
                                                      self._frequencies)
        self._layers(spec, crossing=False)

    def decoder(self, spec: Any, tokenizer: Tokenizer) -> None:
        width, tokens = self.sizes.width, tokenizer.get_vocab_size()
        known = width - PLACES  # of the state: which token was said last
        embeddings = np.zeros((tokens, width), np.float32)
        embeddings[:, :known] = self._noise(tokens, known, scale=known**-0.5)
        self.parameters += tokens * PLACES
        following = self.rng.permutation(embeddings) * np.float32(0.5)  # none says anything clearly
        numbers = tokenizer.get_vocab()
        words = [numbers[f"Ġ{word}"] for word in spoken_words()]
        before = [words[-1], *words[:-1]]
        following[words] = embeddings[before]
        following[words[0]] += embeddings[numbers["<|notimestamps|>"]]
        following[numbers["<|endoftext|>"]] = 0
        spec.embeddings.weight, spec.projection.weight = embeddings, following
        frames = np.maximum(0, np.arange(self.sizes.text_context, dtype=np.float32) - 1) * np.float32(50 / RATE)
        positions = np.zeros((self.sizes.text_context, width), np.float32)
        positions[:, known:] = sinusoids(frames, self._frequencies[self._telling]) / np.sqrt(PLACES / 2)
        spec.position_encodings.encodings = positions
        self.parameters += positions.size
        self._layers(spec, crossing=True)
        self._align(spec.layer[0].attention)

    def _align(self, attention: Any) -> None:
        """The first head's queries are the places that the decoder's position holds, its keys the encoder's."""
        query, both = attention.linear[0].weight, attention.linear[1].weight
        width, half = self.sizes.width, self.sizes.width // 2
        query[:PLACES], both[:PLACES] = 0, 0
        places = np.arange(PLACES)
        query[places, width - PLACES + places] = SHARP / np.sqrt(width / 2)
        both[places, np.concatenate([self._telling, half + self._telling])] = 1

    def _layers(self, part: Any, crossing: bool) -> None:
        width = self.sizes.width
        self._norm(part.layer_norm)
        for layer in part.layer:
            self._norm(layer.self_attention.layer_norm)
            together, out = layer.self_attention.linear
            self._linear(together, 3 * width, width)
            self._linear(out, width, width, SMALL)
            if crossing:
                self._norm(layer.attention.layer_norm)
                query, both, out = layer.attention.linear
                self._linear(query, width, width)
                self._linear(both, 2 * width, width)
                self._linear(out, width, width, SMALL)
            self._norm(layer.ffn.layer_norm)
            self._linear(layer.ffn.linear_0, 4 * width, width)
            self._linear(layer.ffn.linear_1, width, 4 * width, SMALL)

    def _linear(self, layer: Any, out: int, into: int, scale: float = 1.0) -> None:
        layer.weight, layer.bias = self._noise(out, into, scale=0.5 * scale * into**-0.5), self._zeros(out)

    def _norm(self, layer: Any) -> None:
        layer.gamma, layer.beta = self._zeros(self.sizes.width) + 1, self._zeros(self.sizes.width)

    def _noise(self, *shape: int, scale: float) -> Weight:
        self.parameters += int(np.prod(shape))
        return (self.rng.standard_normal(shape, np.float32) * np.float32(scale)).astype(np.float32)

    def _zeros(self, size: int) -> Weight:
        self.parameters += size
        return np.zeros(size, np.float32)
