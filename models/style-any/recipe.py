"""Trains the network that paints in the style of any picture.

    python models/style-any/recipe.py [--steps 7000]

wants the extra `torch` and the photographs and SqueezeNet of ../shared/data, and writes weights, a sample and the card
beside this file. Styles are drawn by code (textures.py); the six paintings of ../shared/data are held out and only
measured on at the end. Ctrl-C keeps the checkpoint in `.cache/style-any`; the same command goes on from it, and
`--export` writes what it has. A preview lies beside it and improves while it runs.

    textures.py    styles drawn by code      training.py    the steps
    evaluation.py  the figures               graph.py       the network for onnxruntime
    export.py      weights, sample and card      aimass_stream/training    contents and losses
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a shared machine, one thread spins while the other waits

import torch
from export import preview, write
from rich.console import Console
from training import LOSSES, STYLES, Trainer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHARED = ROOT.parent / "shared" / "data"
TOLD_EVERY, SHOWN_EVERY = 30.0, 120.0  # s


class Teller:
    """A line on how the training goes now and then, and a preview."""

    def __init__(self, picture: Path) -> None:
        self.picture, self.console = picture, Console(width=140)
        self.told = self.shown = self.begun = time.monotonic()
        self.first = -1

    def __call__(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.begun, self.first = now, trainer.step
        if now - self.told > TOLD_EVERY or trainer.step == trainer.steps:
            self.told = now
            pace = (now - self.begun) / max(trainer.step - self.first, 1)
            losses = ", ".join(f"{name} {value:.4f}" for name, value in zip(LOSSES, trainer.losses, strict=True))
            self.console.log(f"step {trainer.step} of {trainer.steps}, {losses}, "
                             f"{(trainer.steps - trainer.step) * pace / 60:.0f} min left")
        if now - self.shown > SHOWN_EVERY:
            self.shown = now
            preview(self.picture, trainer.network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export", action="store_true", help="write what the checkpoint has")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "style-any", help="for checkpoint and preview")
    parser.add_argument("--out", type=Path, default=HERE, help="where weights, sample and card are written")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.work.mkdir(parents=True, exist_ok=True)
    checkpoint = options.work / "any.pt"
    trainer = Trainer(SHARED, options.steps, styles=1 if options.export else STYLES)
    if checkpoint.exists():
        trainer.load(checkpoint)
    console = Console(width=140)
    if not options.export:
        with contextlib.suppress(KeyboardInterrupt):
            trainer.run(checkpoint, Teller(checkpoint.with_suffix(".jpg")))
        if trainer.step < trainer.steps:
            console.log("stopped; the same command goes on")
            return
    write(trainer, options.out, SHARED, console.log)


if __name__ == "__main__":
    main()
