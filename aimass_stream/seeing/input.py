"""How a picture becomes a model's input, as its manifest's ``[options]`` say::

    fit = "centre"        stretch, centre or corner, where the input has one size; fill = 114
    colour = "rgb"        bgr, rgb or grey; then (value - mean) / scale, where the input is no uint8
    resize = "area"       area, linear, or auto: averages pixels where it shrinks by 1.5 or more
    longest = 480         px a picture is shrunk to, where the input has any size
"""

from __future__ import annotations

from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..frames import Pixels
from ..inference import Batch, Entry
from ..vision.letterbox import Fit, Letterbox, Resize, letterbox

LONGEST = 640  # px, of a picture for an input of any size
KNOWN = {"fit": get_args(Fit), "resize": get_args(Resize), "colour": ("bgr", "rgb", "grey")}
CELL = 32  # px: networks halve their maps five times


class PictureInput:
    """The one input of a model that looks at pictures: (h, w), (1, 3, h, w) or (1, h, w, 3). Pure after its making."""

    def __init__(self, entry: Entry) -> None:
        """Raises `InvalidInput` if the model takes no picture, or more than one, or its options are unknown ones."""
        if len(entry.inputs) != 1 or len(entry.inputs[0].shape) not in (2, 4):
            raise InvalidInput(f"{entry.name}: a picture of 2 or 4 axes must be its only input", field="inputs")
        self.spec = entry.inputs[0]
        self.options = entry.options
        for option, known in KNOWN.items():
            if self.options.get(option, known[0]) not in known:
                raise InvalidInput(f"{entry.name}: {option} is one of {', '.join(known)}, not {self.options[option]!r}",
                                   field=f"options.{option}")
        self.flat = len(self.spec.shape) == 2
        self.channels_last = not self.flat and self.spec.shape[-1] == 3
        axes = (0, 1) if self.flat else (1, 2) if self.channels_last else (2, 3)
        self._height, self._width = (self.spec.shape[axis] for axis in axes)

    def size(self, picture: Pixels) -> tuple[int, int]:
        """Width and height of the input for this picture (h, w, ...)."""
        if self._height is not None and self._width is not None:
            return self._width, self._height
        share = min(1.0, int(self.options.get("longest", LONGEST)) / max(picture.shape[:2]))
        cell = 1 if self.flat else CELL
        return (max(cell, round(picture.shape[1] * share / cell) * cell),
                max(cell, round(picture.shape[0] * share / cell) * cell))

    def prepare(self, picture: Pixels) -> tuple[Batch, Letterbox, tuple[int, int]]:
        """The input of a BGR picture, where in it the picture lies, and its width and height."""
        width, height = self.size(picture)
        made, place = letterbox(picture, width, height, self.options.get("fit", "centre"),
                                int(self.options.get("fill", 0)), self.options.get("resize", "auto"))
        colour = self.options.get("colour", "grey" if self.flat else "rgb")
        if colour != "bgr":
            code = cv2.COLOR_BGR2RGB if colour == "rgb" else cv2.COLOR_BGR2GRAY
            made = np.asarray(cv2.cvtColor(made, code), np.uint8)
        return {self.spec.name: self._tensor(made)}, place, (width, height)

    def _tensor(self, picture: Pixels) -> NDArray[Any]:
        values: NDArray[Any] = picture
        if self.spec.dtype != "uint8":
            values = np.subtract(picture, np.float32(self.options.get("mean", 0)), dtype=np.float32)
            values *= np.float32(1 / float(self.options.get("scale", 255)))
            values = values.astype(self.spec.dtype, copy=False)
        if not self.flat:
            values = values[None] if self.channels_last else values.transpose(2, 0, 1)[None]
        return np.ascontiguousarray(values)
