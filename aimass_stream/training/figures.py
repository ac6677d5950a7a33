"""How good a trained network is, in figures for its card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .. import clips
from ..architectures.style import StyleNetwork, halve, repaint
from ..architectures.style_shape import borders, parts
from ..engines.style import runner
from .contents import Array, scaled
from .losses import CONTENT_LAYER, Manner, SqueezeNet, content_loss, style_loss

WIDTH, HEIGHT = 640, 480
REPEATS = 20  # runs of which the middle time counts
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Figures:
    style_left: float  # style loss of painted pictures, in that of the pictures as they came
    content_kept: float  # correlation of their features with the pictures'
    ssim: dict[str, float]  # of the other rungs with the widest
    unsteady: float  # change of the painted picture under noise and a shifted camera, in the input's
    milliseconds: dict[str, list[float]]  # one thread of onnxruntime, by rung: at 320x240 and 640x480


def scenes() -> list[Array]:
    """Drawn ones."""
    return [np.asarray(clips.draw(number, WIDTH, HEIGHT)[:, :, ::-1] / 255, np.float32) for number in (40, 1234)]


def cut(picture: Array) -> Array:
    """The middle of it, 640x480."""
    factor = max(HEIGHT / picture.shape[0], WIDTH / picture.shape[1])
    grown = scaled(picture, round(factor * max(picture.shape[:2])) + 1)
    top, left = (grown.shape[0] - HEIGHT) // 2, (grown.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(grown[top : top + HEIGHT, left : left + WIDTH])


def tensor(picture: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def array(made: Tensor) -> Array:
    return np.ascontiguousarray(made[0].permute(1, 2, 0).numpy())


def ssim(first: Array, second: Array) -> float:
    """Of luma, 0 to 1, with Gaussian windows of 1.5 px (Wang et al. 2004)."""
    x, y = (np.asarray(picture @ LUMA, np.float64) for picture in (first, second))

    def blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))

    mean_x, mean_y = blur(x), blur(y)
    spread_x, spread_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    both = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    values = ((2 * mean_x * mean_y + c1) * (2 * both + c2)
              / ((mean_x**2 + mean_y**2 + c1) * (spread_x + spread_y + c2)))
    return float(values.mean())


def measure(network: StyleNetwork, eyes: SqueezeNet, manner: Manner, shown: Sequence[Array]) -> Figures:
    """On pictures of 640x480 that were not trained on. All of it on the processor."""
    rungs = network.sizes.rungs
    left, kept, shaken = [], [], []
    alike: dict[str, list[float]] = {rung.name: [] for rung in rungs[1:]}
    with torch.inference_mode():
        for picture in shown:
            x = tensor(picture)
            made = repaint(network, x)
            found, before = eyes(made), eyes(x)
            left.append(float(style_loss(found, manner)) / float(style_loss(before, manner)))
            kept.append(1 - float(content_loss(found[CONTENT_LAYER], before[CONTENT_LAYER])) / 2)
            for index, rung in enumerate(rungs[1:], 1):
                alike[rung.name].append(ssim(array(made), array(repaint(network, x, index))))
            shaken.append(unsteady(network, picture))
    return Figures(_mean(left), _mean(kept), {name: _mean(values) for name, values in alike.items()}, _mean(shaken),
                   {rung.name: speeds(network, index) for index, rung in enumerate(rungs)})


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 3)


def unsteady(network: StyleNetwork, picture: Array) -> float:
    """Of a camera that moved by 3 and 2 px and is noisy: what changes besides, painted and unpainted, as a ratio."""
    rng = np.random.default_rng(5)
    first, noise = picture[:-8, :-8], rng.normal(0, 0.01, (HEIGHT - 8, WIDTH - 8, 3))
    second = np.asarray(np.clip(picture[2:-6, 3:-5] + noise, 0, 1), np.float32)

    def change(one: Array, other: Array) -> float:
        return float(np.abs(one[18:-16, 19:-16] - other[16:-18, 16:-19]).mean())

    painted = [array(repaint(network, tensor(view))) for view in (first, second)]
    return change(*painted) / change(first, second)


def speeds(network: StyleNetwork, rung: int) -> list[float]:
    """ms of processor time for pictures of 320x240 and 640x480; those of half rungs are halved before."""
    state = {name: values.numpy() for name, values in network.state_dict().items()}
    own = parts(state, network.sizes, rung)
    session = runner(network.sizes.rungs[rung], own, 1)
    found = []
    for height, width in ((240, 320), (480, 640)):
        picture = torch.rand(1, 3, height, width)
        seen = halve(picture) if network.sizes.rungs[rung].half else picture
        inputs = {"image": functional.pad(seen, borders(*seen.shape[2:]), mode="replicate").numpy(),
                  "before": np.zeros((1, 2, network.sizes.channels(rung)), np.float32), "share": np.ones(1, np.float32)}
        took = []
        for _ in range(REPEATS):
            begun = time.thread_time()
            session.run(None, inputs)
            took.append(time.thread_time() - begun)
        found.append(round(1000 * float(np.median(took)), 1))
    return found
