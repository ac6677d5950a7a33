"""Training: batches in a process of their own, AdamW, a CTC head beside the decoder."""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bank import Samples, Utterance, kathleen, read_shard
from tokenizers import Tokenizer
from torch import Tensor, distributed, nn
from torch.nn import functional
from windows import LETTERS, Mixer, Writer

from aimass_stream.architectures.whisper import Dimensions, LogMel, Whisper

RANKS = 2  # processes
BATCH_SECONDS = 40  # in each
RATE, WARM_UP, DECAY_FROM, LAST_RATE = 1e-3, 400, 0.5, 0.02  # of AdamW; the last two in parts of the time
FASTER = 1.5  # Muon's rate, in AdamW's
EASY_UNTIL = 0.42  # part of the time in which windows are short
LENGTHS = ((2, 12), (4, 24), (6, 24), (8, 16), (10, 8), (12, 5), (14, 3), (16, 2), (20, 2), (24, 1),
           (30, 2))  # s, weight
PADDED = 0.05  # part of the batches that are short clips padded to 30 s


@dataclass(frozen=True, slots=True)
class Batch:
    mel: Tensor  # (n, 80, frames)
    inputs: Tensor  # (n, length) tokens
    targets: Tensor  # (n, length)
    letters: Tensor  # (sum of letter_counts,)
    letter_counts: Tensor  # (n,)


class Batches(torch.utils.data.IterableDataset[Batch]):
    """Endless batches of windows of one length each; `progress` (0 to 1) is shared with the training process."""

    def __init__(self, folder: Path, real: Path | None, tokenizer: str, progress: Any, seed: int) -> None:
        self.folder, self.real, self.tokenizer, self.progress, self.seed = folder, real, tokenizer, progress, seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        names = sorted(path.stem for path in self.folder.glob("train-*.json"))
        shards: list[tuple[Samples, list[Utterance]]] = [read_shard(self.folder, name) for name in names]
        mixer = Mixer(shards, kathleen(self.real, self.folder, held=False) if self.real else None,
                      self.seed + (info.id if info else 0))
        writer, features = Writer(Tokenizer.from_str(self.tokenizer)), LogMel()
        while True:
            if len(names) < 200:  # the bank may still grow
                new = [path.stem for path in self.folder.glob("train-*.json") if path.stem not in names]
                names += new
                mixer.shards += [read_shard(self.folder, name) for name in new]
            yield make_batch(mixer, writer, features, self.progress.value)


def make_batch(mixer: Mixer, writer: Writer, features: LogMel, progress: float) -> Batch:
    rng = mixer.rng
    if progress < EASY_UNTIL:
        seconds, padded = float(rng.choice((2, 4, 4, 6, 6))), False
    else:
        lengths, weights = np.array([row[0] for row in LENGTHS]), np.array([row[1] for row in LENGTHS])
        seconds, padded = float(rng.choice(lengths, p=weights / weights.sum())), bool(rng.random() < PADDED)
    frames = 3000 if padded else round(seconds * 100)
    count = max(int(BATCH_SECONDS // (frames / 100)), 2)
    if padded:
        windows = [mixer.window(float(rng.uniform(1.0, 20.0)), padded_to=30.0) for _ in range(count)]
    else:
        clean = rng.random() < 0.4
        windows = [mixer.window(seconds, augment=not clean) for _ in range(count)]
    mel = features(torch.from_numpy(np.stack([window.sound for window in windows])))
    for row, window in zip(mel, windows, strict=True):
        if window.blank:
            row[:, round(window.content * 100) :] = 0
        if progress >= EASY_UNTIL and rng.random() < 0.25:
            _mask(row, rng)
    written = [writer.write(window, timed=rng.random() < 0.5, capped=rng.random() < 0.5) for window in windows]
    longest = max(len(sequence.inputs) for sequence in written)
    inputs = torch.full((count, longest), writer.end)
    targets = torch.full((count, longest), -100)
    for index, sequence in enumerate(written):
        inputs[index, : len(sequence.inputs)] = torch.tensor(sequence.inputs)
        targets[index, : len(sequence.targets)] = torch.tensor(sequence.targets)
    return Batch(mel, inputs[:, :448], targets[:, :448],
                 torch.tensor([one for sequence in written for one in sequence.letters]),
                 torch.tensor([len(sequence.letters) for sequence in written]))


def _mask(mel: Tensor, rng: np.random.Generator) -> None:
    """SpecAugment (arXiv:1904.08779), light: bands and short moments are set to the mean."""
    mean = mel.mean()
    for _ in range(int(rng.integers(1, 3))):
        first, width = int(rng.integers(0, 72)), int(rng.integers(1, 9))
        mel[first : first + width] = mean
    for _ in range(int(rng.integers(0, 3))):
        first = int(rng.integers(0, mel.shape[1]))
        mel[:, first : first + int(rng.integers(1, 10))] = mean


class Trainer:
    """Weights, their optimisers and the clock; saved whole."""

    def __init__(self, tokenizer: Tokenizer, sizes: Dimensions, minutes: float) -> None:
        torch.manual_seed(1)
        self.tokenizer, self.sizes, self.minutes = tokenizer, sizes, minutes
        self.model = Whisper(sizes)
        self.letters = nn.Linear(sizes.width, len(LETTERS) + 1)
        blocks = [weight for side in (self.model.encoder, self.model.decoder) for weight in side.blocks.parameters()
                  if weight.ndim == 2]
        known = {id(weight) for weight in blocks}
        others = [weight for weight in self.parameters() if id(weight) not in known]
        # Muon (Jordan et al., 2024) steps matrices along orthogonal directions; the rest is AdamW's
        self.muon = torch.optim.Muon(blocks, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(others, weight_decay=0.0, betas=(0.9, 0.98))
        self.step, self.elapsed, self.heard = 0, 0.0, 0.0  # s of training, s of audio
        self.half = True  # bfloat16 where it is safe
        self.losses = np.zeros(2)

    def parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.letters.parameters()]

    @property
    def progress(self) -> float:
        return min(self.elapsed / (60 * self.minutes), 1.0)

    def rate(self) -> float:
        fall = (1 - self.progress) / (1 - DECAY_FROM) if self.progress > DECAY_FROM else 1.0
        return RATE * min((self.step + 1) / WARM_UP, 1.0) * max(fall, LAST_RATE)

    def update(self, batch: Batch) -> None:
        for group in self.muon.param_groups:
            group["lr"] = self.rate() * FASTER
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            heard = self.model.encoder(batch.mel)  # (n, frames / 2, width)
            logits = self.model.decoder(batch.inputs, heard)
            letters = self.letters(heard)
        said = functional.cross_entropy(logits.float().flatten(0, 1), batch.targets.flatten())
        spelled = self._spelled(letters.float(), batch)
        loss = said + (0.5 * (1 - self.progress) + 0.02) * spelled
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self._share()
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        self.muon.step()
        self.adam.step()
        new = np.array([said.item(), spelled.item()])
        self.losses = 0.98 * self.losses + 0.02 * new if self.losses.any() else new
        self.step += 1
        self.heard += RANKS * batch.mel.shape[0] * batch.mel.shape[2] / 100

    def _share(self) -> None:
        """The mean of all processes' gradients, and the first one's clock."""
        if not distributed.is_initialized():
            return
        first = distributed.get_rank() == 0
        grads = [weight.grad for weight in self.parameters() if weight.grad is not None]
        clock = torch.tensor([self.elapsed * RANKS if first else 0.0])
        together = torch.cat([*(grad.flatten() for grad in grads), clock]) / RANKS
        distributed.all_reduce(together)
        parts = together.split([*(grad.numel() for grad in grads), 1])
        for grad, part in zip(grads, parts, strict=False):
            grad.copy_(part.view_as(grad))
        if not first:
            self.elapsed = float(together[-1])

    def _spelled(self, letters: Tensor, batch: Batch) -> Tensor:
        """CTC on letters, which teaches the encoder to hear before the decoder attends (arXiv:1609.06773)."""
        frames = torch.full((letters.shape[0],), letters.shape[1])
        loss = functional.ctc_loss(letters.log_softmax(-1).transpose(0, 1), batch.letters, frames, batch.letter_counts,
                                   reduction="none", zero_infinity=True)
        return (loss / batch.letter_counts.clamp(min=1)).mean()

    def save(self, path: Path) -> None:
        state = {"model": self.model.state_dict(), "letters": self.letters.state_dict(),
                 "muon": self.muon.state_dict(), "adam": self.adam.state_dict(),
                 "step": self.step, "elapsed": self.elapsed,
                 "heard": self.heard}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        for name in ("model", "letters", "muon", "adam"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.elapsed, self.heard = state["step"], state["elapsed"], state["heard"]

    def run(self, folder: Path, real: Path | None, checkpoint: Path, told: Callable[[Trainer], None]) -> None:
        """Train until the time is over; `told` is called after every step, the checkpoint written every 2 minutes.

        `RANKS` processes of one thread each share every step: on a machine where others work, two threads of one
        process wait for each other most of the time.
        """
        self.save(checkpoint)
        meeting = checkpoint.with_suffix(".meeting")
        meeting.unlink(missing_ok=True)
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=_help, args=(rank, meeting, folder, real, checkpoint, self.tokenizer.to_str(),
                                                      self.sizes, self.minutes))
                  for rank in range(1, RANKS)]
        for process in others:
            process.start()
        try:
            self.join(0, meeting, folder, real, checkpoint, told)
        finally:
            for process in others:
                process.terminate()

    def join(self, rank: int, meeting: Path, folder: Path, real: Path | None, checkpoint: Path,
             told: Callable[[Trainer], None] | None) -> None:
        """The steps of one process; the first tells and saves."""
        torch.set_num_threads(1)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=RANKS)
        shared = multiprocessing.get_context("fork").Value("d", self.progress)
        data = Batches(folder, real, self.tokenizer.to_str(), shared, seed=1000 + self.step + 7919 * rank)
        loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=6,
                                             multiprocessing_context="fork")
        saved = last = time.monotonic()
        for batch in loader:
            self.update(batch)
            shared.value = self.progress
            if told is not None:
                told(self)
                self.elapsed, last = self.elapsed + time.monotonic() - last, time.monotonic()
                if time.monotonic() - saved > 120 or self.progress >= 1:
                    self.save(checkpoint)
                    saved = time.monotonic()
            if self.progress >= 1:
                return


def _help(rank: int, meeting: Path, folder: Path, real: Path | None, checkpoint: Path, tokenizer: str,
          sizes: Dimensions, minutes: float) -> None:
    trainer = Trainer(Tokenizer.from_str(tokenizer), sizes, minutes)
    trainer.load(checkpoint)
    trainer.join(rank, meeting, folder, real, checkpoint, None)
