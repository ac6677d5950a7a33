"""How good the network is, in figures for its card: on paintings and photographs that were held out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from graph import UNUSED, skeleton
from torch import Tensor
from torch.nn import functional
from training import HELD_OUT

from aimass_stream import clips
from aimass_stream.architectures.style_any import AnyStyleNetwork, Exchange
from aimass_stream.architectures.style_shape import borders
from aimass_stream.training.contents import Array, scaled
from aimass_stream.training.losses import (
    CONTENT_LAYER,
    Manner,
    SqueezeNet,
    content_loss,
    manner,
    style_loss,
    variation,
)

SIDE = 256  # px of what is painted here, and of the paintings' longer side
GATYS_STEPS, GATYS_RATE = 60, 0.06
FLOOR = 0.25  # of the usual deviations: what a style has at least; as the engine does it
RUNGS = {"wide": 1.0, "narrow": 2 / 3, "half": 0.5}


@dataclass(frozen=True, slots=True)
class Figures:
    styles: dict[str, tuple[float, float, float]]  # by painting: style loss left by AdaIN, by WCT, by Gatys
    content_kept: float
    itself: float  # dB
    unsteady: float
    milliseconds: dict[str, list[float]]


def array(made: Tensor) -> Array:
    return np.ascontiguousarray(made[0].permute(1, 2, 0).numpy())


def _tensor(picture: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def statistics(network: AnyStyleNetwork, style: Tensor) -> Tensor:
    """(1, 2, channels) of a picture (1, 3, h, w) in a style."""
    exchange = Exchange()
    network(style, exchange)
    own = exchange.own.clone()
    own[:, 1] = own[:, 1].maximum(FLOOR * network.usual)
    return own


def paint(network: AnyStyleNetwork, picture: Tensor, own: Tensor) -> Tensor:
    made: Tensor = network(picture, Exchange(own))
    return made


class Whitening(Exchange):
    """The code is whitened and coloured (WCT, arXiv:1705.08086): its channels' correlations are exchanged, too. In a
    pass without `wanted` the covariance of the style's code is kept."""

    def __init__(self, wanted: Tensor | None = None, covariance: Tensor | None = None, at: int = 1) -> None:
        super().__init__(wanted)
        self.covariance, self.at, self._calls = covariance, at, 0

    def __call__(self, x: Tensor) -> Tensor:
        self._calls += 1
        here = self._calls == self.at + 1
        if here and self.wanted is None:
            self.covariance = _covariance(x)
        made = super().__call__(x)
        if not here or self.wanted is None:
            return made
        assert self.covariance is not None
        centred = x - x.mean((2, 3), keepdim=True)
        turn = _power(self.covariance, 0.5) @ _power(_covariance(x), -0.5)
        return torch.einsum("ij,njhw->nihw", turn, centred) + made.mean((2, 3), keepdim=True)


def _covariance(x: Tensor) -> Tensor:
    flat = (x - x.mean((2, 3), keepdim=True))[0].flatten(1)
    return flat @ flat.t() / flat.shape[1]


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix.double() + 1e-4 * matrix.diagonal().mean() * torch.eye(len(matrix)))
    return ((vectors * values.clamp(min=1e-8).pow(exponent)) @ vectors.t()).float()


def measure(network: AnyStyleNetwork, eyes: SqueezeNet, shared: Path, tell: Callable[[str], None]) -> Figures:
    scene = np.asarray(clips.draw(40, SIDE, SIDE)[:, :, ::-1] / 255, np.float32)
    folder = shared / "images"
    photographs = [read(path) for name in HELD_OUT if (path := folder / "kodak" / f"{name}.jpg").exists()]
    shown = [_tensor(_cut(picture)) for picture in photographs] + [_tensor(scene)]
    styles: dict[str, tuple[float, float, float]] = {}
    kept, shaken = [], []
    for number, path in enumerate(sorted((folder / "styles").glob("*.jpg"))):
        painting = _tensor(scaled(read(path), SIDE))
        wanted, picture = manner(eyes, [painting]), shown[number % len(shown)]
        with torch.no_grad():
            seen = eyes(picture)
            before = float(style_loss(seen, wanted))
            own = statistics(network, painting)
            found = eyes(paint(network, picture, own))
            recorder = Whitening()
            network(painting, recorder)
            whitened = eyes(network(picture, Whitening(own, recorder.covariance)))
            kept.append(1 - float(content_loss(found[CONTENT_LAYER], seen[CONTENT_LAYER])) / 2)
            shaken.append(unsteady(network, picture, own))
        best = gatys(eyes, picture, wanted)
        styles[path.stem] = _rounded(float(style_loss(found, wanted)) / before,
                                     float(style_loss(whitened, wanted)) / before, best / before)
        tell(f"{path.stem}: adain, whitening, gatys {styles[path.stem]}")
    with torch.inference_mode():
        errors = [float((network(picture) - picture).square().mean()) for picture in shown[:-1]]
    itself = round(float(-10 * np.log10(np.mean(errors))), 1) if errors else 0.0
    return Figures(styles, round(float(np.mean(kept)), 3), itself, round(float(np.mean(shaken)), 2),
                   {name: speeds(network, factor) for name, factor in RUNGS.items()})


def _rounded(*values: float) -> tuple[float, float, float]:
    first, second, third = (round(value, 3) for value in values)
    return first, second, third


def read(path: Path) -> Array:
    """(h, w, 3) RGB, 0 to 1. Raises `FileNotFoundError`."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(path)
    return np.asarray(picture[:, :, ::-1] / 255, np.float32)


def _cut(picture: Array) -> Array:
    small = scaled(picture, round(SIDE * max(picture.shape[:2]) / min(picture.shape[:2])) + 1)
    top, left = (small.shape[0] - SIDE) // 2, (small.shape[1] - SIDE) // 2
    return np.ascontiguousarray(small[top : top + SIDE, left : left + SIDE])


def gatys(eyes: SqueezeNet, picture: Tensor, wanted: Manner) -> float:
    """The style loss that is left when the very picture is optimised (Gatys et al., arXiv:1508.06576) for the loss of
    the training, from the picture as it came."""
    with torch.no_grad():
        shown = eyes(picture, CONTENT_LAYER)[CONTENT_LAYER]
    x = picture.clone().requires_grad_(True)
    adam = torch.optim.Adam([x], GATYS_RATE)
    for _ in range(GATYS_STEPS):
        adam.zero_grad()
        found = eyes(x.clamp(0, 1))
        loss = 15 * style_loss(found, wanted) + content_loss(found[CONTENT_LAYER], shown) + variation(x)
        loss.backward()
        adam.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    with torch.no_grad():
        return float(style_loss(eyes(x), wanted))


def unsteady(network: AnyStyleNetwork, picture: Tensor, own: Tensor) -> float:
    """Of a camera that moved by 3 and 2 px and is noisy: what changes besides, painted and unpainted, as a ratio."""
    torch.manual_seed(5)
    first, second = picture[..., :-8, :-8], picture[..., 2:-6, 3:-5]
    second = (second + 0.01 * torch.randn_like(second)).clamp(0, 1)

    def change(one: Tensor, other: Tensor) -> float:
        return float((one[..., 18:-16, 19:-16] - other[..., 16:-18, 16:-19]).abs().mean())

    return change(paint(network, first, own), paint(network, second, own)) / change(first, second)


def session(network: AnyStyleNetwork) -> onnxruntime.InferenceSession:
    """On one thread of onnxruntime."""
    state = {name: np.ascontiguousarray(values.numpy()) for name, values in network.state_dict().items()
             if name not in UNUSED}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_external_initializers(list(state), [onnxruntime.OrtValue.ortvalue_from_numpy(values)
                                                    for values in state.values()])
    return onnxruntime.InferenceSession(skeleton(network.sizes), options, providers=["CPUExecutionProvider"])


def speeds(network: AnyStyleNetwork, factor: float) -> list[float]:
    """ms of processor time for pictures of 320x240 and 640x480, made smaller by a factor before."""
    runner, found = session(network), []
    for height, width in ((240, 320), (480, 640)):
        seen = torch.rand(1, 3, round(height * factor), round(width * factor))
        numbers = np.zeros((1, 2, network.sizes.channels), np.float32)
        one = np.ones(1, np.float32)
        inputs = {"image": functional.pad(seen, borders(*seen.shape[2:]), mode="replicate").numpy(),
                  "before": numbers, "share": one, "wanted": numbers, "strength": one}
        took = []
        for _ in range(16):
            begun = time.thread_time()
            runner.run(None, inputs)
            took.append(time.thread_time() - begun)
        found.append(round(1000 * float(np.median(took)), 1))
    return found
