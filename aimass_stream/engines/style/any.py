"""The network that paints after any picture (`architectures.style_any`) on onnxruntime, from picture to picture.

A style is a small array, the statistics that a picture in it has inside of the network: `own`, as a run at strength 0
tells it. What runs go by is in the request, so that styles come, go and are mixed while nothing is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...architectures.style_any_shape import AnySizes, shapes
from ...architectures.style_shape import MARGIN
from ...errors import InvalidInput
from ...frames import Pixels
from ...inference.contract import SLOT, Batch, Capabilities, TensorSpec
from ...inference.device import Device
from ...inference.loader import Entry
from ...painting.upsample import halved, upsampled
from . import HERE, INPUTS, OUTPUTS, SLOTS, WARM, compare, opened, pixels_of, planes_of
from .weights import Floats, read

GRAPH = HERE / "any.onnx"  # models/style-any/graph.py wrote it
SIZES = AnySizes()
NUMBERS = (2, SIZES.channels)  # means and deviations
FACTORS = {"wide": 1.0, "narrow": 2 / 3, "half": 0.5}  # by rung: what of a picture's size is painted
FLOOR = 0.25  # of the usual deviations that a style has at least: after one flat colour there is still a picture


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a slot's last picture had, (1, 2, c); of a rung, for at another size it is another."""

    rung: int
    own: Floats


class AnyStyle:
    """`share` as `engines.style.Style` has it."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the weights are not those of this network."""
        self.name, self.version = entry.name, entry.version
        self.inputs: tuple[TensorSpec, ...] = (
            *INPUTS, TensorSpec("style", NUMBERS, "float32", "means and deviations, as own was of a picture"),
            TensorSpec("strength", (1,), "float32", "share of the way to the style, 0 to 1"))
        self.outputs: tuple[TensorSpec, ...] = (
            *OUTPUTS, TensorSpec("own", NUMBERS, "float32", "means and deviations of the picture"))
        self.capabilities = Capabilities(slots=SLOTS)
        state = read(entry.file(".safetensors"))
        compare(state, shapes(SIZES))
        self._least = FLOOR * state.pop("usual")
        self._parts = state  # the runner reads them in place
        self._runner = opened(GRAPH, state, device.threads)
        self._rungs = list(FACTORS.values())
        self._kept: dict[int, _Kept] = {}  # by slot

    def warm_up(self) -> None:
        for rung in range(len(self._rungs)):
            self.run({"picture": np.zeros((*WARM, 3), np.uint8), "rung": np.array([rung]),
                      "share": np.ones(1, np.float32), "style": np.zeros(NUMBERS, np.float32),
                      "strength": np.ones(1, np.float32), SLOT: np.zeros(1, np.int64)})
        self.reset(0)

    def run(self, batch: Batch) -> Batch:
        """One picture. Raises `InvalidInput` for a rung, share, strength or style that there is not."""
        rung, share, strength = int(batch["rung"][0]), float(batch["share"][0]), float(batch["strength"][0])
        if not 0 <= rung < len(self._rungs):
            raise InvalidInput(f"{self.name} has the rungs 0 to {len(self._rungs) - 1}, not {rung}", field="rung")
        for name, value in (("share", share), ("strength", strength)):
            if not 0 <= value <= 1:
                raise InvalidInput(f"{name} is from 0 to 1, not {value}", field=name)
        if not np.isfinite(batch["style"]).all():
            raise InvalidInput("style has values that are no finite numbers", field="style")
        wanted, picture = batch["style"].copy(), batch["picture"]
        np.maximum(wanted[1], self._least, out=wanted[1])
        seen = _smaller(picture, self._rungs[rung])
        planes, own = self._painted(seen, rung, int(batch[SLOT][0]), share, wanted, strength)
        return {"styled": pixels_of(planes) if seen is picture else upsampled(planes, seen, picture), "own": own}

    def _painted(self, seen: Pixels, rung: int, slot: int, share: float, wanted: Floats,
                 strength: float) -> tuple[Floats, Floats]:
        """(3, h, w) RGB, 0 to 1, of (h, w, 3), and what that had."""
        kept = self._kept.get(slot)
        if kept is None or kept.rung != rung:
            kept, share = _Kept(rung, np.zeros((1, *NUMBERS), np.float32)), 1.0
        styled, own = self._runner.run(["styled", "own"], {
            "image": planes_of(seen), "before": kept.own, "share": np.array([share], np.float32),
            "wanted": wanted[None], "strength": np.array([strength], np.float32)})
        self._kept[slot] = _Kept(rung, own)
        height, width = seen.shape[:2]
        return np.asarray(styled[0, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width], np.float32), own[0]

    def reset(self, slot: int) -> None:
        self._kept.pop(slot, None)

    def close(self) -> None:
        self._runner = None
        for held in (self._parts, self._kept):
            held.clear()


def _smaller(picture: Pixels, factor: float) -> Pixels:
    if factor == 1:
        return picture
    if factor == 0.5:
        return halved(picture)
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
