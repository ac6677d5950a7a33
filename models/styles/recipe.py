"""How the six styles are made: a small network each, which repaints a picture like one painting.

    python models/styles/recipe.py

trains a common trunk, then the styles, two at a time with a core each, on the paintings, photographs and SqueezeNet
of ../shared/data, and writes models/style-*/ as each is done: weights, a sample, and a card with what was measured.
Ctrl-C keeps the checkpoints in `.cache/styles`; the same command goes on from them. A preview of a drawn scene lies
beside each checkpoint and improves while it runs.

    training.py  the paintings, and what they are learned from      graph.py    the network for onnxruntime
    manners.py   how they are painted, in numbers                   aimass_stream/training    all the rest
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a shared machine, one thread spins while the other waits

import torch
from rich.console import Console
from training import STYLES, held_out, told, trainer

from aimass_stream.training.folder import sample, write
from aimass_stream.training.loop import Teller
from aimass_stream.training.trainer import LOSSES, Trainer
from aimass_stream.training.wishes import Style

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHARED = ROOT.parent / "shared" / "data"
TRUNK = "trunk.pt"


def learn(style: Style, checkpoint: Path, steps: int, threads: int, *, trunk: int = 0,
          out: Path | None = None) -> None:
    """Train a network; if it is not the trunk itself, after its so many steps, and write it to `out` when done."""
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # `run` leaves its checkpoint
        learner = trainer(style, SHARED, steps, fades=trunk > 0)
        if checkpoint.exists():
            learner.load(checkpoint)
        elif trunk:
            learner.load(checkpoint.with_name(TRUNK), only_weights=True)
        preview = partial(sample, checkpoint.with_suffix(".jpg"), learner.network)
        learner.run(checkpoint, Teller(preview, LOSSES, checkpoint.stem))
        if out is not None:
            export(learner, out, trunk)


def export(learner: Trainer, out: Path, trunk: int) -> None:
    figures = write(learner, out, told(learner, trunk), held_out(SHARED))
    Console(width=140).log(f"{learner.style.name}: {asdict(figures)}")


def learn_all(styles: list[Style], options: argparse.Namespace) -> None:
    """The styles side by side: a core each does more steps a second than two cores at one of them."""
    context = multiprocessing.get_context("spawn")
    waiting, running = list(styles), dict[int, SpawnProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                style = waiting.pop(0)
                process = context.Process(
                    target=learn, args=(style, options.work / f"{style.name}.pt", options.steps, 1),
                    kwargs={"trunk": options.trunk_steps, "out": options.out / style.name})
                process.start()
                running[process.sentinel] = process
            for sentinel in wait(list(running)):
                done = running.pop(int(cast(int, sentinel)))
                done.join()
                if done.exitcode:
                    raise SystemExit(f"a training process ended with {done.exitcode}; the same command goes on")
    finally:
        for process in running.values():  # an interrupt from the keyboard has reached them already, others not
            process.terminate()
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6000, help="of every style's own training")
    parser.add_argument("--trunk-steps", type=int, default=1500, help="before, of the network all styles begin with")
    parser.add_argument("--jobs", type=int, default=2, help="styles that are trained at once, on one core each")
    parser.add_argument("--styles", nargs="*", choices=[style.name for style in STYLES], help="only these")
    parser.add_argument("--export", action="store_true", help="write the styles as their checkpoints have them")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "styles", help="for checkpoints and previews")
    parser.add_argument("--out", type=Path, default=ROOT / "models", help="where the styles' folders are written")
    options = parser.parse_args()
    console = Console(width=140)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.work.mkdir(parents=True, exist_ok=True)
    styles = [style for style in STYLES if style.name in (options.styles or [style.name])]
    if options.export:
        for style in styles:
            learner = trainer(style, SHARED, options.steps)
            learner.load(options.work / f"{style.name}.pt")
            export(learner, options.out / style.name, options.trunk_steps)
        return
    learn(STYLES[0], options.work / TRUNK, options.trunk_steps, options.jobs)
    trunk = options.work / TRUNK
    if not trunk.exists() or Trainer.steps_of(trunk) < options.trunk_steps:
        console.log("stopped; the same command goes on")
        return
    with contextlib.suppress(KeyboardInterrupt):
        learn_all(styles, options)


if __name__ == "__main__":
    main()
