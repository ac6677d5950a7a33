"""Pictures as files."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from aimass_stream.frames import Pixels


def file(picture: Image.Image | Pixels, kind: str = "PNG", **options: Any) -> bytes:
    """Of a picture of Pillow's, or of BGR (h, w, 3)."""
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A grey PNG of that size in a few KB."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj()
    body = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
