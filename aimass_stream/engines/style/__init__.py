"""Our style networks (`architectures.style`) on onnxruntime, from picture to picture.

Their graph has no weights: one file for each width lies beside this one and serves every style, and a style is a file
of weights in the safetensors format. A model has all rungs at once; a request says which one it wants, so that stepping
down loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from ...architectures.style_shape import MARGIN, Rung, Sizes, borders, parts, shapes
from ...errors import InvalidInput
from ...frames import Pixels
from ...inference.contract import SLOT, Batch, Capabilities, TensorSpec
from ...inference.device import Device
from ...inference.loader import Entry
from ...painting.upsample import halved, upsampled
from .weights import Floats, read

HERE = Path(__file__).parent
ERRORS_ONLY = 3  # onnxruntime's log level
SLOTS = 64  # pictures' statistics that are kept: a slot each, a few KB
WARM = (120, 160)  # px, height and width

INPUTS = (TensorSpec("picture", (None, None, 3), "uint8", "BGR", example=(240, 320, 3)),
          TensorSpec("rung", (1,), "int64", "number in the card's list"),
          TensorSpec("share", (1,), "float32", "of this picture in the norms' statistics, beside those before it"))
OUTPUTS = (TensorSpec("styled", (None, None, 3), "uint8", "BGR", example=(240, 320, 3)),)


@dataclass(frozen=True, slots=True)
class _Kept:
    """By what a slot's last picture was normalised, (1, 2, c); of a rung, for others have other channels."""

    rung: int
    statistics: Floats


class Style:
    """`share` 1 takes every picture by itself; less smooths the statistics of the norms over a slot's pictures, which
    keeps colours from pumping; 0 keeps them, so that a part of a picture is painted as it would be in the whole."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the weights are not those of this network."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = INPUTS, OUTPUTS
        self.capabilities = Capabilities(slots=SLOTS)
        self._sizes = Sizes()
        names = [rung.name for rung in self._sizes.rungs]
        if entry.card.get("rungs", names) != names:
            raise InvalidInput(f"{entry.name} has the rungs {entry.card['rungs']}; known are {names}",
                               field="card.rungs")
        state = read(entry.file(".safetensors"))
        compare(state, shapes(self._sizes))
        # the runners read them in place
        self._parts = [parts(state, self._sizes, number) for number in range(len(names))]
        self._runners = [runner(rung, own, device.threads)
                         for rung, own in zip(self._sizes.rungs, self._parts, strict=True)]
        self._kept: dict[int, _Kept] = {}  # by slot

    def warm_up(self) -> None:
        for rung in range(len(self._runners)):
            self.run({"picture": np.zeros((*WARM, 3), np.uint8), "rung": np.array([rung]),
                      "share": np.ones(1, np.float32), SLOT: np.zeros(1, np.int64)})
        self.reset(0)

    def run(self, batch: Batch) -> Batch:
        """One picture. Raises `InvalidInput` for a rung or share that there is not."""
        number, share = int(batch["rung"][0]), float(batch["share"][0])
        if not 0 <= number < len(self._runners):
            raise InvalidInput(f"{self.name} has the rungs 0 to {len(self._runners) - 1}, not {number}", field="rung")
        if not 0 <= share <= 1:
            raise InvalidInput(f"share is from 0 to 1, not {share}", field="share")
        rung, slot, picture = self._sizes.rungs[number], int(batch[SLOT][0]), batch["picture"]
        seen = halved(picture) if rung.half else picture
        planes = self._painted(planes_of(seen), number, slot, share)[:, MARGIN : MARGIN + seen.shape[0],
                                                                   MARGIN : MARGIN + seen.shape[1]]
        return {"styled": upsampled(planes, seen, picture) if rung.half else pixels_of(planes)}

    def _painted(self, image: Floats, number: int, slot: int, share: float) -> Floats:
        """(3, h, w) RGB, 0 to 1, of the framed (1, 3, h, w)."""
        kept = self._kept.get(slot)
        if kept is None or kept.rung != number:
            kept, share = _Kept(number, np.zeros((1, 2, self._sizes.channels(number)), np.float32)), 1.0
        styled, statistics = self._runners[number].run(["styled", "statistics"], {
            "image": image, "before": kept.statistics, "share": np.array([share], np.float32)})
        self._kept[slot] = _Kept(number, statistics)
        return np.asarray(styled[0], np.float32)

    def reset(self, slot: int) -> None:
        self._kept.pop(slot, None)

    def close(self) -> None:
        for held in (self._runners, self._parts, self._kept):
            held.clear()


def planes_of(picture: Pixels) -> Floats:
    """(1, 3, h, w) RGB, 0 to 1, of (h, w, 3) BGR, continued at all sides."""
    left, right, top, bottom = borders(*picture.shape[:2])
    framed = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REPLICATE)
    image = np.empty((1, 3, *framed.shape[:2]), np.float32)
    for plane, pixels in zip(image[0], reversed(cv2.split(framed)), strict=True):
        np.multiply(pixels, np.float32(1 / 255), out=plane)
    return image


def pixels_of(planes: Floats) -> Pixels:
    """(h, w, 3) BGR of (3, h, w) RGB, 0 to 1."""
    return np.asarray(cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in planes[::-1]]), np.uint8)


def compare(state: dict[str, Floats], wanted: dict[str, tuple[int, ...]]) -> None:
    """Raises `InvalidInput` naming a tensor that is missing, too many, or of another shape."""
    for name in sorted(set(state) | set(wanted)):
        given = state[name].shape if name in state else None
        if given != wanted.get(name):
            raise InvalidInput(f"the tensor {name[:64]} is {_told(given)} where a style network has "
                               f"{_told(wanted.get(name))}", field="files")


def _told(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else "\u00d7".join(map(str, shape))


def graph_of(rung: Rung) -> Path:
    """`models/styles/graph.py` wrote it; rungs of one width share it."""
    return HERE / f"width-{rung.width}.onnx"


def runner(rung: Rung, own: dict[str, Floats], threads: int) -> Any:
    """onnxruntime's session for a rung, whose `own` part of the weights it reads in place."""
    return opened(graph_of(rung), own, threads)


def opened(graph: Path, own: dict[str, Floats], threads: int) -> Any:
    """onnxruntime's session for a graph without weights, which are `own`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_mem_pattern = False  # it remembers a plan for every size of picture it ever saw
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_external_initializers(list(own), [onnxruntime.OrtValue.ortvalue_from_numpy(part)
                                                  for part in own.values()])
    return onnxruntime.InferenceSession(graph.read_bytes(), options,
                                        providers=["CPUExecutionProvider"])
