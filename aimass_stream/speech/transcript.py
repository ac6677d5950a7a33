"""What was said in a session, in a bounded record, and as subtitles: SubRip and WebVTT."""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..events import TranscriptCommitted
from .words import Word

MOST_WORDS = 100_000  # about ten hours of talk; older ones are dropped and counted
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})  # languages written without blanks

# how a subtitle is cut, after what broadcasters ask for
LINE = 42  # characters
LINES = 2
LONGEST = 6.0  # s
SHORTEST = 0.8  # s it stays, where the next one leaves room
PAUSE = 0.8  # s without a word, after which a new one begins
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")


def line(words: Sequence[Word], language: str = "") -> str:
    """The words as they are written in a line."""
    return ("" if language in UNSPACED else " ").join(word.text for word in words)


@dataclass(slots=True)
class Utterance:
    """Words of one speaker without a break, as they were committed."""

    id: str
    speaker: str
    language: str
    engine: str
    model: str
    words: list[Word] = field(default_factory=list)

    @property
    def text(self) -> str:
        return line(self.words, self.language)


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start: float  # s of media time
    end: float
    speaker: str
    text: str  # lines


class Transcript:
    """Fed with `TranscriptCommitted`; words are in the order of their commitment, by utterance."""

    def __init__(self, most: int = MOST_WORDS) -> None:
        self.dropped = 0  # words
        self._most = most
        self._count = 0
        self._utterances: deque[Utterance] = deque(maxlen=most)

    def __len__(self) -> int:
        return self._count

    def add(self, said: TranscriptCommitted) -> None:
        if not said.words:
            return
        words = [Word(word.text, word.start, word.end, word.confidence) for word in said.words]
        utterance = next((each for each in reversed(self._utterances)
                          if (each.id, each.speaker) == (said.utterance, said.speaker)), None)
        if utterance is None:
            utterance = Utterance(said.utterance, said.speaker, said.language, said.engine, said.model)
            self._utterances.append(utterance)
        utterance.words += words
        self._count += len(words)
        while self._count > self._most and len(self._utterances) > 1:
            lost = len(self._utterances.popleft().words)
            self._count -= lost
            self.dropped += lost

    def copy(self) -> Transcript:
        """As it is now, for another thread to read."""
        copied = Transcript(self._most)
        copied.dropped, copied._count = self.dropped, self._count
        copied._utterances.extend(replace(each, words=list(each.words)) for each in self._utterances)
        return copied

    def utterances(self) -> list[Utterance]:
        """In the order in which they began."""
        return sorted(self._utterances, key=lambda each: each.words[0].start)

    # as text -----------------------------------------------------------------------------------------

    def text(self) -> str:
        """One line an utterance; with several speakers, each line names its own."""
        several = self._several
        return "".join(f"{_name(each.speaker)}: {each.text}\n" if several else f"{each.text}\n"
                       for each in self.utterances())

    def srt(self) -> str:
        """SubRip: numbered, with commas in its times."""
        return "\n".join(f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{self._named(cue)}\n"
                         for number, cue in enumerate(self.cues(), 1))

    def vtt(self) -> str:
        """WebVTT, with speakers as voice spans where there are several."""
        blocks = ["WEBVTT\n"]
        for cue in self.cues():
            text = html.escape(cue.text, quote=False)  # escapes the ">" of an arrow, too
            if self._several:
                text = f"<v {html.escape(_name(cue.speaker), quote=False)}>{text}"
            blocks.append(f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{text}\n")
        return "\n".join(blocks)

    def json(self) -> dict[str, Any]:
        return {
            "text": self.text().strip(), "dropped_words": self.dropped,
            "utterances": [{"id": each.id, "speaker": each.speaker, "language": each.language, "engine": each.engine,
                            "model": each.model, "text": each.text, "start": round(each.words[0].start, 3),
                            "end": round(each.words[-1].end, 3), "words": [word.json() for word in each.words]}
                           for each in self.utterances()]}

    def cues(self) -> list[Cue]:
        """Subtitles in the order of their begin; those of one speaker do not overlap."""
        return sorted((cue for each in self.utterances()
                       for cue in cut(each.words, speaker=each.speaker, language=each.language)),
                      key=lambda cue: cue.start)

    @property
    def _several(self) -> bool:
        return len({each.speaker for each in self._utterances}) > 1

    def _named(self, cue: Cue) -> str:
        return f"{_name(cue.speaker)}: {cue.text}" if self._several else cue.text


def _name(speaker: str) -> str:
    """In one line."""
    return " ".join(speaker.split())


def cut(words: Sequence[Word], *, speaker: str = "", language: str = "") -> list[Cue]:
    """Words as subtitles that can be read: at most two lines, ending with a sentence or in a pause if they can."""
    groups = list(_groups(words, language))
    cues = []
    for index, group in enumerate(groups):
        latest = groups[index + 1][0].start if index + 1 < len(groups) else float("inf")
        end = min(max(group[-1].end, group[0].start + SHORTEST), max(latest, group[0].start + 0.001))
        cues.append(Cue(group[0].start, end, speaker, "\n".join(_lines(line(group, language), language))))
    return cues


def _groups(words: Iterable[Word], language: str) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (word.start - group[-1].end > PAUSE or word.end - group[0].start > LONGEST
                      or group[-1].text.endswith(SENTENCE_ENDS)
                      or len(_lines(line([*group, word], language), language)) > LINES):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _lines(text: str, language: str) -> list[str]:
    """Wrapped at blanks; text without blanks at any character, at half the length, since its letters are wide."""
    if language in UNSPACED:
        size = LINE // 2
        return [text[at : at + size] for at in range(0, len(text), size)]
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= LINE:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _time(seconds: float, comma: str) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{comma}{rest % 1000:03}"
