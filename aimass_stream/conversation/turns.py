"""Whose turn it is when somebody speaks into a reply. Pure: no clock, no sound.

A reply is held as soon as speech is noticed, which is what makes an interruption feel immediate. Then it is decided:
real words interrupt; a cough, an "mhm" or nothing at all lets the reply go on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..speech.grammar import tokens

Verdict: TypeAlias = Literal["wait", "interrupt", "resume"]

PATIENCE = 2.0  # s without words, then the reply goes on
BRIEF = 0.28  # s of voice: less is a click or a cough, whatever was made of it
SENTENCE = 0.7  # s of voice: more is neither a cough nor an "mhm", whatever was made of it
LONG = 1.2  # s of voice in one go, without a word from the recogniser: it may be slow, the user should not wait

# what listeners say without wanting the turn, as recognisers write it
BACKCHANNELS = frozenset({
    "mhm", "mm", "mmm", "hm", "hmm", "hum", "uh", "huh", "uhhuh", "um", "ah", "aha", "oh", "eh", "er", "m", "h", "hem",
    "yeah", "yep", "yes", "yup", "ok", "right", "sure", "cool", "wow", "really", "nice", "true", "exactly", "ha",
    "haha", "him", "whom", "am", "home", "hmmm"})


@dataclass(frozen=True, slots=True)
class Interjection:
    """What is known of the speech that a reply was held for."""

    text: str  # so far
    voiced: float  # s of voice so far
    elapsed: float  # s since the reply was held
    speaking: bool  # still, or again
    final: bool = False  # the turn is over, `text` is all of it
    guessed: bool = False  # the words are of a recogniser that hears some in any noise


def verdict(heard: Interjection) -> Verdict:
    if heard.guessed and (heard.final or heard.voiced >= SENTENCE):
        return "interrupt" if heard.voiced >= SENTENCE else "resume"
    words = tokens(heard.text)
    telling = [word for word in words if word not in BACKCHANNELS]
    if telling and heard.voiced >= BRIEF and not heard.guessed:
        return "interrupt"
    if heard.final:
        return "resume"
    if heard.speaking and heard.voiced >= LONG and (telling or not words):
        return "interrupt"
    if heard.elapsed >= PATIENCE and not heard.speaking:
        return "resume"
    return "wait"


def same_words(one: str, other: str) -> bool:
    """Two texts that a brain would answer alike: case, punctuation and spelling variants don't count."""
    return tokens(one) == tokens(other)
