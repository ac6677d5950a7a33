"""Pictures that a style is to be learned from, good and bad, and folders of photographs; without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aimass_stream.errors import AimassError, InvalidInput, InvalidMedia, NotFound, TooLarge
from aimass_stream.training.contents import Contents, photographs
from aimass_stream.training.picture import bgr, read
from tests.support.painters import painted, painting
from tests.support.picture_files import bomb, file


def test_a_picture_is_read_as_it_is_seen(tmp_path: Path) -> None:
    shown = painted(96, 80)
    assert np.array_equal(bgr(read(painting(tmp_path))), shown)
    clear = Image.fromarray(np.dstack([shown[:, :, ::-1], np.where(np.arange(96) < 48, 255, 0).astype(np.uint8)
                                       * np.ones((80, 1), np.uint8)]))
    half = tmp_path / "half.webp"
    half.write_bytes(file(clear, "WEBP", lossless=True))
    assert bool((read(half)[:, 48:] == 1).all())  # on white
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.write_bytes(file(Image.fromarray(shown[:, :, ::-1]), "JPEG", exif=exif))
    assert read(turned).shape == (96, 80, 3)


@pytest.mark.parametrize(("data", "error", "says"), [
    (file(np.full((90, 90, 3), (10, 200, 30), np.uint8)), InvalidMedia, "one flat colour"),
    (file(np.zeros((1, 1, 3), np.uint8)), InvalidMedia, "1x1 px; a style is learned from 64x64"),
    (file(painted(), "JPEG")[:-900], InvalidMedia, "cut off or broken"),
    (b"", InvalidMedia, "is empty"),
    (b"no picture at all", InvalidMedia, "is no picture that is read here"),
    (bomb(8192, 8192), TooLarge, "8192x8192"),
])
def test_a_picture_without_a_style_is_refused_by_name(tmp_path: Path, data: bytes, error: type[AimassError],
                                                      says: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(error, match=says) as refused:
        read(path)
    assert refused.value.detail.startswith("bad.png ")


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such"):
        read(tmp_path / "no such.png")


def test_photographs_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.png"):
        painting(tmp_path, name)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "small.png").write_bytes(file(np.zeros((8, 8, 3), np.uint8)))
    found = photographs(tmp_path, leave=["c"])
    assert [picture.shape for picture in found] == [(80, 96, 3)] * 2
    assert np.array_equal(found[0][:, :, ::-1], painted())
    cuts = Contents(found, 3)
    for picture in (cuts.cut(48) for _ in range(12)):
        assert picture.shape == (48, 48, 3)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() < picture.max() <= 1
    with pytest.raises(NotFound, match="no folder"):
        photographs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="can be read"):
        photographs(tmp_path / "empty")
