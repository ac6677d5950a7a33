"""Style networks with weights by chance, as folders that a store opens: needs neither torch nor a trained style."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aimass_stream.architectures.style_any_shape import AnySizes
from aimass_stream.architectures.style_any_shape import shapes as any_shapes
from aimass_stream.architectures.style_shape import RUNGS, Sizes, shapes
from aimass_stream.inference import Entry
from aimass_stream.inference.loader import read_manifest

Weights = dict[str, NDArray[np.float32]]


def weights(seed: int = 1) -> Weights:
    """So that a picture is changed much and keeps its edges."""
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for name, shape in shapes(Sizes()).items():
        if name.endswith("gain"):
            values = np.ones(shape)
        elif name.endswith(("bias", "shift")):
            values = rng.normal(0, 0.1, shape)
        else:
            values = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        found[name] = values.astype(np.float32)
    return found


def safetensors(tensors: Weights) -> bytes:
    header, body = {}, b""
    for name, values in tensors.items():
        data = values.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def write(folder: Path, name: str, data: bytes | None = None, *, seed: int = 1, title: str = "",
          card: str = "") -> Entry:
    """A style in `folder`, with a manifest as the recipe writes it."""
    return _written(folder, name, safetensors(weights(seed)) if data is None else data, title or name,
                    "style-transfer", "aimass_stream.engines.style:Style", card)


def any_weights(seed: int = 1) -> Weights:
    """Of the network for any style: small ones, for nothing but a style's statistics holds its values."""
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for name, shape in any_shapes(AnySizes()).items():
        scale = 0.0 if name.endswith("bias") else 0.7 * float(np.prod(shape[1:])) ** -0.5
        found[name] = (np.full(shape, 0.2) if name == "usual" else rng.normal(0, scale, shape)).astype(np.float32)
    return found


def write_any(folder: Path, data: bytes | None = None) -> Entry:
    """The network for any style in `folder`."""
    return _written(folder, "style-any", safetensors(any_weights()) if data is None else data, "Any style",
                    "arbitrary-style", "aimass_stream.engines.style.any:AnyStyle", "")


def library(folder: Path) -> Path:
    """Two painters, and the network that paints after pictures."""
    write(folder, "style-starry-night", seed=1, title="The Starry Night")
    write(folder, "style-udnie", seed=2, title="Udnie")
    write_any(folder)
    return folder


def _written(folder: Path, name: str, data: bytes, title: str, task: str, engine: str, card: str) -> Entry:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "style.safetensors").write_bytes(data)
    rungs = ", ".join(f'"{rung.name}"' for rung in RUNGS)
    manifest = folder / name / "model.toml"
    manifest.write_text(f"""
name = "{name}"
version = "1"
title = "{title}"
task = "{task}"
licence = "Apache-2.0"
sources = ["chance"]
engine = "{engine}"

[[files]]
path = "style.safetensors"
size = {len(data)}
sha256 = "{hashlib.sha256(data).hexdigest()}"

[[inputs]]
name = "image"
shape = ["n", 3, "height", "width"]

[[outputs]]
name = "styled"
shape = ["n", 3, "height", "width"]

[card]
rungs = [{rungs}]
{card}
""", encoding="utf-8")
    return read_manifest(manifest)
