"""Pictures that are sent in: how many are worked on at once, how they are read, and what a client wants back."""

from __future__ import annotations

import os
import re
import sys
from contextlib import aclosing
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from .. import sandbox
from ..errors import Busy, InvalidInput, InvalidMedia, SandboxError, TooLarge
from ..frames import Pixels
from ..painting.files import MOST_PIXELS, decode, unpack
from .limits import LimitedRoute
from .uploads import Form, Upload, on_disk

MOST_AT_ONCE = 4  # requests being worked on
MOST_BYTES = 32 << 20  # of a picture's file
LIMITS = sandbox.Limits(seconds=30, cpu_seconds=15, memory_bytes=1 << 30, file_bytes=1 << 20, processes=8,
                        output_bytes=4 * MOST_PIXELS + 4096)

FILE = {"type": "string", "format": "binary"}
KINDS = "PNG, JPEG, WebP, GIF, BMP or TIFF"

JSON, PNG, JPEG = "application/json", "image/png", "image/jpeg"
QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)")  # RFC 9110, section 12.4.2


class UploadRoute(LimitedRoute):
    max_body = sys.maxsize  # `form_of` counts


class Place:
    """One of those who are worked for at once. Raises `Busy`."""

    what: ClassVar = "pictures are being worked on"
    taken = 0

    def __enter__(self) -> None:
        kind = type(self)
        if kind.taken >= MOST_AT_ONCE:
            raise Busy(f"{MOST_AT_ONCE} {kind.what} already, which is the limit", retry_after=2)
        kind.taken += 1

    def __exit__(self, *_: object) -> None:
        type(self).taken -= 1


def body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """A form's description, for openapi.json."""
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": required, "properties": properties}}}}}


def only(form: Form, part: str, what: str = "picture") -> Upload:
    """The one file of that name."""
    found = [upload for upload in form.files if upload.part == part]
    if len(found) != 1:
        raise InvalidInput(f"send one {what} as a part named {part}, not {len(found)}", field=part)
    return found[0]


async def read(upload: Upload) -> NDArray[np.uint8]:
    """(h, w, 3) BGR or (h, w, 4) BGRA, decoded in the sandbox. Raises `InvalidMedia` or `TooLarge`."""
    named = upload.name[:100] or "the picture"
    number = await on_disk(upload.file)
    if os.fstat(number).st_size > MOST_BYTES:
        raise TooLarge(f"{named} has more than {MOST_BYTES >> 20} MiB", field=upload.part)
    try:
        async with aclosing(sandbox.stream(decode, number, files=[number], limits=LIMITS)) as given:
            pieces = [piece async for piece in given]
        return await run_in_threadpool(unpack, pieces)
    except TooLarge as error:
        raise TooLarge(f"{named} {error.detail}", field=upload.part) from error
    except (InvalidMedia, SandboxError) as error:
        raise InvalidMedia(f"{named} {error.detail}", field=upload.part) from error


def on_white(picture: NDArray[np.uint8]) -> Pixels:
    """(h, w, 3): what is transparent is not seen, whatever colour lies under it."""
    if picture.shape[2] == 3:
        return picture
    clear = picture[:, :, 3:].astype(np.float32) / 255
    return np.asarray(np.rint(picture[:, :, :3] * clear + 255 * (1 - clear)), np.uint8)


def written(picture: Pixels, kind: str) -> bytes:
    """The file. Raises `InvalidMedia`."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3] if kind == PNG else [cv2.IMWRITE_JPEG_QUALITY, 92]
    done, data = cv2.imencode(".png" if kind == PNG else ".jpg", picture, options)
    if not done:
        raise InvalidMedia("the picture can't be written", field="image")
    return data.tobytes()


def wanted(accept: str | None) -> str:
    """Which of JSON, PNG and JPEG an Accept header prefers (RFC 9110, section 12.5.1); JSON unless it says so."""
    asked: dict[str, float] = {}
    for part in (accept or "").lower().split(",")[:32]:
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        told = [found[1] for found in map(QUALITY.fullmatch, parameters) if found]
        asked[kind] = float(told[0]) if told else 1.0

    def quality(kind: str) -> float:
        ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        return next((asked[each] for each in ranges if each in asked), 0.0)

    best = max((JSON, PNG, JPEG), key=quality)  # of equals the first
    return best if quality(best) > 0 else JSON
