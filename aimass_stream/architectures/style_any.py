"""A network that repaints pictures in the style of any other picture, by the statistics of its own features.

Adaptive instance normalisation (Huang and Belongie, *AdaIN*, arXiv:1703.06868): an encoder sees what is there, every
channel's mean and deviation are exchanged for those that a picture in the wanted style has in the same place, and a
decoder paints. Here the exchange is made on both scales of the encoder and once more in every block of the decoder, all
in closed form: the style's statistics are those of its own pass through the network, in which nothing is exchanged and
which paints the style's picture as it is. So one pass of the picture gives a style, and styles are mixed as numbers.

    picture ─┬─ 8x8, stride 4 ─ 32 ─┬─ 4x4, stride 2 ─ 96 ─ 2 blocks ─ x ─ 4 blocks ─ x ─ 1x1, twice ─┐
             │                      └─ x ──────────────────────────────────────────────────────────── + ─ 3x3 ─ x ─ y
             │
             │                               y ─ block ─┬─ 3x3 ─────────────────────── + ─ shuffle
             │                                          └─ 1x1, 16 ─┐                  │
             └─ 4x4, stride 4 ─ 16, the guide ────────────────────── times ─ 1x1, 48 ──┘

where x is an exchange; the decoder's blocks have one inside.
"""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .style import LUMA, STEEPNESS, Slim, alike
from .style_any_shape import LEAST_DEVIATION, AnySizes
from .style_shape import CELL, MARGIN, borders

GAIN = 2.0  # of the first layer: pictures vary by a quarter of their range


class Exchange:
    """One pass's statistics: what its picture had, and what it is given instead.

    `wanted` are means and deviations (n, 2, channels) of a style, as `own` told them of its picture; without it nothing
    is exchanged. `strength` is the share of the way there. `before` is the `own` of an earlier picture; the new one
    counts by `share`.
    """

    def __init__(self, wanted: Tensor | None = None, strength: float = 1.0, before: Tensor | None = None,
                 share: float = 1.0) -> None:
        self.wanted, self.strength, self.before, self.share = wanted, strength, before, share
        self._at = 0
        self._own: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        own = torch.stack([mean, (variance + LEAST_DEVIATION**2).sqrt()], 1)  # (n, 2, c)
        part = slice(self._at, self._at + x.shape[1])
        if self.before is not None:
            earlier = self.before[:, :, part]
            own = earlier + self.share * (own - earlier)
        self._at += x.shape[1]
        self._own.append(own)
        if self.wanted is None:
            return x
        aim = own + self.strength * (self.wanted[:, :, part] - own)
        return self.exchanged(x, own[:, :, :, None, None], aim[:, :, :, None, None])

    def exchanged(self, x: Tensor, own: Tensor, aim: Tensor) -> Tensor:
        """x (n, c, h, w) with statistics (n, 2, c, 1, 1) for its own."""
        scale = aim[:, 1] / own[:, 1]
        return x * scale + (aim[:, 0] - own[:, 0] * scale)

    @property
    def own(self) -> Tensor:
        """(n, 2, channels)."""
        return torch.cat(self._own, 2)


class Block(nn.Module):
    """Two separable convolutions, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread1, self.mix1 = Slim(width, width, 3, depthwise=True), Slim(width, width)
        self.spread2, self.mix2 = Slim(width, width, 3, depthwise=True), Slim(width, width)

    def forward(self, x: Tensor, exchange: Exchange | None = None) -> Tensor:
        y = self.mix1(self.spread1(x))
        y = functional.relu(y if exchange is None else exchange(y))
        return x + self.mix2(self.spread2(y))


class AnyStyleNetwork(nn.Module):
    usual: Tensor

    def __init__(self, sizes: AnySizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or AnySizes()
        fine, code, pixels = self.sizes.fine, self.sizes.code, CELL * CELL
        self.stem, self.down = Slim(3, fine, 2 * CELL, stride=CELL), Slim(fine, code, 4, stride=2)
        self.seeing = nn.ModuleList(Block(code) for _ in range(self.sizes.seeing))
        self.painting = nn.ModuleList(Block(code) for _ in range(self.sizes.painting))
        self.up, self.merge = Slim(code, fine), Slim(fine, fine, 3)
        self.finish = Block(fine)
        self.paint = Slim(fine, 3 * pixels, 3)
        self.guide, self.gate = Slim(3, pixels, CELL, stride=CELL), Slim(fine, pixels)
        self.detail = Slim(pixels, 3 * pixels)
        self.register_buffer("usual", torch.ones(self.sizes.channels))
        self._begin()

    def _begin(self) -> None:
        """Nothing is normalised in the encoder, so its weights keep the size of what passes (He et al. 2015); the end
        begins as that of `StyleNetwork` does, with the picture in grey."""
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith("weight"):
                    nn.init.kaiming_normal_(weight, nonlinearity="linear" if ".spread" in name else "relu")
                    weight.mul_(0.4 if ".mix2" in name else 1.0)
                else:
                    weight.zero_()
            self.stem.weight.mul_(GAIN)
            self.stem.bias.copy_(-0.5 * self.stem.weight.sum((1, 2, 3)))
            self.paint.weight.mul_(0.2)
            places = torch.eye(CELL * CELL).view(-1, 1, CELL, CELL)
            self.guide.weight.copy_(STEEPNESS * places * torch.tensor(LUMA)[:, None, None])
            self.guide.bias.fill_(-STEEPNESS / 2)
            self.gate.weight.mul_(0.05)
            self.gate.bias.fill_(1.0)
            self.detail.weight.copy_(torch.eye(CELL * CELL).repeat(3, 1)[:, :, None, None])
        self.level()

    def level(self) -> None:
        """As `StyleNetwork.level`: no pattern of cells on a flat picture; to be called after every step."""
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

    def forward(self, pictures: Tensor, exchange: Exchange | None = None) -> Tensor:
        """(n, 3, h, w) RGB, 0 to 1, to the same in the style that the exchange has; without one, as they are.

        Pictures are continued on all sides by their border, to a multiple of `GRID`, and cut again.
        """
        height, width = pictures.shape[2:]
        framed = functional.pad(pictures, borders(height, width), mode="replicate")
        made = self.inner(framed, exchange or Exchange())
        return made[:, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]

    def inner(self, pictures: Tensor, exchange: Exchange) -> Tensor:
        """The network itself, for sides that are multiples of `GRID`."""
        fine, code = self.seen(pictures)
        return self.painted(pictures, fine, code, exchange)

    def seen(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder: (n, 32, h / 4, w / 4) and (n, 96, h / 8, w / 8)."""
        fine = functional.relu(self.stem(pictures))
        code = functional.relu(self.down(fine))
        for block in self.seeing:
            code = block(code)
        return fine, code

    def painted(self, pictures: Tensor, fine: Tensor, code: Tensor, exchange: Exchange) -> Tensor:
        """The decoder."""
        fine, x = exchange(fine), exchange(code)
        for block in self.painting:
            x = block(x, exchange)
        x = functional.interpolate(self.up(exchange(x)), scale_factor=2.0, mode="nearest") + fine
        x = functional.relu(exchange(self.merge(x)))
        x = self.finish(x, exchange)
        painted = self.paint(x) + self.detail(self.guide(pictures) * self.gate(x))  # (n, 48, h / 4, w / 4)
        return functional.pixel_shuffle(torch.sigmoid(painted), CELL)
