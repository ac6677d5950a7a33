"""Words in pictures, set in the font that OpenCV's wheel carries or one of this machine's."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageDraw

from aimass_stream.fonts import choose, load
from aimass_stream.frames import Pixels


def needs_reader() -> None:
    """Skips the test where the wheel with the networks is not installed."""
    if find_spec("rapidocr_onnxruntime") is None:
        pytest.skip("rapidocr-onnxruntime is not installed")


def put(picture: Pixels, text: str, left: int, top: int, size: int = 32, degrees: float = 0,
        ink: tuple[int, int, int] = (20, 20, 20)) -> Pixels:
    """The picture with a line of writing whose top left corner is there, turned counterclockwise about it."""
    face = load(choose(text), size)
    _, _, wide, high = face.getbbox(text)
    mask = Image.new("L", (picture.shape[1], picture.shape[0]))
    ImageDraw.Draw(mask).text((left, top), text, 255, face)
    mask = mask.rotate(degrees, Image.Resampling.BICUBIC, center=(left, top))
    cover = np.asarray(mask, np.float32)[:, :, None] / 255
    assert wide > 0 < high
    return np.asarray(np.rint(picture * (1 - cover) + np.array(ink, np.float32) * cover), np.uint8)
