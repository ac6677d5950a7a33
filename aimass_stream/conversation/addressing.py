"""Whether something that was said among several people was meant for the assistant: it was called by its name.

The name stands at the begin, behind at most two words such as "hey" or "so", or at the very end. In the middle it is
a mention, and so is "the computer" anywhere. A recogniser mishears: a letter or two may differ, and one word may be
written as two.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..speech.grammar import tokens
from .offline import FILLERS, edits

LEADS = FILLERS | {"hey", "hi", "hello", "ok", "okay", "yes", "yeah", "no", "and", "but", "now", "please", "thanks"}
MOST_LEADS = 2
# whoever has said one of these before a name at the end speaks of it
MENTIONS = frozenset({
    "the", "a", "an", "my", "your", "his", "her", "its", "our", "their", "this", "that", "these", "every", "each",
    "another", "any", "some", "no", "which", "new", "old", "of", "on", "to", "with", "by", "for", "from", "in", "at",
    "into", "about", "like", "and", "or", "than", "called", "is", "was", "asked", "told"})
SHORT, LONG = 4, 8  # letters of a name: below the one it has to be right, from the other on two may be wrong


@dataclass(frozen=True, slots=True)
class Name:
    """What the assistant is called. Raises `ValueError` for what has no letters."""

    text: str

    def __post_init__(self) -> None:
        if not any(token.isalpha() for token in tokens(self.text)):
            raise ValueError("a name that can be called has letters")

    def question(self, said: str) -> str | None:
        """What was asked, without the name; empty where only the name was said, None where nobody was called."""
        words = said.split()
        spelt = [_letters(word) for word in words]
        for begin in range(min(MOST_LEADS, len(words) - 1) + 1):
            if all(word in LEADS for word in spelt[:begin]):
                length = self._at(spelt, begin)
                if length:
                    return _rest(words[begin + length :])
        for begin in range(len(words) - 1, max(0, len(words) - 1 - len(self.text.split()) - 1), -1):
            called = words[begin - 1].endswith(",") or spelt[begin - 1] not in MENTIONS
            if called and self._at(spelt, begin) == len(words) - begin:
                return _rest(words[:begin])
        return None

    def _at(self, spelt: list[str], begin: int) -> int:
        """How many words from there on are the name; 0 where they are not."""
        name = _letters(self.text)
        usual = len(self.text.split())
        found = []
        for length in {max(1, usual - 1), usual, usual + 1}:
            heard = "".join(spelt[begin : begin + length])
            if len(spelt) >= begin + length and self._alike(heard, name):
                found.append((edits(heard, name), length))
        return min(found)[1] if found else 0

    @staticmethod
    def _alike(heard: str, name: str) -> bool:
        if heard == f"{name}s":  # several of them, or what one has: spoken of
            return False
        allowed = 0 if len(name) < SHORT else 1 if len(name) < LONG else 2
        if abs(len(heard) - len(name)) > allowed:
            return False
        distance = edits(heard, name)
        return distance <= allowed and (distance == 0 or heard[:1] == name[:1])


def _letters(text: str) -> str:
    return "".join(each for each in text.lower() if each.isalnum())


def _rest(words: list[str]) -> str:
    text = " ".join(words).strip(" ,;:-–")
    return text if tokens(text) else ""
