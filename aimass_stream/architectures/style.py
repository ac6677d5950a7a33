"""A small network that repaints pictures in one style, in several widths that share their weights.

Feed-forward style transfer after Johnson et al. (arXiv:1603.08155) with instance norm (Ulyanov et al.,
arXiv:1607.08022), separable convolutions, and slimmable widths with norms of their own (Yu et al., arXiv:1812.08928).
Nearly everything happens on cells of 4x4 and 8x8 pixels; the way back up is learned (Shi et al., arXiv:1609.05158) and
guided by what the picture has inside of every cell, so that edges stay where they are:

    picture ─┬─ 8x8, stride 4 ─ 16 ─┬─ 4x4, stride 2 ─ 64 ─ five blocks ─ 1x1, twice ──┐
             │                      └──────────────────────────────────────────────── + ─ 3x3 ─┬─ 3x3 ── + ─ shuffle
             │                                                                         1x1, 16 ┤         │
             └─ 4x4, stride 4 ─ 16, the guide ─────────────────────────────────────────────── times ─ 1x1

A rung is one way to run it: a width of the blocks, at the picture's full size or at half of it, which
`upsample` brings back under the guidance of the full picture.
"""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .style_shape import CELL, EPSILON, MARGIN, Sizes, borders

STEEPNESS = 4.0  # of the sigmoid at the end where it is nearly straight
LUMA = (0.299, 0.587, 0.114)


class Statistics:
    """What every norm normalises by during one pass: its own picture's means and variances, mixed into earlier ones.

    `before` is the `taken` of an earlier picture, (n, 2, channels); the new picture counts by `share`.
    """

    def __init__(self, before: Tensor | None = None, share: float = 1.0) -> None:
        self.before, self.share = before, share
        self._at = 0
        self._used: list[Tensor] = []

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (n, c, 1, 1) to be used for x (n, c, h, w)."""
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        used = torch.stack([mean, variance], 1)  # (n, 2, c)
        if self.before is not None:
            earlier = self.before[:, :, self._at : self._at + x.shape[1]]
            used = earlier + self.share * (used - earlier)
        self._at += x.shape[1]
        self._used.append(used)
        return used[:, 0, :, None, None], used[:, 1, :, None, None]

    @property
    def taken(self) -> Tensor:
        """What was used, (n, 2, channels of all norms in the order of the pass)."""
        return torch.cat(self._used, 2)


class Norm(nn.Module):
    """Instance norm; every rung has gains and shifts of its own."""

    def __init__(self, channels: int, rungs: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(rungs, channels))
        self.shift = nn.Parameter(torch.zeros(rungs, channels))

    def forward(self, x: Tensor, rung: int, statistics: Statistics) -> Tensor:
        channels = x.shape[1]
        mean, variance = statistics.of(x)
        gain, shift = self.gain[rung, :channels, None, None], self.shift[rung, :channels, None, None]
        scale = gain * (variance + EPSILON).rsqrt()
        return x * scale + (shift - mean * scale)


class Slim(nn.Module):
    """A convolution of which a part may be used: the first so many outputs of the first so many inputs."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, depthwise: bool = False) -> None:
        super().__init__()
        self.stride, self.depthwise = stride, depthwise
        self.padding = (kernel - stride + 1) // 2
        layer = nn.Conv2d(inputs, outputs, kernel, groups=inputs if depthwise else 1)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor, outputs: int | None = None) -> Tensor:
        weight, bias = self.part(x.shape[1], outputs)
        return functional.conv2d(x, weight, bias, self.stride, self.padding, groups=x.shape[1] if self.depthwise else 1)

    def part(self, inputs: int, outputs: int | None = None) -> tuple[Tensor, Tensor]:
        if self.depthwise:
            return self.weight[:inputs], self.bias[:inputs]
        return self.weight[:outputs, :inputs], self.bias[:outputs]


class Block(nn.Module):
    """Two separable convolutions, added to what came in."""

    def __init__(self, width: int, rungs: int) -> None:
        super().__init__()
        self.spread1, self.mix1 = Slim(width, width, 3, depthwise=True), Slim(width, width)
        self.norm = Norm(width, rungs)
        self.spread2, self.mix2 = Slim(width, width, 3, depthwise=True), Slim(width, width)

    def forward(self, x: Tensor, rung: int, statistics: Statistics) -> Tensor:
        width = x.shape[1]
        y = functional.relu(self.norm(self.mix1(self.spread1(x), width), rung, statistics))
        return x + self.mix2(self.spread2(y), width)


class StyleNetwork(nn.Module):
    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or Sizes()
        fine, width, rungs = self.sizes.fine, self.sizes.width, len(self.sizes.rungs)
        subpixels = CELL * CELL
        self.stem, self.stem_norm = Slim(3, fine, 2 * CELL, stride=CELL), Norm(fine, rungs)
        self.down, self.down_norm = Slim(fine, width, 4, stride=2), Norm(width, rungs)
        self.blocks = nn.ModuleList(Block(width, rungs) for _ in range(self.sizes.blocks))
        self.trunk_norm = Norm(width, rungs)
        self.up = Slim(width, fine)
        self.merge, self.merge_norm = Slim(fine, fine, 3), Norm(fine, rungs)
        self.paint = Slim(fine, 3 * subpixels, 3)
        self.guide, self.gate = Slim(3, subpixels, CELL, stride=CELL), Slim(fine, subpixels)
        self.detail = Slim(subpixels, 3 * subpixels)
        self._begin()

    def _begin(self) -> None:
        """Begin with the picture in grey: the guide is the luma of every pixel in its cell and goes to all colours.

        A style is found sooner from there than from noise.
        """
        with torch.no_grad():
            places = torch.eye(CELL * CELL).view(-1, 1, CELL, CELL)
            self.guide.weight.copy_(STEEPNESS * places * torch.tensor(LUMA)[:, None, None])
            self.guide.bias.fill_(-STEEPNESS / 2)
            self.gate.weight.mul_(0.1)
            self.gate.bias.fill_(1.0)
            self.detail.weight.copy_(torch.eye(CELL * CELL).repeat(3, 1)[:, :, None, None])
        self.level()

    def level(self) -> None:
        """Take out of the weights what would paint a pattern of cells on a flat picture; to be called after every step.

        The style's losses like such a pattern, but it stays where it is when the camera moves, like dirt on a pane.
        Its kind is known from the checkerboards of transposed convolutions (Odena et al. 2016, Distill).
        """
        with torch.no_grad():
            paint = self.paint.weight.view(3, CELL * CELL, self.sizes.fine, -1)
            alike(paint, paint.sum(3, keepdim=True), paint.shape[3])
            detail = self.detail.weight.view(3, CELL * CELL, -1)
            alike(detail, detail.sum(2, keepdim=True), CELL * CELL)
            guide = self.guide.weight.view(1, CELL * CELL, 3, -1)
            alike(guide, guide.sum(3, keepdim=True), CELL * CELL)
            alike(self.gate.weight[None], self.gate.weight[None], 1)
            for layer, colours in ((self.paint, 3), (self.detail, 3), (self.guide, 1), (self.gate, 1)):
                bias = layer.bias.view(colours, -1)
                alike(bias, bias.clone(), 1)

    def forward(self, pictures: Tensor, rung: int = 0, statistics: Statistics | None = None) -> Tensor:
        """(n, 3, h, w) RGB, 0 to 1, to the same in the style; a rung of half size gets the halved picture.

        Pictures are continued on all sides by their border, to a multiple of `GRID`, and cut again.
        """
        height, width = pictures.shape[2:]
        framed = functional.pad(pictures, borders(height, width), mode="replicate")
        made = self.inner(framed, rung, statistics or Statistics())
        return made[:, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]

    def inner(self, pictures: Tensor, rung: int, statistics: Statistics) -> Tensor:
        """The network itself, for sides that are multiples of `GRID`."""
        channels = self.sizes.rungs[rung].width
        fine = functional.relu(self.stem_norm(self.stem(pictures), rung, statistics))  # (n, 16, h / 4, w / 4)
        x = functional.relu(self.down_norm(self.down(fine, channels), rung, statistics))  # (n, 64, h / 8, w / 8)
        for block in self.blocks:
            x = block(x, rung, statistics)
        x = functional.relu(self.trunk_norm(x, rung, statistics))
        x = functional.interpolate(self.up(x), scale_factor=2.0, mode="nearest") + fine
        x = functional.relu(self.merge_norm(self.merge(x), rung, statistics))
        painted = self.paint(x) + self.detail(self.guide(pictures) * self.gate(x))  # (n, 48, h / 4, w / 4)
        return functional.pixel_shuffle(torch.sigmoid(painted), CELL)


def alike(weights: Tensor, sums: Tensor, count: int) -> None:
    """Change weights (colours, pixels of a cell, ...) so that their sums over `count` of them don't differ by pixel."""
    weights.sub_((sums - sums.mean(1, keepdim=True)) / count)


def halve(pictures: Tensor) -> Tensor:
    """Means of 2x2 pixels; odd sides are rounded up."""
    return functional.avg_pool2d(pictures, 2, ceil_mode=True, count_include_pad=False)


def upsample(small: Tensor, pictures: Tensor, radius: int = 2, epsilon: float = 1e-4) -> Tensor:
    """What was made of `halve(pictures)` at their full size, by He and Sun's fast guided filter (arXiv:1505.00996).

    Around every pixel the style's colours are taken for a linear function of the picture's luma, found at the small
    size and applied at the full one; what such a function does not explain is interpolated.
    """
    luma = torch.tensor(LUMA, device=pictures.device)[:, None, None]
    full = (pictures * luma).sum(1, keepdim=True)  # (n, 1, h, w)
    guide = halve(full)
    mean, made = _box(guide, radius), _box(small, radius)
    slope = (_box(guide * small, radius) - mean * made) / (_box(guide * guide, radius) - mean * mean + epsilon)
    size = tuple(pictures.shape[2:])
    rest = functional.interpolate(small - slope * guide, size, mode="bilinear")
    return (functional.interpolate(slope, size, mode="bilinear") * full + rest).clamp(0, 1)


def _box(x: Tensor, radius: int) -> Tensor:
    return functional.avg_pool2d(x, 2 * radius + 1, 1, radius, count_include_pad=False)


def repaint(network: StyleNetwork, pictures: Tensor, rung: int = 0, statistics: Statistics | None = None) -> Tensor:
    """Any rung, from full size to full size."""
    if not network.sizes.rungs[rung].half:
        made: Tensor = network(pictures, rung, statistics)
        return made
    return upsample(network(halve(pictures), rung, statistics), pictures)
