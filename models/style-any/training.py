"""The network learns to paint in the style of whatever picture it is shown: steps, losses, checkpoint."""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from textures import drawn
from torch import Tensor, nn
from torch.nn import functional

from aimass_stream.architectures.style_any import AnyStyleNetwork, Exchange
from aimass_stream.frames import Pixels
from aimass_stream.training.contents import MAKERS, Array, Contents, photographs
from aimass_stream.training.loop import run
from aimass_stream.training.losses import (
    CONTENT_LAYER,
    STYLE_LAYERS,
    Manner,
    SqueezeNet,
    content_loss,
    moments,
    overlap,
    variation,
)

HELD_OUT = ("kodim04", "kodim21")  # photographs, for figures only

SIZE, EDGE = 144, 8  # px of a cut, and of its border, which is not judged
PAIRS = 1  # pictures of a step, each with a style of its own: more steps teach more than larger ones
MARGIN = 24  # px by which the second look may be shifted
LOOKED_TWICE = 0.5  # share of the steps that have one
STYLES, STYLE_SIZE = 480, 288  # pictures of the bank, px
AFTER_PHOTOGRAPHS = 0.5  # share of them
RATE, WARM_UP, DECAY_FROM, LAST_RATE = 1.5e-3, 50, 0.4, 0.02  # of Adam; the last two in parts of the steps
USUAL = 0.01  # of a step's styles in the usual deviations
DISTILLED = {5: 2, 9: 1}  # SqueezeNet's layers that the encoder answers like; means of so many cells
SPREAD = {5: 163.0, 9: 56.0}  # deviations of their answers: the encoder's own keep the size that the decoder takes
DISTILLED_ALONE = 500  # steps at the beginning, of the encoder alone
KNEE = 0.2  # style losses beyond grow with their logarithm only: dark pictures' are large
LOSSES = ("style", "content", "smooth", "steady", "itself", "distilled")
WEIGHTS = (15.0, 1.0, 1.0, 60.0, 20.0, 0.3)
STRONGER, STRONGER_FROM = 5.0, 3500  # times the style's weight, from this step on: what is there comes first


def tensor(pictures: list[Array]) -> Tensor:
    """(h, w, 3) each to (n, 3, h, w), channels last in memory."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


class Styles:
    """A bank of pictures in many manners; cuts of it, in other colours and sizes."""

    def __init__(self, contents: Contents, count: int = STYLES, size: int = STYLE_SIZE) -> None:
        self.rng = rng = contents.rng
        self.bank = [self._made(contents, size) for _ in range(count)]
        rng.shuffle(self.bank)

    def _made(self, contents: Contents, size: int) -> Pixels:
        rng = self.rng
        kind = rng.random()
        if kind < 0.1:
            picture = MAKERS[rng.integers(len(MAKERS))](rng, size)
        elif kind < 0.22:
            picture = contents.cut(size)
        else:
            picture = drawn(rng, size, contents.cut(size) if rng.random() < AFTER_PHOTOGRAPHS else None)
        return np.asarray(np.clip(255 * picture + 0.5, 0, 255), np.uint8)

    def cut(self, size: int) -> Array:
        """(size, size, 3)."""
        rng = self.rng
        picture = self.bank[rng.integers(len(self.bank))]
        side = min(int(size * np.exp(rng.uniform(-0.45, 0.6))), picture.shape[0])
        y, x = (int(rng.integers(picture.shape[0] - side + 1)) for _ in range(2))
        cut = picture[y : y + side, x : x + side]
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        if rng.random() < 0.25:
            cut = cut.transpose(1, 0, 2)
        made = np.asarray(cv2.resize(np.ascontiguousarray(cut), (size, size), interpolation=(
            cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)), np.float32) / 255
        if rng.random() < 0.5:  # other colours
            mixing = np.eye(3)[rng.permutation(3)] + rng.normal(0, 0.15, (3, 3))
            mean = made.mean((0, 1))
            made = (made - mean) @ mixing.T.astype(np.float32) * rng.uniform(0.6, 1.3) + np.roll(mean, 1) + (
                rng.normal(0, 0.08, 3))
        return np.asarray(np.clip(made, 0, 1), np.float32)


class Heads(nn.Module):
    """What SqueezeNet would answer, from the encoder's code; only for the training."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"5": nn.Conv2d(code, 256, 1), "9": nn.Conv2d(code, 384, 1)})

    def loss(self, code: Tensor, seen: dict[int, Tensor]) -> Tensor:
        """In parts of the answers' variance. SqueezeNet pads nothing: its cells lie half a one to the lower right."""
        between = functional.avg_pool2d(code, 2, 1)
        total = code.new_zeros(())
        for layer, means in DISTILLED.items():
            wanted = seen[layer] / SPREAD[layer]
            wanted = functional.avg_pool2d(wanted, means) if means > 1 else wanted
            found = self.layers[str(layer)](between)
            height, width = (min(one, other) for one, other in zip(found.shape[2:], wanted.shape[2:], strict=True))
            found, wanted = found[..., :height, :width], wanted[..., :height, :width]
            total = total + (found - wanted).square().mean() / wanted.var().clamp(min=1e-3)
        return total / len(DISTILLED)


def style_losses(found: Manner, wanted: Manner) -> Tensor:
    """(n,): how far each is from its own manner; as `losses.style_loss` counts it."""
    total = torch.zeros(())
    for layer, share in STYLE_LAYERS.items():
        one, aim = found[layer], wanted[layer]
        products = (one.gram - aim.gram).square().sum((1, 2)) / aim.gram.square().sum((1, 2))
        size = aim.mean.square().sum(1) + aim.deviation.square().sum(1)
        first = (one.mean - aim.mean).square().sum(1) / size
        second = (one.deviation - aim.deviation).square().sum(1) / size
        total = total + share * (products + first + second)
    return total / (2 * sum(STYLE_LAYERS.values()))


class Trainer:
    def __init__(self, shared: Path, steps: int, *, seed: int = 1, styles: int = STYLES) -> None:
        """`shared` is ../shared/data; of its paintings none is looked at."""
        torch.manual_seed(seed)
        self.steps = steps
        self.network = AnyStyleNetwork().to(memory_format=torch.channels_last)
        self.heads = Heads(self.network.sizes.code).to(memory_format=torch.channels_last)
        self.eyes = SqueezeNet(load_file(shared / "weights" / "squeezenet1_0.safetensors")).to(
            memory_format=torch.channels_last)
        folder = shared / "images" / "kodak"
        self.contents = Contents(photographs(folder, HELD_OUT) if folder.is_dir() else [], seed)
        self.styles = Styles(self.contents, styles)
        self.adam = torch.optim.Adam([*self.network.parameters(), *self.heads.parameters()], betas=(0.9, 0.99))
        self.step, self.elapsed = 0, 0.0  # s of one core
        self.losses = np.zeros(len(LOSSES))

    def rate(self) -> float:
        over = max(self.step / self.steps - DECAY_FROM, 0) / (1 - DECAY_FROM)
        fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * over))
        return RATE * min((self.step + 1) / WARM_UP, 1.0) * fall

    def update(self) -> None:
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        style = tensor([self.styles.cut(SIZE) for _ in range(PAIRS)])
        if self.step < DISTILLED_ALONE:
            parts = self._distil(style)
        else:
            parts = self.judge(tensor([self.contents.cut(SIZE + 2 * MARGIN) for _ in range(PAIRS)]), style)
        weights = (WEIGHTS[0] * (STRONGER if self.step >= STRONGER_FROM else 1.0), *WEIGHTS[1:])
        loss = sum((weight * part for weight, part in zip(weights, parts, strict=True)), torch.zeros(()))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.adam.step()
        self.network.level()
        new = np.array([part.item() for part in parts])
        self.losses = 0.98 * self.losses + 0.02 * new if self.losses[0] else new
        self.step += 1

    def _distil(self, style: Tensor) -> tuple[Tensor, ...]:
        """The encoder learns from SqueezeNet alone."""
        more = tensor([self.contents.cut(SIZE) for _ in range(3)])
        both = torch.cat([style, more]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            seen = self.eyes(both)
        nothing = torch.zeros(())
        return (*(nothing for _ in LOSSES[:-1]), self.heads.loss(self.network.seen(both)[1], seen))

    def judge(self, wide: Tensor, style: Tensor) -> tuple[Tensor, ...]:
        """The `LOSSES` of one step, on pictures (n, 3, SIZE + 2 MARGIN, the same) and styles (n, 3, SIZE, SIZE)."""
        network, rng = self.network, self.contents.rng
        seen = wide[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous(memory_format=torch.channels_last)
        style = style.contiguous(memory_format=torch.channels_last)
        itself = Exchange()
        fine, code = network.seen(style)
        again = network.painted(style, fine, code, itself)
        made = network.inner(seen, Exchange(itself.own))
        top, left = (EDGE + int(place) for place in rng.integers(-EDGE // 2, EDGE // 2 + 1, 2))
        side = SIZE - 2 * EDGE
        window = (..., slice(top, top + side), slice(left, left + side))
        with torch.no_grad():
            shown = self.eyes(seen[window], CONTENT_LAYER)[CONTENT_LAYER]
            wanted = self.eyes(style)
            aim = moments(wanted)
            network.usual.lerp_(itself.own[:, 1].mean(0), USUAL)
        found = self.eyes(made[window])
        style_loss = KNEE * (style_losses(moments(found), aim) / KNEE).log1p().mean()
        return (style_loss, content_loss(found[CONTENT_LAYER], shown), variation(made),
                self._unsteady(wide[:1], made[:1], itself.own[:1]), (again - style)[window].square().mean(),
                self.heads.loss(code, wanted))

    def _unsteady(self, wide: Tensor, made: Tensor, own: Tensor) -> Tensor:
        """How much the painted picture changes besides moving, when the camera moves, its sensor is noisy and the
        light flickers a little."""
        rng = self.contents.rng
        if rng.random() > LOOKED_TWICE:
            return made.new_zeros(())
        dy, dx = (int(shift) for shift in rng.integers(-MARGIN, MARGIN + 1, 2))
        second = wide[:, :, MARGIN + dy : MARGIN + dy + SIZE, MARGIN + dx : MARGIN + dx + SIZE]
        second = second * float(rng.uniform(0.97, 1.03)) + torch.randn_like(second) * float(rng.uniform(0, 0.04))
        again = self.network.inner(second.clamp(0, 1).contiguous(memory_format=torch.channels_last), Exchange(own))
        inside = slice(EDGE, -EDGE)
        one, other = overlap(made, dy, dx), overlap(again, -dy, -dx)
        return (one - other)[..., inside, inside].square().mean()

    def save(self, path: Path) -> None:
        state = {"network": self.network.state_dict(), "heads": self.heads.state_dict(),
                 "adam": self.adam.state_dict(), "step": self.step, "elapsed": self.elapsed}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.heads.load_state_dict(state["heads"])
        self.adam.load_state_dict(state["adam"])
        self.step, self.elapsed = state["step"], state["elapsed"]

    def run(self, checkpoint: Path, told: Callable[[Trainer], None]) -> None:
        """As `loop.run`."""
        run(self, checkpoint, told)
