"""The picture whose style is to be learned, read from a file and looked at before anything is trained on it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np

from ..errors import InvalidMedia, NotFound, TooLarge
from ..frames import Pixels
from ..painting.colours import palette
from ..painting.files import decode, unpack
from .contents import Array

LEAST = 64  # px of a side: with less there is no stroke to be learned
FLAT = 1.5  # levels of 255 by which colours must deviate
LONGEST = 1536  # px of the longer side that are kept; it is scaled to less than half of that while it is learned


def read(path: Path) -> Array:
    """(h, w, 3) RGB, 0 to 1, turned as its EXIF data say and laid on white. Raises `NotFound`, or `InvalidMedia` or
    `TooLarge` with a sentence that names the file."""
    return checked(opaque(path), path.name)


def checked(pixels: Pixels, name: str, field: str = "picture") -> Array:
    """(h, w, 3) RGB, 0 to 1, of BGR. Raises `InvalidMedia` for a picture without a style."""
    if min(pixels.shape[:2]) < LEAST:
        raise InvalidMedia(f"{name} has {pixels.shape[1]}x{pixels.shape[0]} px; a style is learned from "
                           f"{LEAST}x{LEAST} and more", field=field)
    if max(palette(pixels).deviation) < FLAT:
        raise InvalidMedia(f"{name} shows one flat colour: there is no style in it to be learned", field=field)
    return unit(pixels)


def opaque(path: Path) -> Pixels:
    """(h, w, 3) BGR of a picture of any size. Raises as `read`."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}", field="picture") from None
    try:
        pixels = unpack(list(decode(number)))
    except (InvalidMedia, TooLarge) as error:
        raise type(error)(f"{path.name} {error.detail}", field="picture") from None
    finally:
        os.close(number)
    if pixels.shape[2] == 4:
        clear = pixels[:, :, 3:].astype(np.float32) / 255
        pixels = np.asarray(np.rint(pixels[:, :, :3] * clear + 255 * (1 - clear)), np.uint8)
    return np.ascontiguousarray(pixels)


def unit(pixels: Pixels) -> Array:
    """RGB, 0 to 1, of (h, w, 3) BGR; the longer side has at most `LONGEST` px."""
    factor = LONGEST / max(pixels.shape[:2])
    if factor < 1:
        pixels = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1], np.float32) / np.float32(255)


def bgr(picture: Array) -> Pixels:
    """(h, w, 3) uint8 of RGB, 0 to 1."""
    return np.ascontiguousarray(np.clip(255 * picture[:, :, ::-1] + 0.5, 0, 255), np.uint8)


def digest(path: Path) -> str:
    """SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
