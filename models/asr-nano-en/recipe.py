"""How "asr-nano-en" is made: a Whisper of three million parameters, trained from nothing on speech made here.

    python models/asr-nano-en/recipe.py --minutes 100

speaks tens of hours of generated sentences with espeak-ng's voices into `.cache/asr-nano` (in minutes), trains on
them, and on the CC0 clips of ../shared/data/speech/kathleen if they are there, for so many minutes, writes the model
beside this file and what was measured into `model.toml`. Ctrl-C keeps the checkpoint; the same command goes on from it.

    sentences.py    what is said            bank.py      who says it: wave forms and word times
    windows.py      mixed, cut, worn; what the decoder is to answer        tokens.py    the vocabulary
    training.py     the optimiser's steps   export.py    CTranslate2 and the card        evaluation.py    the figures
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else, on a shared machine, one thread spins while the other waits

import torch
from bank import build
from evaluation import Listener, clips, word_error_rates
from export import choose_heads, write_card, write_model
from rich.console import Console
from sentences import Trigrams, makers
from tokenizers import Tokenizer
from tokens import load, train
from training import Trainer

from aimass_stream.architectures.whisper import Dimensions

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "asr-nano"
SHARED = ROOT.parent / "shared" / "data" / "speech"
TOLD_EVERY, MEASURED_EVERY = 20.0, 900.0  # s


def tokenizer(sentences: int = 60_000) -> Tokenizer:
    """The vocabulary, made once."""
    path = CACHE / "tokenizer.json"
    if not path.exists():
        rng = random.Random(77)
        kinds, weights = makers(Trigrams())
        train(" " + rng.choices(kinds, weights)[0](rng) for _ in range(sentences)).save(str(path))
    return load(path)


class Teller:
    """Tells how the training goes: a line now and then, and word error rates of a trial export."""

    def __init__(self, console: Console, real: Path | None, minutes: float) -> None:
        self.console, self.minutes = console, minutes
        self.sets = clips(CACHE / "bank", real, 50)
        self.told = self.measured = time.monotonic()

    def __call__(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if now - self.told > TOLD_EVERY:
            self.told = now
            left = self.minutes * (1 - trainer.progress)
            said, spelled = trainer.losses
            self.console.log(f"step {trainer.step}, {trainer.heard / 3600:.1f} h heard, "
                             f"loss {said:.3f}, letters {spelled:.3f}, "
                             f"rate {trainer.rate():.5f}, {left:.0f} min left")
        if now - self.measured > MEASURED_EVERY or trainer.progress >= 1:
            self.measured = now
            write_model(trainer, CACHE / "export")
            rates = word_error_rates(Listener(CACHE / "export"), self.sets)
            torch.set_num_threads(2)
            self.console.log("WER " + ", ".join(f"{name} {rate:.1%}" for name, rate in rates.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=100, help="of training in all")
    parser.add_argument("--hours", type=float, default=36, help="of speech in the bank")
    parser.add_argument("--export", action="store_true",
                        help="write the model as the checkpoint has it, and measure it")
    parser.add_argument("--evaluate", action="store_true", help="measure the model that lies here")
    options = parser.parse_args()
    console = Console(width=140)
    real = SHARED / "kathleen" if (SHARED / "kathleen").is_dir() else None
    CACHE.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    build(CACHE / "bank", options.hours)
    trainer = Trainer(tokenizer(), Dimensions(tokenizer().get_vocab_size()), options.minutes)
    checkpoint = CACHE / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(checkpoint)
        console.log(f"goes on from step {trainer.step}, {trainer.elapsed / 60:.0f} min")
    if not options.evaluate and not options.export:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            trainer.run(CACHE / "bank", real, checkpoint, Teller(console, real, options.minutes))
        except KeyboardInterrupt:
            trainer.save(checkpoint)
            console.log(f"stopped; the checkpoint is {checkpoint}, the same command goes on")
            return
    if not options.evaluate:
        write_model(trainer, HERE)
        heads = choose_heads(HERE, clips(CACHE / "bank", None, 24)["seen"], trainer.sizes)
        console.log(f"words are timed by the heads {heads}")
    write_card(trainer, HERE, CACHE / "bank", SHARED, console.log)


if __name__ == "__main__":
    main()
