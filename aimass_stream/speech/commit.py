"""Which words of a growing hypothesis may be taken for good, and which are not to be believed at all.

A policy is shown, pass after pass, the words that follow those it has settled, and answers how many of them
stay. Settled words are never taken back: whoever hears gives them to the model as a prefix.

`LocalAgreement` settles what consecutive hypotheses agree on (Liu et al. 2020; Macháček et al., *Turning
Whisper into Real-Time Transcription System*, 2023). `Alignment` settles after one pass the words that the
model's attention places clear of the end of the sound (the idea of AlignAtt, Papi et al. 2023, and of
Simul-Whisper, Wang et al. 2024), here by their aligned ends, and nearer to it what two passes agree on.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from .words import HEARING_RATE, Hypothesis, Waveform, Word

NOBODY = 0.6  # probability that nobody speaks, from which on an unsure hypothesis is invented
UNSURE = -1.0  # mean log probability under which a hypothesis is unsure (Radford et al., section 4.5)
INAUDIBLE = 1e-3  # root mean square under which no word was spoken: -60 dBFS
AROUND = 0.15  # s on both sides of a word in which its sound is looked for
HASTY = 0.07  # s a word: nobody speaks faster for long
LOOP = 6  # repetitions that are a loop however slowly they come; from 3 on if they are hasty
LONGEST_LOOP = 8  # words in what is repeated
SENTENCE_ENDS = ".?!。？！…"


class Policy(Protocol):
    def settled(self, words: Sequence[Word], end: float, pause: bool = False) -> int:
        """How many of the first words stay; `end` (s) is where the sound ends, `pause`: in silence.

        It remembers what it was shown.
        """
        ...

    def forget(self) -> None:
        """What comes next has nothing to do with what was."""
        ...


class LocalAgreement:
    """Settles the longest beginning on which `n` hypotheses in a row agree, whatever case and punctuation."""

    def __init__(self, n: int = 2) -> None:
        if n < 2:
            raise ValueError("one hypothesis agrees with everything: n is at least 2")
        self.n = n
        self._before: list[list[str]] = []  # keys of the last hypotheses, of what is not settled

    def settled(self, words: Sequence[Word], end: float, pause: bool = False) -> int:
        keys = [key(word.text) for word in words]
        count = 0
        if len(self._before) == self.n - 1:
            while count < len(keys) and all(keys[count : count + 1] == old[count : count + 1] for old in self._before):
                count += 1
        self._before = [*self._before, keys][-(self.n - 1):]
        self._before = [old[count:] for old in self._before]
        return count

    def forget(self) -> None:
        self._before = []


class Alignment:
    """Settles after one pass the words that end at least `margin` s before the sound does, or `rest` s where it ends
    in a pause; those that end `agreed` s before it as soon as a second pass in a row has them.

    The sound that follows changes words: with a margin of 0.25 s a small model got 8 % of them wrong that it gets 4 %
    of wrong with 1 s. Two passes a quarter of a second apart know as much as a second of sound does.
    """

    def __init__(self, margin: float = 1.0, rest: float = 0.1, agreed: float = 0.1) -> None:
        self.margin = margin
        self.rest = rest
        self.agreed = agreed
        self._before: list[str] = []  # keys of the last hypothesis, of what is not settled

    def settled(self, words: Sequence[Word], end: float, pause: bool = False) -> int:
        keys = [key(word.text) for word in words]
        sure = _clear(words, end - (self.rest if pause else self.margin))
        likely = _clear(words, end - self.agreed)
        count = 0
        while count < likely and keys[count : count + 1] == self._before[count : count + 1]:
            count += 1
        count = max(count, sure)
        self._before = keys[count:]
        return count

    def forget(self) -> None:
        self._before = []


def _clear(words: Sequence[Word], moment: float) -> int:
    """How many of the first words end before that."""
    return next((place for place, word in enumerate(words) if word.end > moment), len(words))


POLICIES: dict[str, Callable[[], Policy]] = {"alignment": Alignment, "local_agreement": LocalAgreement}


def key(text: str) -> str:
    """The word without case, accents' ways of being written and punctuation; the word itself if that is all it is."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign.isalnum()) or folded


# what is not to be believed -----------------------------------------------------------------------------


def believable(heard: Hypothesis, audio: Waveform) -> tuple[Word, ...]:
    """The words of a hypothesis about this sound, without inventions and loops."""
    if heard.no_speech > NOBODY and heard.mean_log_probability < UNSURE:
        return ()
    return unlooped(audible(heard.words, audio))


def audible(words: Sequence[Word], audio: Waveform) -> tuple[Word, ...]:
    """Those in whose time there is any sound at all; times count from the begin of `audio`."""
    def heard(word: Word) -> bool:
        first = max(0, round((word.start - AROUND) * HEARING_RATE))
        return loudness(audio[first : round((word.end + AROUND) * HEARING_RATE)]) > INAUDIBLE

    return tuple(word for word in words if heard(word))


def loudness(audio: Waveform) -> float:
    """Root mean square, full scale being 1."""
    return math.sqrt(float(np.dot(audio, audio)) / len(audio)) if len(audio) else 0.0


def unlooped(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words up to where the model began to go round in circles, with one round of that if it took its time.

    People repeat themselves, too: a few rounds at a speaker's pace are kept.
    """
    keys = [key(word.text) for word in words]
    for start in range(len(words)):
        for length in range(1, min(LONGEST_LOOP, (len(words) - start) // 3) + 1):
            rounds = _rounds(keys, start, length)
            if rounds < 3:
                continue
            if rounds >= LOOP or _hasty(words[start : start + rounds * length]):
                once = words[start : start + length]
                return tuple(words[:start] if _hasty(once) else words[: start + length])
    return tuple(words)


def _hasty(words: Sequence[Word]) -> bool:
    return words[-1].end - words[0].start < HASTY * len(words)


def _rounds(keys: Sequence[str], start: int, length: int) -> int:
    """How often the words from `start` stand there one after another."""
    rounds = 1
    while keys[start + rounds * length : start + (rounds + 1) * length] == keys[start : start + length]:
        rounds += 1
    return rounds


def unrepeated(words: Sequence[Word], said: Sequence[Word], cut: float) -> tuple[Word, ...]:
    """Without the first words if they are the last ones said, heard again in what the cut at `cut` s left of them."""
    for count in range(min(4, len(words), len(said)), 0, -1):
        again = [key(word.text) for word in words[:count]] == [key(word.text) for word in said[-count:]]
        if again and words[count - 1].end < cut + 0.2 * count:
            return tuple(words[count:])
    return tuple(words)


# where to cut ---------------------------------------------------------------------------------------------


def place_to_cut(words: Sequence[Word], earliest: float, latest: float) -> tuple[int, float] | None:
    """Between which settled words the sound is best cut: how many lie before, and when (s). None: nowhere.

    The longest pause between `earliest` and `latest` wins; the end of a sentence is as good as half a second.
    """
    best: tuple[float, int, float] | None = None
    for index, word in enumerate(words):
        following = words[index + 1].start if index + 1 < len(words) else latest
        if word.end > latest:
            break
        moment = min((word.end + max(following, word.end)) / 2, word.end + 0.3, latest)
        worth = max(0.0, following - word.end) + (0.5 if word.text[-1:] in SENTENCE_ENDS else 0.0)
        if moment >= earliest and (best is None or worth >= best[0]):
            best = worth, index + 1, moment
    return None if best is None else best[1:]
