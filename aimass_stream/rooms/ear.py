"""What the assistant of a room hears of one participant's session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..events import Event
from ..frames import AudioFrame, Frame
from ..hearing.events import Committed, Partial
from ..speech.words import Word
from .floor import Floor
from .ports import Participant


class Ear:
    """A `ports.Sink` of that session."""

    def __init__(self, floor: Floor, participant: Callable[[], Participant]) -> None:
        """`participant`: as they are now; they may have got another name."""
        self._floor, self._participant = floor, participant

    def frame(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame):
            self._floor.sound(self._participant(), frame)

    def event(self, event: Event) -> None:
        data, who = event.data, self._participant()
        match event.type:
            case "speech.started":
                self._floor.started(who, data["at"])
            case "speech.stopped":
                self._floor.stopped(who, data["at"], data["duration"])
            case "transcript.partial":
                self._floor.words(who, Partial(data["utterance"], _words(data), data["language"]), data["engine"])
            case "transcript.committed":
                heard = Committed(data["utterance"], _words(data), data["language"], data["final"])
                self._floor.words(who, heard, data["engine"])
            case _:
                pass

    def flush(self, track: str | None = None) -> None:
        """What was heard was heard."""

    async def close(self, reason: str) -> None:
        """Captions of what was being said are still to come: `Floor.left` is for who has got them all."""


def _words(data: dict[str, Any]) -> tuple[Word, ...]:
    return tuple(Word(**word) for word in data["words"])
