"""The steps of a training one after the other, with checkpoints, and what it says at a terminal meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

SAVED_EVERY = 60.0  # s
TOLD_EVERY, SHOWN_EVERY = 30.0, 120.0  # s


class Learner(Protocol):
    """A training: where it is, its next step, and what it goes on from."""

    step: int
    steps: int
    elapsed: float  # s of processor time

    @property
    def losses(self) -> Iterable[float]: ...

    def update(self) -> None: ...
    def save(self, path: Path, /) -> None: ...


L = TypeVar("L", bound=Learner)


def run(learner: L, checkpoint: Path, told: Callable[[L], None]) -> None:
    """The steps that are left; `told` is called after every one. An interrupt leaves a checkpoint."""
    saved, spent = time.monotonic(), time.process_time()
    try:
        while learner.step < learner.steps:
            learner.update()
            now = time.process_time()
            learner.elapsed, spent = learner.elapsed + now - spent, now
            told(learner)
            if time.monotonic() - saved > SAVED_EVERY:
                learner.save(checkpoint)
                saved = time.monotonic()
    finally:
        learner.save(checkpoint)


class Teller:
    """A line on how it goes now and then, with the losses of these names, and `show` for a preview; once a step."""

    def __init__(self, show: Callable[[], None], losses: Sequence[str], name: str = "") -> None:
        self.show, self.losses, self.name = show, losses, name
        self.console = Console(width=140)
        self.told = self.shown = self.begun = time.monotonic()
        self.first = -1

    def __call__(self, learner: Learner) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.begun, self.first = now, learner.step
        if now - self.told > TOLD_EVERY or learner.step == learner.steps:
            self.told = now
            pace = (now - self.begun) / max(learner.step - self.first, 1)
            losses = ", ".join(f"{name} {value:.4f}" for name, value in zip(self.losses, learner.losses, strict=True))
            self.console.log(f"{self.name and self.name + ': '}step {learner.step} of {learner.steps}, {losses}, "
                             f"{(learner.steps - learner.step) * pace / 60:.0f} min left")
        if now - self.shown > SHOWN_EVERY:
            self.shown = now
            self.show()
