"""Long sound in pieces that a recogniser takes at once, cut where nobody speaks."""

from __future__ import annotations

from collections.abc import Sequence

from .transcript import SENTENCE_ENDS
from .words import Word

SPEECH = 0.5  # probability
PAD = 0.3  # s of sound kept before and behind speech
REST = 0.7  # s of silence that end a piece which is long enough
BREAK = 2.5  # s of silence that end any piece
ENOUGH = 10.0  # s
LONGEST = 24.0  # s of a piece; Whisper's window of 30 leaves room for the pads
SENTENCE_PAUSE = 1.0  # s without a word, after which a segment ends
LONGEST_SEGMENT = 15.0  # s


class Pieces:
    """Fed with a voice activity detector's probabilities, window by window, each `step` s long."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._at = 0.0  # s: the end of what was fed
        self._free = 0.0  # s: the end of the last piece
        self._begun: float | None = None  # s: where speech began
        self._spoken = 0.0  # s: where it was last
        self._quietest: list[tuple[float, float]] = []  # (probability, s: middle of that window) since the begin

    @property
    def idle(self) -> bool:
        """Nobody has spoken since the last piece."""
        return self._begun is None

    def feed(self, probability: float) -> tuple[float, float] | None:
        """The piece (begin, end in s) that is over with this window."""
        begin, self._at = self._at, self._at + self.step
        if probability >= SPEECH:
            if self._begun is None:
                self._begun, self._quietest = begin, []
            self._spoken = self._at
        if self._begun is None:
            return None
        self._quietest.append((probability, begin + self.step / 2))
        silence, length = self._at - self._spoken, self._at - self._begun
        if silence >= BREAK or (silence >= REST and length >= ENOUGH):
            return self._end(self._spoken)
        return self._split() if length >= LONGEST else None

    def finish(self) -> tuple[float, float] | None:
        """The piece at the end, if somebody spoke in it."""
        return None if self._begun is None else self._end(self._spoken)

    def _end(self, spoken: float) -> tuple[float, float]:
        assert self._begun is not None
        piece = max(self._free, self._begun - PAD), min(self._at, spoken + PAD)
        self._free, self._begun = piece[1], None
        return piece

    def _split(self) -> tuple[float, float]:
        """Where the voice is least likely, in the second half; what follows begins a piece of its own."""
        assert self._begun is not None
        later = [each for each in self._quietest if each[1] >= self._begun + LONGEST / 2]
        moment = min(later)[1]
        piece = max(self._free, self._begun - PAD), moment
        self._free, self._begun = moment, moment
        self._quietest = [each for each in later if each[1] > moment]
        return piece


def sentences(words: Sequence[Word]) -> list[list[Word]]:
    """Words in segments that end with a sentence, with a pause, or when they get long."""
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1] if groups else []
        if not last or last[-1].text.endswith(SENTENCE_ENDS) or word.start - last[-1].end > SENTENCE_PAUSE \
                or word.end - last[0].start > LONGEST_SEGMENT:
            groups.append([word])
        else:
            last.append(word)
    return groups
