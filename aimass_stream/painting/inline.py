"""Pictures inside of parameters: data: URLs (RFC 2397), base64."""

from __future__ import annotations

import base64
import binascii
import io
import struct

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..errors import InvalidMedia
from ..frames import Pixels
from .files import pixels_of

SCHEME = "data:"
CHARACTERS = 350_000  # about 256 KB of file
SIDE = 4096  # px
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


def checked(url: str) -> str:
    """The same. Only the file's head is read, so this is quick. Raises `ValueError` that says what is wrong."""
    _opened(url).close()
    return url


def decoded(url: str) -> Pixels:
    """(h, w, 3) BGR, upright, on white where it is transparent. Raises `ValueError` that says what is wrong."""
    with _opened(url) as image:
        try:
            pixels = pixels_of(ImageOps.exif_transpose(image))
        except InvalidMedia as error:
            raise ValueError(f"the picture {error.detail}") from None
        except BROKEN as error:
            raise ValueError(f"the picture can't be read: {error}") from None
    if pixels.shape[2] == 3:
        return pixels
    clear = pixels[:, :, 3:].astype(np.float32) / 255
    return np.asarray(np.rint(pixels[:, :, :3] * clear + 255 * (1 - clear)), np.uint8)


def encoded(picture: Pixels) -> str:
    """(h, w, 3) BGR as a JPEG file in a data: URL."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return f"{SCHEME}image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _opened(url: str) -> Image.Image:
    """What its head says; the pixels are not decoded yet."""
    head, comma, body = url.partition(",")
    kind = head.removeprefix(SCHEME).removesuffix(";base64")
    if not comma or not head.startswith(SCHEME) or not head.endswith(";base64") or kind not in FORMATS:
        raise ValueError(f"this must be a base64 data: URL of {', '.join(FORMATS)}")
    if len(url) > CHARACTERS:
        raise ValueError(f"the picture has more than {CHARACTERS} characters")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(body, validate=True)), formats=[FORMATS[kind]])
    except (*BROKEN, binascii.Error) as error:
        raise ValueError(f"the picture can't be read: {error}") from None
    if max(image.size) > SIDE:
        raise ValueError(f"the picture is larger than {SIDE} px")
    return image
