"""How a picture becomes a model's input, as its manifest's ``[options]`` say::

    fit = "centre"        stretch, centre or corner, where the input has one size; fill = 114
    fit = "crop"          or the middle of the picture alone; crop = 0.875 of its shorter side
    colour = "rgb"        bgr, rgb or grey; then (value - mean) / scale, where the input is no uint8:
    mean = 127.5          numbers, or lists of one for each channel in the order of `colour`
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
CROP = 0.875
KNOWN = {"fit": (*get_args(Fit), "crop"), "resize": get_args(Resize), "colour": ("bgr", "rgb", "grey")}
SPARE = 4  # tensors
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
        self._mean, self._scale = _numbers(entry, "mean", 0), _numbers(entry, "scale", 255)
        share = self.options.get("crop", CROP)
        if not isinstance(share, int | float) or not 0 < share <= 1:
            raise InvalidInput(f"{entry.name}: crop is a number over 0 and up to 1", field="options.crop")
        self.flat = len(self.spec.shape) == 2
        self.channels_last = not self.flat and self.spec.shape[-1] == 3
        axes = (0, 1) if self.flat else (1, 2) if self.channels_last else (2, 3)
        self._height, self._width = (self.spec.shape[axis] for axis in axes)
        self._spare: list[NDArray[np.float32]] = []  # of a few hundred kilobytes to megabytes, which are dear to get

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
        fit = self.options.get("fit", "centre")
        made, place = (_middle(picture, width, height, float(self.options.get("crop", CROP))) if fit == "crop" else
                       letterbox(picture, width, height, fit, int(self.options.get("fill", 0)),
                                 self.options.get("resize", "auto")))
        colour = self.options.get("colour", "grey" if self.flat else "rgb")
        if colour != "bgr":
            code = cv2.COLOR_BGR2RGB if colour == "rgb" else cv2.COLOR_BGR2GRAY
            made = np.asarray(cv2.cvtColor(made, code), np.uint8)
        return {self.spec.name: self._tensor(made)}, place, (width, height)

    def give_back(self, batch: Batch) -> None:
        """What `prepare` made and nobody needs any more may be used for another picture; from any thread."""
        values = batch[self.spec.name]
        if values.dtype == np.float32 and len(self._spare) < SPARE:
            self._spare.append(values)

    def _floats(self, values: NDArray[Any]) -> NDArray[np.float32]:
        try:
            made = self._spare.pop().reshape(values.shape)
        except (IndexError, ValueError):  # there is none, or none of this size
            return values.astype(np.float32)
        np.copyto(made, values)
        return made

    def _tensor(self, picture: Pixels) -> NDArray[Any]:
        values: NDArray[Any] = picture
        mean, scale = self._mean, self._scale
        if not self.flat and not self.channels_last:  # while they are bytes, which are quicker to move
            values = np.stack(cv2.split(picture))
            mean, scale = (each.reshape(-1, 1, 1) if each.ndim else each for each in (mean, scale))
        if self.spec.dtype != "uint8":
            values = self._floats(values)
            if mean.any():
                values -= mean
            if (scale != 1).any():
                values *= 1 / scale
            values = values.astype(self.spec.dtype, copy=False)
        return np.ascontiguousarray(values if self.flat else values[None])


def _middle(picture: Pixels, width: int, height: int, share: float) -> tuple[Pixels, Letterbox]:
    """The largest part about the middle of a picture (h, w, ...) that has the shape of the input, times `share`."""
    tall, wide = picture.shape[:2]
    scale = min(wide / width, tall / height) * share  # px of the picture in one of the input
    across, down = (min(most, max(1, round(scale * size))) for most, size in ((wide, width), (tall, height)))
    left, top = (wide - across) // 2, (tall - down) // 2
    made, place = letterbox(picture[top : top + down, left : left + across], width, height, "stretch")
    return made, Letterbox(place.scale, (-left * place.scale[0], -top * place.scale[1]))


def _numbers(entry: Entry, option: str, usual: float) -> NDArray[np.float32]:
    """One number, or one for each of three channels. Raises `InvalidInput`."""
    given = entry.options.get(option, usual)
    each = given if isinstance(given, list) else [given]
    good = len(each) in (1, 3) and all(isinstance(value, int | float) and np.isfinite(value) for value in each)
    if not good or (option == "scale" and 0 in each):
        raise InvalidInput(f"{entry.name}: {option} is a number or a list of three", field=f"options.{option}")
    return np.array(given, np.float32)
