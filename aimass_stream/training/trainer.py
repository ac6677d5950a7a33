"""One network learns one style: the steps, their losses, and the checkpoint."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..architectures.style import StyleNetwork, repaint
from ..errors import ModelFailed
from .contents import Array, Contents, scaled
from .loop import run
from .losses import CONTENT_LAYER, Manner, SqueezeNet, content_loss, manner, overlap, style_loss, variation
from .wishes import Style

SIZE, PICTURES = 224, 1  # px of a cut; cuts of a step: more steps teach more than larger ones
MARGIN = 48  # px around it, by which the second look may be shifted
WINDOW = 8  # px: what is judged begins anywhere in a coarse cell, so that no pattern can lie on SqueezeNet's own grid
RATE, WARM_UP, DECAY_FROM, LAST_RATE = 3e-3, 50, 0.4, 0.01  # of Adam; the last two in parts of the steps
LOSSES = ("style", "content", "smooth", "steady", "alike")


def tensor(pictures: Sequence[Array]) -> Tensor:
    """(h, w, 3) each to (n, 3, h, w), channels last in memory, which convolutions are faster with."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


class Trainer:
    def __init__(self, style: Style, painting: Array, eyes: SqueezeNet, contents: Contents, steps: int, *,
                 fades: bool = True, seed: int = 1, device: str = "cpu") -> None:
        """A trunk's rate never `fades`."""
        torch.manual_seed(seed)
        self.style, self.steps, self.fades = style, steps, fades
        self.device = torch.device(device)
        self.network = StyleNetwork().to(self.device, memory_format=torch.channels_last)
        self.eyes = eyes.to(self.device, memory_format=torch.channels_last)
        views = [tensor([scaled(painting, longest)]).to(self.device) for longest in style.longest]
        self.manner: Manner = manner(self.eyes, views)
        self.contents = contents
        self.adam = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.99))
        self.step, self.elapsed = 0, 0.0  # s of one core
        self.losses = np.zeros(len(LOSSES))

    def rate(self) -> float:
        over = max(self.step / self.steps - DECAY_FROM, 0) / (1 - DECAY_FROM) if self.fades else 0.0
        fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * over))
        return RATE * min((self.step + 1) / WARM_UP, 1.0) * fall

    def update(self) -> None:
        """One step. Raises `ModelFailed` before it would leave weights that are no numbers."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        wide = tensor([self.contents.cut(SIZE + 2 * MARGIN) for _ in range(PICTURES)]).to(self.device)
        parts = self.judge(wide)
        weights = (self.style.style, self.style.content, self.style.smooth, self.style.steady, self.style.alike)
        loss = sum((weight * part for weight, part in zip(weights, parts, strict=True)), torch.zeros_like(parts[0]))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        new = np.array([part.item() for part in parts])
        if not (np.isfinite(new).all() and bool(torch.isfinite(norm))):
            raise ModelFailed(f"the losses are no numbers any more after step {self.step}")
        self.adam.step()
        self.network.level()
        self.losses = 0.98 * self.losses + 0.02 * new if self.losses.any() else new
        self.step += 1

    def judge(self, wide: Tensor) -> tuple[Tensor, ...]:
        """The `LOSSES` of one step, on pictures (n, 3, SIZE + 2 MARGIN, the same).

        The widest rung is held to the painting; another one, drawn by lot, to the widest, which teaches it more than
        the painting alone would (the sandwich rule of arXiv:1903.05134, one rung at a time), and to the painting, too,
        unless it is a half one: on a coarser grid it would find strokes of its own, and change the picture when the
        governor takes it.
        """
        rng = self.contents.rng
        seen = wide[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous(memory_format=torch.channels_last)
        made = self.network(seen)
        other = int(rng.integers(1, len(self.network.sizes.rungs)))
        lesser = repaint(self.network, seen, other)
        top, left = (int(place) for place in rng.integers(0, WINDOW, 2))
        window = (..., slice(top, top + SIZE - WINDOW), slice(left, left + SIZE - WINDOW))
        with torch.no_grad():
            shown = self.eyes(seen[window], CONTENT_LAYER)[CONTENT_LAYER]
        judged = made if self.network.sizes.rungs[other].half else torch.cat([made, lesser])
        found = self.eyes(judged[window])
        content = content_loss(found[CONTENT_LAYER], shown.repeat(len(judged) // len(made), 1, 1, 1))
        alike = (lesser - made.detach()).abs().mean()
        return style_loss(found, self.manner), content, variation(judged), self.unsteady(wide[:1], made[:1]), alike

    def unsteady(self, wide: Tensor, made: Tensor) -> Tensor:
        """How much the painted picture changes besides moving, when the camera moves, its sensor is noisy and the
        light flickers a little: what a stroke does must follow from what is shown, not from where the grid lies or
        the picture ends."""
        rng = self.contents.rng
        dy, dx = (int(shift) for shift in rng.integers(-MARGIN, MARGIN + 1, 2))
        second = wide[:, :, MARGIN + dy : MARGIN + dy + SIZE, MARGIN + dx : MARGIN + dx + SIZE]
        second = second * float(rng.uniform(0.97, 1.03)) + torch.randn_like(second) * float(rng.uniform(0, 0.04))
        again = self.network(second.clamp(0, 1).contiguous(memory_format=torch.channels_last))
        both = (overlap(made, dy, dx), overlap(again, -dy, -dx))
        return (both[0] - both[1]).square().mean()

    def save(self, path: Path) -> None:
        state = {"network": self.network.state_dict(), "adam": self.adam.state_dict(), "step": self.step,
                 "elapsed": self.elapsed}
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)

    def load(self, path: Path, *, only_weights: bool = False) -> None:
        """Go on from a checkpoint, or only begin with its weights."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.network.load_state_dict(state["network"])
        if not only_weights:
            self.adam.load_state_dict(state["adam"])
            self.step, self.elapsed = state["step"], state["elapsed"]

    @staticmethod
    def steps_of(path: Path) -> int:
        """Steps that a checkpoint has behind it."""
        return int(torch.load(path, weights_only=True)["step"])

    def run(self, checkpoint: Path, told: Callable[[Trainer], None]) -> None:
        """As `loop.run`."""
        run(self, checkpoint, told)
