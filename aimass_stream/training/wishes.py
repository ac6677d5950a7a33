"""What is to be made by training, and the news on the way; torch is not needed for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

TOLD_EVERY = 0.5  # s
SHOWN_EVERY = (5.0, 60.0)  # s between two previews: the first ones come sooner


@dataclass(frozen=True, slots=True)
class Style:
    """A painting, and what its networks are held to. Weights are beside a content loss of about one."""

    name: str
    file: str
    title: str
    painter: str
    year: str
    longest: tuple[int, ...] = (448, 320)  # px of the painting's longer side: how large its strokes are
    style: float = 18.0
    content: float = 1.0
    smooth: float = 3.0
    steady: float = 50.0
    alike: float = 6.0  # the rungs


@dataclass(frozen=True, slots=True)
class News:
    """How far a training is."""

    name: str
    step: int
    steps: int
    left: float | None  # s until the last step; None: not known yet
    losses: dict[str, float]
    preview: Path
    shown: int  # the preview is of this step; 0: there is none yet

    def json(self) -> dict[str, Any]:
        return {"state": "running", "name": self.name, "step": self.step, "steps": self.steps,
                "seconds_left": None if self.left is None else round(self.left, 1),
                "losses": {name: round(value, 4) for name, value in self.losses.items()},
                "preview": str(self.preview), "preview_step": self.shown}


Tell: TypeAlias = Callable[[News], None]


@dataclass(slots=True)
class Reporter:
    """Tells how far it is every now and then, and has the preview painted: soon after the beginning, when most
    changes, then more rarely."""

    name: str
    steps: int
    preview: Path
    tell: Tell
    paint: Callable[[Path], None]
    shown: int = 0  # step
    _first: int = -1  # step that this run begins with
    _begun: float = field(default_factory=time.monotonic)
    _told: float = 0.0
    _painted: float = field(default_factory=time.monotonic)
    _pause: float = SHOWN_EVERY[0]

    def begin(self, step: int) -> None:
        self._first, self._begun = step, time.monotonic()
        self._painted = self._begun
        self.tell(News(self.name, step, self.steps, None, {}, self.preview, self.shown))

    def __call__(self, step: int, losses: dict[str, float]) -> None:
        now = time.monotonic()
        last = step >= self.steps
        if last or now - self._painted > self._pause:
            self.paint(self.preview)
            self.shown = step
            self._painted = time.monotonic()
            self._pause = min(1.5 * self._pause, SHOWN_EVERY[1])
        if last or now - self._told > TOLD_EVERY:
            self._told = now
            left = (self.steps - step) * (now - self._begun) / max(step - self._first, 1)
            self.tell(News(self.name, step, self.steps, left, losses, self.preview, self.shown))
