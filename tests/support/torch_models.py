"""Style networks with weights by chance as models of the engine torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aimass_stream.inference import FolderStore

from . import styles

SIDE = 32  # px


def write(folder: Path, name: str = "painter", *, pictures: bool = False, fixed: bool = False, options: str = "",
          data: bytes | None = None, outputs: str = "", most: int = 4) -> FolderStore:
    """A store with one. `pictures`: uint8 in and out; `fixed`: of `SIDE` px only."""
    data = styles.safetensors(styles.weights()) if data is None else data
    (folder / name).mkdir()
    (folder / name / "style.safetensors").write_bytes(data)
    sides = f"{SIDE}, {SIDE}" if fixed else '"height", "width"'
    shape = f'["n", {sides}, 3]' if pictures else f'["n", 3, {sides}]'
    example = f"[1, {SIDE}, {SIDE}, 3]" if pictures else f"[1, 3, {SIDE}, {SIDE}]"
    dtype = "uint8" if pictures else "float32"
    (folder / name / "model.toml").write_text(f"""
name = "{name}"
version = "1"
title = "Painter"
task = "image-to-image"
licence = "Apache-2.0"
sources = ["chance"]
engine = "aimass_stream.engines.torch_network:TorchNetwork"
[[files]]
path = "style.safetensors"
size = {len(data)}
sha256 = "{hashlib.sha256(data).hexdigest()}"
[[inputs]]
name = "image"
shape = {shape}
dtype = "{dtype}"
example = {example}
[[outputs]]
name = "styled"
shape = {outputs or shape}
dtype = "{dtype}"
[capabilities]
batchable = true
max_batch = {most}
[options]
{options or 'architecture = "style"'}
""", encoding="utf-8")
    return FolderStore([folder])
