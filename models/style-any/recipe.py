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
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a shared machine, one thread spins while the other waits

import torch
from export import preview, write
from rich.console import Console
from training import LOSSES, STYLES, Trainer

from aimass_stream.training.loop import Teller

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHARED = ROOT.parent / "shared" / "data"


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
            shown = partial(preview, checkpoint.with_suffix(".jpg"), trainer.network)
            trainer.run(checkpoint, Teller(shown, LOSSES))
        if trainer.step < trainer.steps:
            console.log("stopped; the same command goes on")
            return
    write(trainer, options.out, SHARED, console.log)


if __name__ == "__main__":
    main()
