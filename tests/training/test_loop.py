"""The steps of a training: checkpoints, what is told of them, and an interrupt."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from aimass_stream.training import loop
from aimass_stream.training.loop import Teller, run


class Counting:
    """Learns nothing; breaks off at `stops`."""

    def __init__(self, steps: int, stops: int = -1) -> None:
        self.step, self.steps, self.stops = 0, steps, stops
        self.losses, self.elapsed = [9.0, 4.0], 0.0
        self.saved: list[int] = []

    def update(self) -> None:
        if self.step == self.stops:
            raise KeyboardInterrupt
        self.step += 1
        self.losses = [each / 2 for each in self.losses]

    def save(self, path: Path, /) -> None:
        self.saved.append(self.step)


def test_all_steps_are_told_and_the_last_is_saved(tmp_path: Path) -> None:
    learner, told = Counting(5), list[int]()
    run(learner, tmp_path / "x.pt", lambda trained: told.append(trained.step))
    assert told == [1, 2, 3, 4, 5]
    assert learner.saved == [5]
    assert learner.elapsed >= 0


def test_an_interrupt_leaves_a_checkpoint_and_now_and_then_one_is_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVED_EVERY", -1.0)
    learner = Counting(5, stops=3)
    with pytest.raises(KeyboardInterrupt):
        run(learner, tmp_path / "x.pt", lambda trained: None)
    assert learner.saved == [1, 2, 3, 3]


def test_a_line_at_the_end_and_previews_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHOWN_EVERY", -1.0)
    shown, teller = list[int](), Teller(lambda: shown.append(1), ("style", "content"), "wave")
    said = io.StringIO()
    teller.console = Console(file=said, width=140)
    run(Counting(3), tmp_path / "x.pt", teller)
    assert len(shown) == 3
    assert said.getvalue().count("step") == 1
    assert "wave: step 3 of 3, style 1.1250, content 0.5000, 0 min left" in said.getvalue()
