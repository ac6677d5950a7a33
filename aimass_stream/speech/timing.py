"""Where words begin and end in their sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .words import HEARING_RATE, Waveform, Word

PIECE = 160  # samples: 10 ms
SILENT = 0.04  # loudness in parts of the loudest piece: -28 dB
SHORTEST = 0.06  # s that a word keeps


def tightened(words: Sequence[Word], audio: Waveform) -> tuple[Word, ...]:
    """The words without the silence before and behind them; times count from the begin of `audio`.

    Attention tells the order of words well and their edges badly: the first one's begins with the sound, and one
    before a pause lasts until the next.
    """
    pieces = audio[: len(audio) // PIECE * PIECE].reshape(-1, PIECE)
    if not words or not len(pieces):
        return tuple(words)
    loud = np.sqrt((pieces * pieces).mean(axis=1))
    voiced = loud > SILENT * loud.max()
    return tuple(_tight(word, voiced) for word in words)


def _tight(word: Word, voiced: np.ndarray) -> Word:
    scale = PIECE / HEARING_RATE
    first, last = int(word.start / scale), min(len(voiced), int(np.ceil(word.end / scale)))
    inside = np.flatnonzero(voiced[first:last])
    if not len(inside):
        return word
    start = max(word.start, (first + int(inside[0])) * scale)
    end = min(word.end, (first + int(inside[-1]) + 1) * scale)
    if end - start < SHORTEST:
        return word
    return Word(word.text, round(start, 3), round(end, 3), word.confidence)
