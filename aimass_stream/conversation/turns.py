"""Whose turn it is when somebody speaks into a reply. Pure: no clock, no sound.

A reply is held as soon as speech is noticed, which is what makes an interruption feel immediate. Then it is decided:
real words interrupt; a cough, an "mhm" or nothing at all lets the reply go on where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..speech.grammar import tokens
from ..speech.words import Word

Verdict: TypeAlias = Literal["wait", "interrupt", "resume"]

PATIENCE = 2.0  # s without words, then the reply goes on
GIVEN_UP = 0.6  # s of silence without a word: the same, sooner
BRIEF = 0.15  # s of voice: less is a click or a cough, whatever was made of it
SYLLABLE = 0.45  # s of voice: less is a word only if the recogniser is sure of it, or it is one to interrupt with
SENTENCE = 0.7  # s of voice: more is neither a cough nor an "mhm", whatever was made of it
LONG = 1.2  # s of voice in one go, without a word from the recogniser: it may be slow, the user should not wait

CONFIDENT = 0.8  # of a word, by the recogniser

INTERRUPTERS = frozenset({"stop", "no", "wait", "what", "why", "hey", "hold", "pause", "quiet", "enough", "cancel",
                          "never", "sorry", "excuse", "hello", "help", "please", "shush"})

# what listeners say without wanting the turn, as recognisers write it
BACKCHANNELS = frozenset({
    "mhm", "mm", "mmm", "hm", "hmm", "hum", "uh", "huh", "uhhuh", "um", "ah", "aha", "oh", "eh", "er", "m", "h", "hem",
    "yeah", "yep", "yes", "yup", "ok", "right", "sure", "cool", "wow", "really", "nice", "true", "exactly", "ha",
    "haha", "him", "whom", "am", "home", "hmmm"})



def _squeezed(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", word)


_SQUEEZED = frozenset(_squeezed(word) for word in BACKCHANNELS if set(word) <= set("aehmou"))


@dataclass(frozen=True, slots=True)
class Interjection:
    """What is known of the speech that a reply was held for."""

    text: str  # so far
    voiced: float  # s of voice so far
    elapsed: float  # s since the reply was held
    speaking: bool  # still, or again
    final: bool = False  # the turn is over, `text` is all of it
    guessed: bool = False  # the words are of a recogniser that hears some in any noise
    confidence: float = 1.0  # of the surest word that tells something
    silence: float = 0.0  # s since the last voice


def verdict(heard: Interjection) -> Verdict:
    if heard.guessed and (heard.final or heard.voiced >= SENTENCE):
        return "interrupt" if heard.voiced >= SENTENCE else "resume"
    words = tokens(heard.text)
    telling = [word for word in words if not backchannel(word)]
    if telling and not heard.guessed and _believed(heard, telling):
        return "interrupt"
    if heard.final or (not telling and heard.silence >= GIVEN_UP):
        return "resume"
    if heard.speaking and heard.voiced >= LONG and (telling or not words):
        return "interrupt"
    if heard.elapsed >= PATIENCE and not heard.speaking:
        return "resume"
    return "wait"


def _believed(heard: Interjection, telling: list[str]) -> bool:
    """A recogniser that is asked what a cough means finds a word for it, but is not sure of it."""
    if heard.voiced >= (SYLLABLE if heard.final else SENTENCE):
        return True
    sure = heard.confidence >= CONFIDENT or not INTERRUPTERS.isdisjoint(telling)
    return sure and heard.voiced >= BRIEF


def surest(words: Sequence[Word]) -> float:
    """The confidence of the surest word that is no backchannel; 1 where the engine does not say."""
    telling = [word for word in words if not all(backchannel(token) for token in tokens(word.text))]
    return max((1.0 if word.confidence is None else word.confidence for word in telling), default=1.0)


def backchannel(word: str) -> bool:
    """"ahh" and "mmhmm" are written with as many letters as they last."""
    return word in BACKCHANNELS or _squeezed(word) in _SQUEEZED


def same_words(one: str, other: str) -> bool:
    """Two texts that a brain would answer alike: case, punctuation and spelling variants don't count."""
    return tokens(one) == tokens(other)
