"""Pictures in data: URLs: of all kinds, and those that are none."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aimass_stream import clips
from aimass_stream.painting.inline import CHARACTERS, checked, decoded, encoded

RED = Image.new("RGB", (40, 20), (255, 0, 0))


def url(image: Image.Image, form: str = "PNG", **options: Any) -> str:
    data = io.BytesIO()
    image.save(data, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


@pytest.mark.parametrize(("image", "form", "told"), [
    (RED.convert("RGBA"), "PNG", [0, 0, 255]), (RED.convert("L"), "PNG", [76, 76, 76]),
    (RED.convert("P"), "PNG", [0, 0, 255]), (RED.convert("CMYK"), "JPEG", [0, 0, 254]),
    (Image.new("I;16", (40, 20), 0x7530), "PNG", [0x75] * 3), (RED, "WEBP", [0, 0, 255]), (RED, "JPEG", [0, 0, 254]),
    (RED.resize((1, 1)), "PNG", [0, 0, 255]), (Image.new("RGBA", (40, 20), (255, 0, 0, 0)), "PNG", [255, 255, 255]),
    (Image.new("LA", (40, 20), (0, 51)), "PNG", [204, 204, 204]), (RED.convert("1"), "PNG", None),
])
def test_pictures_of_every_kind_are_read(image: Image.Image, form: str, told: list[int] | None) -> None:
    given = url(image, form)
    assert checked(given) == given
    pixels = decoded(given)
    assert (pixels.shape, pixels.dtype.name) == ((image.height, image.width, 3), "uint8")
    if told is not None:
        assert np.abs(pixels[0, 0].astype(int) - told).max() <= 3


def test_what_is_written_can_be_read() -> None:
    scene = clips.draw(40, 160, 120)
    assert np.abs(decoded(encoded(scene)).astype(int) - scene).mean() < 6


def test_a_turned_and_an_animated_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    assert decoded(url(RED, "JPEG", exif=exif)).shape == (40, 20, 3)
    blue = Image.new("RGB", RED.size, (0, 0, 255))
    assert decoded(url(RED, "WEBP", save_all=True, append_images=[blue], lossless=True))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("given", "told"), [
    ("hello", "must be a base64 data: URL"), ("https://example.org/a.png", "must be a base64 data: URL"),
    ("data:image/gif;base64,AAAA", "must be a base64 data: URL"), ("data:image/png,AAAA", "must be a base64 data: URL"),
    ("data:image/png;base64,%%%", "can't be read"), ("data:image/png;base64,AAAA", "can't be read"),
    (url(RED, "JPEG").replace("image/jpeg", "image/png"), "can't be read"),
    (url(Image.new("L", (4098, 2))), "larger than 4096 px"),
    ("data:image/png;base64," + "A" * CHARACTERS, "more than 350000 characters"),
])
def test_what_is_no_picture_is_refused_at_a_glance(given: str, told: str) -> None:
    for read in (checked, decoded):
        with pytest.raises(ValueError, match=told):
            read(given)


def test_a_picture_that_is_cut_off_is_noticed_when_it_is_decoded() -> None:
    rng = np.random.default_rng(3)
    head, _, body = url(Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))).partition(",")
    cut = f"{head},{body[: len(body) // 8 * 4]}"
    assert checked(cut) == cut
    with pytest.raises(ValueError, match="can't be read"):
        decoded(cut)
