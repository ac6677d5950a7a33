"""From what a client was shown, and when, to word emission delays, errors and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jiwer

from aimass_stream.speech.normal import normalise
from aimass_stream.speech.words import Word

SLACK = 0.3  # s that a word's told end may be behind the last loud sample; between utterances is twice as much


@dataclass(frozen=True, slots=True)
class Update:
    """What a client showed from this moment on."""

    at: float  # s since the first sample of the stream was sent
    committed: str  # the whole text so far that the server says is final
    partial: str  # what follows it and may change


@dataclass
class Scores:
    """Of one or several streams; `delays` in s from a word's end to its committed arrival."""

    delays: list[float] = field(default_factory=list)
    errors: int = 0  # substitutions, deletions and insertions
    words: int = 0  # of the reference
    changed: int = 0  # words that were shown and then changed or taken back
    finals: list[float] = field(default_factory=list)  # s from the end of an utterance to its last committed word

    @property
    def wer(self) -> float:
        return self.errors / self.words if self.words else 0.0

    @property
    def corrections(self) -> float:
        """Changes of a shown word, per word of the reference."""
        return self.changed / self.words if self.words else 0.0

    def add(self, other: Scores) -> None:
        self.delays += other.delays
        self.finals += other.finals
        self.errors += other.errors
        self.words += other.words
        self.changed += other.changed


def score(reference: Sequence[Word], updates: Sequence[Update], utterance_ends: Sequence[float] = ()) -> Scores:
    """`reference` with word times in s of the stream; `utterance_ends`: where the speaker stopped.

    A reference word is paired with the committed word that the alignment of least edit distance gives it, right or
    wrong; its delay runs until the text that holds that word was first committed. Deleted words have no delay.
    """
    spoken, ends = _split([(word.text, word.end) for word in reference])
    final = updates[-1].committed if updates else ""
    shown = normalise(final).split()
    arrivals = _arrivals(shown, updates)
    scores = Scores(words=len(spoken), changed=_changes(updates))
    pairs = dict(_pairs(spoken, shown, scores))
    moments = {index: arrivals[place] for index, place in pairs.items()}
    scores.delays = [moment - ends[index] for index, moment in sorted(moments.items())]
    begin = 0
    for end in utterance_ends:
        inside = [index for index in range(begin, len(ends)) if ends[index] <= end + SLACK]
        said = [moments[index] for index in inside if index in moments]
        if said:
            scores.finals.append(max(said) - end)
        begin = inside[-1] + 1 if inside else begin
    return scores


def _split(words: Sequence[tuple[str, float]]) -> tuple[list[str], list[float]]:
    """Normalised words and their ends; one word may be several after that ("21" -> "twenty one")."""
    texts, ends = [], []
    for text, end in words:
        for part in normalise(text).split():
            texts.append(part)
            ends.append(end)
    return texts, ends


def _arrivals(final: list[str], updates: Sequence[Update]) -> list[float]:
    """For every committed word, the moment from which on it stood there unchanged."""
    moments = [0.0] * len(final)
    standing = 0
    for update in updates:
        words = normalise(update.committed).split()
        same = 0
        while same < min(len(words), len(final)) and words[same] == final[same]:
            same += 1
        for place in range(standing, same):
            moments[place] = update.at
        standing = same  # a server that takes committed words back starts them anew
    return moments


def _pairs(spoken: list[str], shown: list[str], scores: Scores) -> list[tuple[int, int]]:
    if not spoken:
        scores.errors += len(shown)
        return []
    if not shown:
        scores.errors += len(spoken)
        return []
    result = jiwer.process_words(" ".join(spoken), " ".join(shown))
    scores.errors += result.substitutions + result.deletions + result.insertions
    pairs: list[tuple[int, int]] = []
    for chunk in result.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            pairs += zip(range(chunk.ref_start_idx, chunk.ref_end_idx),
                         range(chunk.hyp_start_idx, chunk.hyp_end_idx), strict=True)
    return pairs


def _changes(updates: Sequence[Update]) -> int:
    changes, before = 0, []  # type: int, list[str]
    for update in updates:
        words = normalise(f"{update.committed} {update.partial}").split()
        same = 0
        while same < min(len(words), len(before)) and words[same] == before[same]:
            same += 1
        changes += len(before) - same
        before = words
    return changes
