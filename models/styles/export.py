"""A style's folder: weights, card and a sample, which is of a drawn scene."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluation import Figures, array, measure, scenes, tensor
from pictures import Array
from safetensors.torch import save
from training import Trainer

from aimass_stream.architectures.style import StyleNetwork, repaint

WEIGHTS, SAMPLE = "style.safetensors", "sample.jpg"


def write(trainer: Trainer, folder: Path, shared: Path, tell: Callable[[str], None]) -> None:
    """Weights, sample, and a card with what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    network = trainer.network.eval()
    state = {name: values.detach().contiguous(memory_format=torch.contiguous_format)
             for name, values in network.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state))
    picture(folder / SAMPLE, network)
    figures = measure(network, trainer.eyes, trainer.manner, shared)
    tell(f"{trainer.style.name}: {asdict(figures)}")
    (folder / "model.toml").write_text(card(trainer, folder, figures), encoding="utf-8")


def picture(path: Path, network: StyleNetwork) -> None:
    """A drawn scene in the style."""
    with torch.inference_mode():
        made = array(repaint(network, tensor(scenes()[0])))
    small = cv2.resize(_bytes(made), (320, 240), interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise OSError(f"{path} can't be written")


def _bytes(picture: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(np.clip(255 * picture[:, :, ::-1] + 0.5, 0, 255), np.uint8)


def card(trainer: Trainer, folder: Path, figures: Figures) -> str:
    style = trainer.style
    data = (folder / WEIGHTS).read_bytes()
    rungs = ", ".join(f'"{rung.name}"' for rung in trainer.network.sizes.rungs)
    kodak = f"{len(trainer.contents.photographs)} Kodak test photographs, released for unrestricted use (content)"
    sources = [f"{style.title}, {style.painter}, {style.year}: a painting in the public domain",
               *([kodak] * bool(trainer.contents.photographs)),
               "pictures drawn by pictures.py and aimass_stream.clips (content)",
               "SqueezeNet 1.0 (BSD-2-Clause) as a loss; none of it is in the weights"]
    lines = [
        f'name = "{style.name}"', 'version = "1"', f'title = "{style.title}"', 'task = "style-transfer"',
        'licence = "Apache-2.0"', "sources = [", *(f'  "{source}",' for source in sources), "]",
        f'description = "Repaints pictures after {style.title} by {style.painter}; made by models/styles/recipe.py"',
        'engine = "aimass_stream.engines.style:Style"', "",
        "[[files]]", f'path = "{WEIGHTS}"', f"size = {len(data)}",
        f'sha256 = "{hashlib.sha256(data).hexdigest()}"', "",
        "[[inputs]]", 'name = "picture"', 'shape = ["height", "width", 3]', 'dtype = "uint8"', 'unit = "BGR"',
        "example = [240, 320, 3]", "",
        "[[inputs]]", 'name = "rung"', "shape = [1]", 'dtype = "int64"', 'unit = "number in the card\'s list"', "",
        "[[inputs]]", 'name = "share"', "shape = [1]", 'dtype = "float32"',
        'unit = "of this picture in the norms\' statistics, beside those before it"', "",
        "[[outputs]]", 'name = "styled"', 'shape = ["height", "width", 3]', 'dtype = "uint8"', 'unit = "BGR"', "",
        "[capabilities]", "slots = 64", "",
        "[card]  # written by models/styles/recipe.py",
        f"rungs = [{rungs}]",
        f"parameters = {sum(weight.numel() for weight in trainer.network.parameters())}",
        f"steps = {trainer.step}  # after {trainer.begun} of the common trunk",
        f"trained_minutes = {trainer.elapsed / 60:.0f}  # of one core of an AMD EPYC",
        f'losses = "style {style.style:g}, content {style.content:g}, smooth {style.smooth:g}, '
        f'steady {style.steady:g}, rungs alike {style.alike:g}"',
        f"painting_px = [{', '.join(map(str, style.longest))}]  # its longer side in training: how large strokes are",
        f"style_left = {figures.style_left}  # style loss of painted pictures, in that of the pictures as they came",
        f"content_kept = {figures.content_kept}  # correlation of what SqueezeNet sees, painted and unpainted",
        f"unsteady = {figures.unsteady}  # change under noise and a moved camera, in the unpainted pictures' own",
        "", "[card.ssim]  # with the widest rung, 640x480", *(f"{name} = {value}"
                                                             for name, value in figures.ssim.items()),
        "", "[card.milliseconds]  # one thread of onnxruntime: 320x240, 640x480; half without its upsampling",
        *(f"{name} = {values}" for name, values in figures.milliseconds.items())]
    return "\n".join(lines) + "\n"
