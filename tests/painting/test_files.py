"""Picture files of all kinds, and those that are none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aimass_stream import clips
from aimass_stream.errors import InvalidMedia, TooLarge
from aimass_stream.painting.files import HEAD, decode, unpack

SCENE = clips.draw(40, 128, 96)
RGB = np.ascontiguousarray(SCENE[:, :, ::-1])
LUMA = np.asarray(Image.fromarray(RGB).convert("L"))
EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned clockwise by 90 degrees


def file(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def read(path: Path, data: bytes, most: int = 1 << 24) -> NDArray[np.uint8]:
    path.write_bytes(data)
    with path.open("rb") as opened:
        return unpack(list(decode(opened.fileno(), most)))


def of(mode: str) -> Image.Image:
    return Image.fromarray(RGB).convert(mode)


# the file, its shape, and how far its luma may be from the scene's
FILES: dict[str, tuple[bytes, tuple[int, ...], float]] = {
    "odd": (file(Image.fromarray(RGB[:91, :123])), (91, 123, 3), 0),
    "a line": (file(Image.new("RGB", (300, 1), "red")), (1, 300, 3), 255),
    "colours": (file(of("RGB")), (96, 128, 3), 1),
    "grey": (file(of("L"), "JPEG", quality=95), (96, 128, 3), 4),
    "black and white": (file(of("1")), (96, 128, 3), 120),
    "palette": (file(of("P"), "GIF"), (96, 128, 3), 12),
    "palette with a clear colour": (file(of("P"), "GIF", transparency=0), (96, 128, 4), 12),
    "grey and alpha": (file(of("LA")), (96, 128, 4), 1),
    "alpha": (file(of("RGBA")), (96, 128, 4), 1),
    "16 bits": (file(Image.fromarray(LUMA.astype(np.uint16) * 257)), (96, 128, 3), 1),
    "16 bits, TIFF": (file(Image.fromarray(LUMA.astype(np.uint16) * 257), "TIFF"), (96, 128, 3), 1),
    "CMYK": (file(of("CMYK"), "JPEG"), (96, 128, 3), 5),
    "animated": (file(of("RGB"), "GIF", save_all=True, append_images=[Image.new("RGB", (128, 96), "blue")]),
                 (96, 128, 3), 12),
    "webp": (file(of("RGB"), "WEBP"), (96, 128, 3), 5),
    "bmp": (file(of("RGB"), "BMP"), (96, 128, 3), 1),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_all_kinds(name: str, tmp_path: Path) -> None:
    data, shape, most = FILES[name]
    found = read(tmp_path / "file", data)
    assert found.shape == shape
    if shape[:2] == LUMA.shape:
        luma = np.asarray(cv2.cvtColor(np.ascontiguousarray(found[:, :, :3]), cv2.COLOR_BGR2GRAY))
        assert float(np.abs(luma.astype(int) - LUMA).mean()) < most
    elif name == "odd":
        assert np.array_equal(found, SCENE[:91, :123])


def test_a_camera_that_was_turned(tmp_path: Path) -> None:
    found = read(tmp_path / "file", file(of("RGB"), "JPEG", exif=EXIF, quality=95))
    assert found.shape == (128, 96, 3)
    assert float(np.abs(found.astype(int) - np.rot90(SCENE, -1)).mean()) < 8


BAD: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b"\0" * 1000, "no picture that is read here: PNG, JPEG"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture that is read here"),
    (FILES["odd"][0][:-2000], "cut off or broken"),
    (FILES["grey"][0][:-900], "cut off or broken"),
    (FILES["odd"][0][:40], "broken|can't be read|no picture"),
    (FILES["odd"][0][:200] + b"\xff" * 400 + FILES["odd"][0][600:], "broken"),
    (file(Image.fromarray(LUMA.astype(np.float32)), "TIFF"), "floating-point"),
]


@pytest.mark.parametrize(("data", "told"), BAD)
def test_files_that_are_none(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidMedia, match=told):
        read(tmp_path / "file", data)


def test_too_large_ones_are_refused_by_their_heads(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"has 128x96 px; 12,000 are the most"):
        read(tmp_path / "file", FILES["colours"][0][:100], 12_000)


def test_answers_that_are_none_are_refused() -> None:
    def given() -> Iterator[bytes]:
        yield b""
        yield HEAD.pack(2, 2, 3) + bytes(11)
        yield HEAD.pack(2, 2, 5) + bytes(20)
        yield HEAD.pack(1 << 31, 1 << 31, 3)

    for answer in given():
        with pytest.raises(InvalidMedia):
            unpack([answer])
