"""The detectors' weights beside the project as models of a catalogue, where they are: folders, each with a manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aimass_stream.inference import FolderStore
from aimass_stream.vision.labels import COCO

from ..servers import HERE
from . import loops


@dataclass(frozen=True)
class Public:
    """A detector, and the plain loop for its file."""

    name: str
    title: str
    file: str
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    options: dict[str, Any]
    decode: Any
    faces: bool = False

    @property
    def path(self) -> Path:
        return loops.WEIGHTS / self.file

    @property
    def labels(self) -> tuple[str, ...]:
        return ("face",) if self.faces else COCO

    def loop(self, overlap: float) -> loops.Loop:
        outputs = loops.YUNET_OUTPUTS if self.name == "yunet" else tuple(self.outputs)
        return loops.Loop(self.path, self.decode, outputs, overlap)


PUBLIC = (
    Public("fastestdet", "FastestDet", "FastestDet.onnx", {"input.1": [1, 3, 352, 352]}, {"758": [1, 85, 22, 22]},
           {"head": "fastestdet", "labels": "coco", "fit": "stretch", "resize": "area", "colour": "bgr"},
           loops.fastestdet),
    Public("rfb", "RFB-320, faces", "version-RFB-320_simplified.onnx", {"input": [1, 3, 240, 320]},
           {"scores": [1, 4420, 2], "boxes": [1, 4420, 4]},
           {"head": "rfb", "labels": ["face"], "fit": "stretch", "resize": "linear", "mean": 127,
            "scale": 128}, loops.rfb, True),
    Public("yunet", "YuNet, faces", "yunet_n_320_320.onnx", {"input": [1, 3, 320, 320]},
           {f"{kind}_{stride}": [1, (320 // stride) ** 2, columns] for stride in (8, 16, 32)
            for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))},
           {"head": "yunet", "labels": ["face"], "colour": "bgr", "scale": 1, "fit": "corner",
            "resize": "linear"}, loops.yunet, True),
)


def missing(public: Public) -> str:
    """Why it can't be measured; empty if it can."""
    return "" if public.path.is_file() else f"../shared/data/weights/{public.file} is not here"


def shelved() -> FolderStore:
    """A store of those that are here, with copies of their files in the benchmarks' own folder."""
    folder = HERE / "work" / "detectors"
    for public in PUBLIC:
        if not missing(public):
            _write(folder / public.name, public)
    return FolderStore([folder])


def _write(folder: Path, public: Public) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = public.path.read_bytes()
    shutil.copyfile(public.path, folder / "model.onnx")
    task = "face-detection" if public.faces else "detection"
    lines = [f'name = "{public.name}"', 'version = "1"', f'title = "{public.title}"', f'task = "{task}"',
             'licence = "its authors\'"', f'sources = ["{public.file}"]',
             'engine = "aimass_stream.engines.onnx:OnnxModel"', "[[files]]", 'path = "model.onnx"',
             f"size = {len(content)}", f'sha256 = "{hashlib.sha256(content).hexdigest()}"']
    for kind, tensors in (("inputs", public.inputs), ("outputs", public.outputs)):
        for tensor, shape in tensors.items():
            lines += [f"[[{kind}]]", f'name = "{tensor}"', f"shape = {shape}"]
    lines += ["[options]", *(f"{key} = {json.dumps(value)}" for key, value in public.options.items())]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
