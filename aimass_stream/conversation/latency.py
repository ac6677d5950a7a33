"""Where the time of one turn went, from the end of the user's speech to the first sound of the reply."""

from __future__ import annotations

import itertools

from .. import metrics
from ..events import TurnLatency
from ..hearing.events import TurnEnded
from .reply import Moments

PARTS = ("endpoint", "recognition", "brain", "voice", "wire")


def told(turn: str, heard: TurnEnded, *, ended: float, moments: Moments, played: float) -> TurnLatency:
    """Counts the turn in the metrics and answers what is told of it.

    `ended`: when the user's speech was over, `played`: when the reply's first sound left; s, monotonic. Each part
    counts from where the one before ended: what was done ahead of time took none.
    """
    marks = [ended, heard.endpointed, heard.recognized, moments.first_words or played, moments.first_sound or played,
             played]
    marks = list(itertools.accumulate(marks, max))
    seconds = {part: after - before for part, (before, after) in zip(PARTS, itertools.pairwise(marks), strict=True)}
    total = marks[-1] - marks[0]
    for part, value in {**seconds, "total": total}.items():
        metrics.TURN.labels(part).observe(value)
    return TurnLatency(turn=turn, total=round(total * 1000, 1),
                       **{part: round(value * 1000, 1) for part, value in seconds.items()})
