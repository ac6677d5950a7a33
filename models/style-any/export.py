"""The model's folder: weights, card, and a sample, which is of a drawn scene in drawn manners."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluation import Figures, array, measure, paint, statistics
from safetensors.torch import save
from textures import mosaic, palette, strokes, swirls, tones, woodcut
from torch import Tensor
from training import EDGE, LOSSES, PAIRS, SIZE, STRONGER, STRONGER_FROM, STYLES, WEIGHTS, Trainer

from aimass_stream.architectures.style_any import AnyStyleNetwork
from aimass_stream.training.contents import Array
from aimass_stream.training.scene import scene

FILE, SAMPLE, PREVIEW = "any.safetensors", "sample.jpg", 14
WIDTH, HEIGHT = 320, 240
MANNERS = ((strokes, 5), (swirls, 8), (mosaic, 3), (woodcut, 1))  # with the seeds of their pictures


def drawn_styles() -> list[Array]:
    """(240, 240, 3) each, in no painter's manner."""
    found = []
    for maker, seed in MANNERS:
        rng = np.random.default_rng(seed)
        found.append(np.asarray(np.clip(maker(rng, tones(rng, HEIGHT), palette(rng)), 0, 1), np.float32))
    return found


def tensor(picture: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def preview(path: Path, network: AnyStyleNetwork) -> None:
    """A drawn scene in drawn styles, each with its style beside it."""
    shown = scene(WIDTH, HEIGHT)
    rows = []
    for style in drawn_styles():
        with torch.inference_mode():
            made = array(paint(network, tensor(shown), statistics(network, tensor(style))))
        rows.append(np.hstack([style, made]))
    sheet = np.vstack([np.hstack(rows[:2]), np.hstack(rows[2:])])
    pixels = np.asarray(np.clip(255 * sheet[:, :, ::-1] + 0.5, 0, 255), np.uint8)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise OSError(f"{path} can't be written")


def write(trainer: Trainer, folder: Path, shared: Path, tell: Callable[[str], None]) -> None:
    """Weights, sample, and a card with what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    network = trainer.network.eval()
    state = {name: values.detach().contiguous(memory_format=torch.contiguous_format)
             for name, values in network.state_dict().items()}
    (folder / FILE).write_bytes(save(state))
    preview(folder / SAMPLE, network)
    figures = measure(network, trainer.eyes, shared, tell)
    (folder / "model.toml").write_text(card(trainer, folder, figures), encoding="utf-8")


def card(trainer: Trainer, folder: Path, figures: Figures) -> str:
    data = (folder / FILE).read_bytes()
    network = trainer.network
    losses = ", ".join(f"{name} {weight:g}" for name, weight in zip(LOSSES, WEIGHTS, strict=True))
    photographs = len(trainer.contents.photographs)
    sources = [*([f"{photographs} Kodak test photographs, released for unrestricted use"] * bool(photographs)),
               "pictures drawn by code: textures.py, aimass_stream.training.contents (content and styles)",
               "SqueezeNet 1.0 (BSD-2-Clause) as a loss and as the encoder's teacher; none of it is in the weights"]
    channels = network.sizes.channels
    lines = [
        'name = "style-any"', 'version = "1"', 'title = "Any style"', 'task = "arbitrary-style"',
        'licence = "Apache-2.0"', "sources = [", *(f'  "{source}",' for source in sources), "]",
        'description = "Repaints pictures in the style of any other picture; made by models/style-any/recipe.py"',
        'engine = "aimass_stream.engines.style.any:AnyStyle"', "",
        "[[files]]", f'path = "{FILE}"', f"size = {len(data)}",
        f'sha256 = "{hashlib.sha256(data).hexdigest()}"', "",
        "[[inputs]]", 'name = "picture"', 'shape = ["height", "width", 3]', 'dtype = "uint8"', 'unit = "BGR"',
        "example = [240, 320, 3]", "",
        "[[inputs]]", 'name = "rung"', "shape = [1]", 'dtype = "int64"', 'unit = "number in the card\'s list"', "",
        "[[inputs]]", 'name = "share"', "shape = [1]", 'dtype = "float32"',
        'unit = "of this picture in its own statistics, beside those before it"', "",
        "[[inputs]]", 'name = "style"', f"shape = [2, {channels}]", 'dtype = "float32"',
        'unit = "means and deviations, as own was of a picture in the style at strength 0"', "",
        "[[inputs]]", 'name = "strength"', "shape = [1]", 'dtype = "float32"', 'unit = "share of the way, 0 to 1"', "",
        "[[outputs]]", 'name = "styled"', 'shape = ["height", "width", 3]', 'dtype = "uint8"', 'unit = "BGR"', "",
        "[[outputs]]", 'name = "own"', f"shape = [2, {channels}]", 'dtype = "float32"',
        'unit = "means and deviations of the picture"', "",
        "[capabilities]", "slots = 64", "",
        "[card]  # written by models/style-any/recipe.py",
        'rungs = ["wide", "narrow", "half"]  # all of the size, two thirds of it, half of it',
        f"parameters = {sum(weight.numel() for weight in network.parameters())}",
        f"steps = {trainer.step}  # of {PAIRS} pictures and styles of {SIZE} px, inner {SIZE - 2 * EDGE} judged",
        f"trained_minutes = {trainer.elapsed / 60:.0f}  # of one core of an AMD EPYC",
        f"styles = {STYLES}  # drawn by code or photographs, in endless cuts, sizes and colours",
        f'losses = "{losses}; the style {STRONGER:g} times from step {STRONGER_FROM} on"',
        f"content_kept = {figures.content_kept}  # correlation of what SqueezeNet sees, painted and unpainted",
        f"itself_db = {figures.itself}  # PSNR of held-out photographs that are painted in their own style",
        f"unsteady = {figures.unsteady}  # change under noise and a moved camera, in the unpainted pictures' own", "",
        "# style loss on paintings that were held out of the training, in that of the unpainted picture: by adaptive",
        "# instance normalisation (what is shipped), with whitening and colouring of the code instead (Li et al.,",
        "# arXiv:1705.08086), and by Gatys' optimisation of the very picture for the same loss",
        *(line for name, (adain, wct, gatys) in figures.styles.items() for line in (
            f"[card.held_out.{name}]", f"adain = {adain}", f"whitening = {wct}", f"gatys = {gatys}")), "",
        "[card.milliseconds]  # one thread of onnxruntime: 320x240, 640x480; without upsampling",
        *(f"{name} = {values}" for name, values in figures.milliseconds.items())]
    return "\n".join(lines) + "\n"
