"""Uploaded pictures as pixels: runs in the sandbox, for files lie, and decoders have had holes."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InvalidMedia, TooLarge

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SIXTEEN = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes for greys of sixteen bits
MOST_PIXELS = 1 << 24
PIECE = 1 << 19  # bytes given at a time
HEAD = struct.Struct("<IIB")  # height, width, channels

Image.MAX_IMAGE_PIXELS = None  # counted here, before anything is decoded


def decode(number: int, most: int = MOST_PIXELS) -> Iterator[bytes]:
    """Of the open file of that number: `HEAD`, then (h, w, 3) BGR or (h, w, 4) BGRA, as its maker wants it seen (EXIF);
    of a film the first picture.

    Raises `InvalidMedia` or `TooLarge` with a sentence about the file.
    """
    with open(number, "rb", closefd=False) as file:
        file.seek(0)
        data = file.read()
    if not data:
        raise InvalidMedia("is empty")
    try:
        picture = Image.open(io.BytesIO(data), formats=KINDS)
    except UnidentifiedImageError:
        raise InvalidMedia(f"is no picture that is read here: {', '.join(KINDS)}") from None
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise InvalidMedia(f"can't be read: {error}") from None
    if picture.width * picture.height > most:
        raise TooLarge(f"has {picture.width}x{picture.height} px; {most:,} are the most, as in 4096x4096")
    try:
        picture.load()
        turned = ImageOps.exif_transpose(picture)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise InvalidMedia(f"is cut off or broken: {error}") from None
    pixels = pixels_of(turned)
    yield HEAD.pack(*pixels.shape)
    flat = pixels.reshape(-1)
    for begin in range(0, len(flat), PIECE):
        yield flat[begin : begin + PIECE].tobytes()


def unpack(pieces: Sequence[bytes]) -> NDArray[np.uint8]:
    """What `decode` gave; raises `InvalidMedia` if it can't be."""
    answer = b"".join(pieces)
    if len(answer) < HEAD.size:
        raise InvalidMedia("came to nothing")
    shape = HEAD.unpack_from(answer)
    if shape[2] not in (3, 4) or len(answer) != HEAD.size + shape[0] * shape[1] * shape[2]:
        raise InvalidMedia("came to nothing")
    return np.frombuffer(answer, np.uint8, offset=HEAD.size).reshape(shape)


def pixels_of(picture: Image.Image) -> NDArray[np.uint8]:
    """(h, w, 3) BGR, or (h, w, 4) BGRA where something may be transparent. Raises `InvalidMedia`."""
    if picture.mode in SIXTEEN:  # of which the upper eight bits are shown
        upper = np.asarray(picture).astype(np.int64) >> 8
        picture = Image.fromarray(np.asarray(np.clip(upper, 0, 255), np.uint8))
    if picture.mode == "F":
        raise InvalidMedia("has floating-point values, which are not read")
    clear = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    values = np.asarray(picture.convert("RGBA" if clear else "RGB"))
    return np.ascontiguousarray(values[:, :, [2, 1, 0, 3] if clear else [2, 1, 0]])

