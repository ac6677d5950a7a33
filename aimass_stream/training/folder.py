"""A style's folder: weights, card and a sample, which is of a drawn scene."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save

from ..architectures.style import StyleNetwork, repaint
from .contents import Array
from .figures import HEIGHT, WIDTH, Figures, array, measure, tensor
from .picture import bgr
from .scene import scene
from .trainer import Trainer

WEIGHTS, SAMPLE, MANIFEST = "style.safetensors", "sample.jpg", "model.toml"
DRAWN = "pictures drawn by code (content)"
JUDGE = "SqueezeNet 1.0 (BSD-2-Clause) as a loss; none of it is in the weights"


@dataclass(frozen=True, slots=True)
class Told:
    """What a card says besides the figures."""

    title: str
    description: str
    licence: str
    sources: tuple[str, ...]
    steps: str  # remark on their number
    made_by: str
    names: tuple[str, ...] = ()  # what people may call it, too
    manner: tuple[float, ...] = ()  # as `painting.manner` has it


def write(trainer: Trainer, folder: Path, told: Told, shown: Sequence[Array]) -> Figures:
    """Weights, sample, and a card with what was measured on the pictures `shown`. The folder appears, or takes the
    place of the one that is there, when all of it is written."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    network, eyes = trainer.network.eval().cpu(), trainer.eyes.cpu()
    manner = {layer: type(found)(found.gram.cpu(), found.mean.cpu(), found.deviation.cpu())
              for layer, found in trainer.manner.items()}
    state = {name: values.detach().contiguous(memory_format=torch.contiguous_format)
             for name, values in network.state_dict().items()}
    (part / WEIGHTS).write_bytes(save(state))
    sample(part / SAMPLE, network)
    figures = measure(network, eyes, manner, shown)
    (part / MANIFEST).write_text(card(trainer, folder.name, told, figures, (part / WEIGHTS).read_bytes()),
                                 encoding="utf-8")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    shutil.rmtree(old, ignore_errors=True)
    return figures


def sample(path: Path, network: StyleNetwork) -> None:
    """A drawn scene in the style, 320x240. Whoever looks at the file sees a whole one."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        made = array(repaint(network, tensor(scene(WIDTH, HEIGHT)).to(device)).cpu())
    small = cv2.resize(bgr(made), (320, 240), interpolation=cv2.INTER_AREA)
    written, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not written:
        raise OSError(f"{path} can't be written")
    part = path.with_suffix(".part")
    part.write_bytes(np.asarray(data).tobytes())
    os.replace(part, path)


def card(trainer: Trainer, name: str, told: Told, figures: Figures, data: bytes) -> str:
    style, text = trainer.style, _text
    rungs = ", ".join(text(rung.name) for rung in trainer.network.sizes.rungs)
    lines = [
        f"name = {text(name)}", 'version = "1"', f"title = {text(told.title)}", 'task = "style-transfer"',
        f"licence = {text(told.licence)}", "sources = [", *(f"  {text(source)}," for source in told.sources), "]",
        f"description = {text(told.description)}",
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
        f"[card]  # written by {told.made_by}",
        f"rungs = [{rungs}]",
        *([f"names = [{', '.join(map(text, told.names))}]"] if told.names else []),
        *([f"manner = {list(told.manner)}"] if told.manner else []),
        f"parameters = {sum(weight.numel() for weight in trainer.network.parameters())}",
        f"steps = {trainer.step}  # {told.steps}",
        f"trained_minutes = {trainer.elapsed / 60:.0f}  # of one core",
        f'losses = "style {style.style:g}, content {style.content:g}, smooth {style.smooth:g}, '
        f'steady {style.steady:g}, rungs alike {style.alike:g}"',
        f"painting_px = [{', '.join(map(str, style.longest))}]  # its longer side in training: how large strokes are",
        *_measured(figures)]
    return "\n".join(lines) + "\n"


def _measured(figures: Figures) -> list[str]:
    return [
        f"style_left = {figures.style_left}  # style loss of painted pictures, in that of the pictures as they came",
        f"content_kept = {figures.content_kept}  # correlation of what SqueezeNet sees, painted and unpainted",
        f"unsteady = {figures.unsteady}  # change under noise and a moved camera, in the unpainted pictures' own",
        "", "[card.ssim]  # with the widest rung, 640x480",
        *(f"{name} = {value}" for name, value in asdict(figures)["ssim"].items()),
        "", "[card.milliseconds]  # one thread of onnxruntime: 320x240, 640x480; half without its upsampling",
        *(f"{name} = {values}" for name, values in figures.milliseconds.items())]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string
