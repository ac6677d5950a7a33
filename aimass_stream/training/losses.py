"""What a picture in a style is held to: features of SqueezeNet, smoothness, and steadiness.

Gatys et al., *A Neural Algorithm of Artistic Style* (arXiv:1508.06576) for the two losses on features; Johnson et al.,
*Perceptual Losses for Real-Time Style Transfer* (arXiv:1603.08155) for training a network on them; Li et al.,
*Demystifying Neural Style Transfer* (arXiv:1701.01036) for means and deviations beside the Gram matrices, which keep
colours and contrast where SqueezeNet's thin layers say little. The network is Iandola et al. (arXiv:1602.07360), used
as a loss only: none of it is in the weights that are shipped.
"""

# torch's types are left out of the check
# mypy: allow-subclassing-any

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InvalidInput

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB, 0 to 1
# torchvision's numbers of the layers whose answers are kept, with the layer's share of the style loss: colours (the
# picture itself), edges and dabs of paint, strokes, and what strokes make together
STYLE_LAYERS = {0: 1.0, 1: 1.0, 4: 1.0, 5: 1.0, 7: 1.0, 9: 0.5}
CONTENT_LAYER = 5  # fire4, a quarter of the picture's size: what is there and where, not how it is painted
POOLS = (2, 6)


class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 as far as its answers are used; the layers have torchvision's numbers."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Raises `InvalidInput` when these are not its weights."""
        super().__init__()
        sizes = {3: (96, 16, 64), 4: (128, 16, 64), 5: (128, 32, 128), 7: (256, 32, 128), 8: (256, 48, 192),
                 9: (384, 48, 192)}
        self.features = nn.ModuleDict({"0": nn.Conv2d(3, 96, 7, stride=2)}
                                      | {str(number): Fire(*size) for number, size in sizes.items()})
        known = self.state_dict()
        _compare(weights, known)
        self.load_state_dict({name: weights[name] for name in known})
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)
        self.requires_grad_(False)

    def forward(self, pictures: Tensor, last: int = max(STYLE_LAYERS)) -> dict[int, Tensor]:
        """(n, 3, h, w) RGB, 0 to 1, to the answers by layer, up to the last one that is wanted."""
        x = functional.relu(self.features["0"]((pictures - self.mean) / self.deviation))
        found = {0: pictures, 1: x}
        for number in range(2, last + 1):
            if number in POOLS:  # the mean passes its gradient to all cells: fewer specks than with the maximum
                x = functional.avg_pool2d(x, 3, 2, ceil_mode=True)
            else:
                x = found[number] = self.features[str(number)](x)
        return found


def _compare(weights: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> None:
    for name, wanted in known.items():
        given = weights.get(name)
        if given is None or given.shape != wanted.shape:
            raise InvalidInput(f"these are not SqueezeNet 1.0's weights: {name} is "
                               f"{'missing' if given is None else list(given.shape)}", field="loss_weights")
        if not given.is_floating_point() or not bool(torch.isfinite(given).all()):
            raise InvalidInput(f"{name} has values that are no finite numbers", field="loss_weights")


class _Gram(torch.autograd.Function):
    """xᵀx / k of (n, k, c); a matrix product for each row, since the batched one is slow on such long thin matrices."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return torch.stack([row.t() @ row for row in x]) / x.shape[1]

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        both = (gradient + gradient.transpose(1, 2)) / x.shape[1]
        return torch.stack([row @ one for row, one in zip(x, both, strict=True)])


@dataclass(frozen=True, slots=True)
class Moments:
    """How a layer's c channels answer, wherever: products (n, c, c), means and deviations (n, c)."""

    gram: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        flat = features.permute(0, 2, 3, 1).flatten(1, 2)  # (n, h * w, c), a view where channels are last
        products = cast(Tensor, _Gram.apply(flat))
        mean = flat.mean(1)
        variance = products.diagonal(dim1=1, dim2=2) - mean.square()
        return cls(products, mean, (variance.clamp(min=0) + 1e-4).sqrt())


Manner = dict[int, Moments]  # what a painting is like, by layer


def manner(network: SqueezeNet, views: Iterable[Tensor]) -> Manner:
    """The mean over several views (1, 3, h, w) of the painting."""
    with torch.no_grad():
        seen = [moments(network(view)) for view in views]

    def middle(layer: int, part: str) -> Tensor:
        return torch.stack([getattr(one[layer], part) for one in seen]).mean(0)

    return {layer: Moments(middle(layer, "gram"), middle(layer, "mean"), middle(layer, "deviation"))
            for layer in STYLE_LAYERS}


def moments(features: dict[int, Tensor]) -> Manner:
    return {layer: Moments.of(features[layer]) for layer in STYLE_LAYERS}


def style_loss(features: dict[int, Tensor], wanted: Manner) -> Tensor:
    """How far from the manner; every layer counts in parts of the painting's own size."""
    total = features[1].new_zeros(())
    for layer, found in moments(features).items():
        aim, share = wanted[layer], STYLE_LAYERS[layer]
        products = (found.gram - aim.gram).square().sum((1, 2)).mean() / aim.gram.square().sum()
        size = aim.mean.square().sum() + aim.deviation.square().sum()
        first = (found.mean - aim.mean).square().sum(1).mean() / size
        second = (found.deviation - aim.deviation).square().sum(1).mean() / size
        total = total + share * (products + first + second)
    return total / (2 * sum(STYLE_LAYERS.values()))


def content_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """How far the answers of `CONTENT_LAYER` are from what the picture's were, in parts of their variance.

    Both are held against each other without their channels' means and deviations, which belong to the style.
    """
    return (_plain(found) - _plain(wanted)).square().mean()


def _plain(features: Tensor) -> Tensor:
    flat = features.permute(0, 2, 3, 1).flatten(1, 2)
    centred = flat - flat.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + 1e-2).rsqrt()


def variation(pictures: Tensor) -> Tensor:
    """Mean squared step between neighbouring pixels."""
    return ((pictures[..., 1:] - pictures[..., :-1]).square().mean()
            + (pictures[..., 1:, :] - pictures[..., :-1, :]).square().mean())


def overlap(made: Tensor, dy: int, dx: int) -> Tensor:
    """What a picture shares with one that begins so many px further down and right."""
    height, width = made.shape[2:]
    return made[:, :, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
