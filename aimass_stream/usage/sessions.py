"""Live sessions, looked at now and then: how long they lived, what was dropped, how long frames take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..ports import Caller
from .meter import Meter


@dataclass(frozen=True, slots=True)
class Seen:
    """A session at this moment."""

    id: str
    caller: Caller
    drops: int  # since it began
    delays: tuple[float, ...] = ()  # s, of each of its tracks: the usual way of a frame
    app: str = ""
    age: float = 0.0  # s
    utterances: int = 0  # since it began
    words: tuple[tuple[float, str], ...] = ()  # of the last ones: s to the first words, and the model that heard them


class Sessions:
    """What is new of each since the last look, and when it ends."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        # when it was last looked at (s, monotonic), its drops, and its utterances
        self._known: dict[str, tuple[float, int, int]] = {}

    def look(self, there: Iterable[Seen], now: float) -> None:
        there = list(there)
        for seen in there:
            self._count(seen, now)
        self._known = {seen.id: (now, seen.drops, seen.utterances) for seen in there}

    def ended(self, seen: Seen, now: float) -> None:
        """However short it was: it may never have been looked at."""
        self._count(seen, now)
        self._known.pop(seen.id, None)

    def _count(self, seen: Seen, now: float) -> None:
        before = self._known.get(seen.id)
        since, drops, utterances = before or (now - seen.age, 0, 0)
        self._meter.session(seen.caller, max(0.0, now - since), app=seen.app, begun=before is None,
                            drops=max(0, seen.drops - drops))
        for delay in seen.delays:
            self._meter.frame(seen.caller, delay, app=seen.app)
        fresh = max(0, seen.utterances - utterances)
        for seconds, model in seen.words[-fresh:] if fresh else ():
            self._meter.words(seen.caller, model, seconds, app=seen.app)
