"""One picture, painted by changing its pixels until it is judged to be in the style: minutes for what a network does at
once, and what networks are measured by.

Gatys et al., *Image Style Transfer Using Convolutional Neural Networks* (CVPR 2016), with the losses that our networks
are trained on, and from a small picture to the full one, as in Gatys et al., *Controlling Perceptual Factors in Neural
Style Transfer* (arXiv:1611.07865): strokes that are large come first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import cv2
import numpy as np

from ..errors import InvalidInput, InvalidMedia, ModelFailed
from ..frames import Pixels
from ..painting.upsample import upsampled
from . import check, judge
from .contents import Array, scaled
from .picture import bgr, opaque, read
from .wishes import Reporter, Tell

if TYPE_CHECKING:
    from torch import Tensor

    from .losses import Manner, SqueezeNet

SIDE = 640  # px of the longer side that is worked on, unless something else is asked for
SIDES = (32, 2048)
STEPS = 100  # of L-BFGS; at half the size before, as many
FRAME = 16  # px of continued border while it is painted: what convolutions do at edges is cut away
STYLE, SMOOTH, OUTSIDE = 30.0, 1.0, 10.0  # weights beside a content loss of about one; the last: of colours beyond 1
RATE = 0.03  # of Adam
HISTORY = 10  # gradients that L-BFGS remembers
LOSSES = ("style", "content", "smooth")
KINDS = (".png", ".jpg", ".jpeg", ".webp")

Way: TypeAlias = Literal["lbfgs", "adam"]


@dataclass(frozen=True, slots=True)
class Wish:
    content: Path
    picture: Path  # whose style it gets
    out: Path  # it is written there meanwhile, too
    side: int = SIDE  # px
    steps: int = STEPS
    style: float = STYLE
    way: Way = "lbfgs"
    strokes: float = 1.0  # size of the style's picture, in the content's
    loss_weights: Path | None = None
    device: str = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    wish: Wish
    content: Pixels  # (h, w, 3) BGR, all of it
    painting: Array
    judge: Path


def way_of(name: str) -> Way:
    """Raises `InvalidInput`."""
    if name == "lbfgs":
        return "lbfgs"
    if name == "adam":
        return "adam"
    raise InvalidInput(f"there is no optimizer {name[:32]!r}; there are: lbfgs, adam", field="optimizer")


def plan(wish: Wish, pulled: Path) -> Plan:
    """`pulled` is the folder of fetched models. Raises `InvalidInput`, `NotFound` or `Unavailable` with a sentence."""
    check()
    if not SIDES[0] <= wish.side <= SIDES[1]:
        raise InvalidInput(f"the longer side is from {SIDES[0]} to {SIDES[1]} px", field="side")
    if wish.steps < 1:
        raise InvalidInput("there is at least 1 step", field="steps")
    if not 0.1 <= wish.strokes <= 4:
        raise InvalidInput("the size of strokes is from 0.1 to 4", field="strokes")
    if not 0 <= wish.style < float("inf"):
        raise InvalidInput("the style's weight is 0 and more", field="style_weight")
    if wish.out.suffix.lower() not in KINDS:
        raise InvalidInput(f"{wish.out.name}: it is written as one of {', '.join(KINDS)}", field="out")
    painting, content = read(wish.picture), opaque(wish.content)
    if min(content.shape[:2]) < SIDES[0]:
        raise InvalidMedia(f"{wish.content.name} has {content.shape[1]}x{content.shape[0]} px; "
                           f"{SIDES[0]}x{SIDES[0]} and more are painted", field="content")
    return Plan(wish, content, painting, judge.find(wish.loss_weights, pulled))


def make(plan: Plan, tell: Tell) -> dict[str, float]:
    """Paint it; answers the last losses. What has been reached is written to `out` meanwhile, also when it is broken
    off. Raises what `judge.read` raises."""
    import torch

    from .losses import SqueezeNet, manner
    from .styles import device_of
    from .trainer import tensor

    wish = plan.wish
    if wish.threads:
        torch.set_num_threads(wish.threads)
    device = torch.device(device_of(wish.device))
    eyes = SqueezeNet(judge.read(plan.judge)).to(device, memory_format=torch.channels_last)
    full = min(wish.side, max(plan.content.shape[:2]))
    sizes = [size for size in (full // 2, full) if size == full or size >= SIDES[0]]
    work = _Work(plan, tell, len(sizes) * wish.steps)
    made: Tensor | None = None
    try:
        for size in sizes:
            content = tensor([scaled(_rgb(plan.content), size)]).to(device)
            strokes = scaled(plan.painting, max(SIDES[0], round(size * wish.strokes)))
            wanted = manner(eyes, [tensor([strokes]).to(device)])
            begun = content if made is None else torch.nn.functional.interpolate(
                made, content.shape[2:], mode="bicubic").clamp(0, 1)
            made = optimise(begun, content, wanted, eyes, wish, work)
    finally:
        work.write(wish.out)
    return work.losses


class _Work:
    """Counts the steps of all sizes, and writes what has been reached."""

    def __init__(self, plan: Plan, tell: Tell, steps: int) -> None:
        self.plan, self.step, self.losses = plan, 0, dict[str, float]()
        self.made: Tensor | None = None
        self.report = Reporter(plan.wish.out.name, steps, plan.wish.out, tell, self.write)
        self.report.begin(0)

    def __call__(self, made: Tensor, losses: dict[str, float]) -> None:
        self.made, self.losses = made, losses
        self.step += 1
        self.report(self.step, losses)

    def write(self, path: Path) -> None:
        if self.made is not None:
            write(path, finished(self.made, self.plan.content))


def optimise(begun: Tensor, content: Tensor, wanted: Manner, eyes: SqueezeNet, wish: Wish,
             told: Callable[[Tensor, dict[str, float]], None]) -> Tensor:
    """(1, 3, h, w) RGB, 0 to 1, after the steps from `begun`; `told` gets the picture and its losses after every one.

    Raises `ModelFailed` if the losses are no numbers any more.
    """
    import torch

    from .losses import CONTENT_LAYER, content_loss, style_loss, variation

    def framed(picture: Tensor) -> Tensor:
        return torch.nn.functional.pad(picture, (FRAME,) * 4, mode="replicate")

    def reached() -> Tensor:
        return x.detach()[:, :, FRAME:-FRAME, FRAME:-FRAME].clamp(0, 1)

    with torch.no_grad():
        shown = eyes(framed(content), CONTENT_LAYER)[CONTENT_LAYER]
    # L-BFGS looks at gradients as one row, which they are in this order only
    x = framed(begun).clone(memory_format=torch.contiguous_format).requires_grad_(True)
    parts: dict[str, float] = {}

    def judged() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        found = eyes(x)
        each = (style_loss(found, wanted), content_loss(found[CONTENT_LAYER], shown), variation(x))
        parts.update(zip(LOSSES, (part.item() for part in each), strict=True))
        outside = (x - x.clamp(0, 1)).square().mean()
        loss = wish.style * each[0] + each[1] + SMOOTH * each[2] + OUTSIDE * outside
        loss.backward()
        return loss

    optimizer: Any = torch.optim.Adam([x], RATE)
    if wish.way == "lbfgs":
        optimizer = torch.optim.LBFGS([x], max_iter=1, max_eval=4, history_size=HISTORY, line_search_fn="strong_wolfe",
                                      tolerance_grad=0, tolerance_change=0)
    for _ in range(wish.steps):
        optimizer.step(judged)
        if not np.isfinite(list(parts.values())).all():
            raise ModelFailed("the losses are no numbers any more; a smaller weight of the style may help")
        told(reached(), dict(parts))
    return reached()


def finished(made: Tensor, content: Pixels) -> Pixels:
    """(h, w, 3) BGR, as large as the content: where less was painted, brought back along the content's edges."""
    planes = np.ascontiguousarray(made[0].cpu().numpy(), np.float32)
    if planes.shape[1:] == content.shape[:2]:
        return bgr(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    seen = cv2.resize(content, (planes.shape[2], planes.shape[1]), interpolation=cv2.INTER_AREA)
    return upsampled(planes, np.asarray(seen, np.uint8), content)


def write(path: Path, picture: Pixels) -> None:
    """Whoever looks at the file sees a whole one. Raises `OSError`."""
    written, data = cv2.imencode(path.suffix.lower(), picture)
    if not written:
        raise OSError(f"{path} can't be written")
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(np.asarray(data).tobytes())
    os.replace(part, path)


def _rgb(picture: Pixels) -> Array:
    return np.ascontiguousarray(picture[:, :, ::-1], np.float32) / np.float32(255)
