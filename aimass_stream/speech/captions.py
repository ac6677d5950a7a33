"""What the captions of a session show now: the last words of whoever spoke last.

Words are found in a sound lane and shown in picture lanes, which are other instances of other stages: they meet
here, at the session's board, which lives as long as one of them holds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from ..frames import now
from .words import Word

MOST = 60  # words kept of a speaker: more than two lines ever show
AGAIN = 8.0  # s of silence, after which a speaker's next words begin on an empty line


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to draw."""

    speaker: str  # empty while there is only one
    words: tuple[Word, ...]
    language: str
    since: float  # s, monotonic: when the last of it came
    version: int  # another number whenever any of it changed


@dataclass(slots=True)
class _Speaker:
    committed: deque[Word]
    partial: tuple[Word, ...] = ()
    language: str = ""
    since: float = 0.0


class Board:
    """Words come by `commit` and `suggest`; `shown` is asked for every picture."""

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}
        self._latest = ""
        self._version = 0
        self._heard: set[str] = set()  # tracks whose sound is transcribed

    def commit(self, speaker: str, words: Sequence[Word], language: str = "") -> None:
        """Words that stay; what was suggested of them is gone."""
        self._of(speaker, language).committed.extend(words)
        self._speakers[speaker].partial = ()

    def suggest(self, speaker: str, words: Sequence[Word], language: str = "") -> None:
        """Words that may still change."""
        self._of(speaker, language).partial = tuple(words)

    def listen(self, track: str) -> None:
        """The words of this track's sound come from its recogniser, by `commit` and `suggest`."""
        self._heard.add(track)

    def hears(self, track: str) -> bool:
        return track in self._heard

    def leave(self, track: str) -> None:
        """Its recogniser is gone."""
        self._heard.discard(track)

    def shown(self) -> Shown | None:
        """None as long as nobody has spoken."""
        speaker = self._speakers.get(self._latest)
        if speaker is None:
            return None
        name = self._latest if len(self._speakers) > 1 else ""
        return Shown(name, (*speaker.committed, *speaker.partial), speaker.language, speaker.since, self._version)

    def _of(self, name: str, language: str) -> _Speaker:
        speaker = self._speakers.setdefault(name, _Speaker(deque(maxlen=MOST)))
        moment = now()
        if moment - speaker.since > AGAIN:
            speaker.committed.clear()
        speaker.language, speaker.since = language, moment
        self._latest = name
        self._version += 1
        return speaker


_boards: WeakValueDictionary[str, Board] = WeakValueDictionary()


def board(session: str) -> Board:
    """The session's. Hold it: it is gone with the last who does."""
    found = _boards.get(session)
    if found is None:
        found = _boards[session] = Board()
    return found
