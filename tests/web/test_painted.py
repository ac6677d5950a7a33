"""Seen painted: the camera's picture in a style, and another style without a flash between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from aimass_stream.client.files import FileWriter
from aimass_stream.clips import draw
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, Pixels, VideoFrame

from ..support.browser import Visitor
from .conftest import Visit
from .test_pipeline import arrange, link

pytestmark = pytest.mark.browser

WATCH = """() => {
  const video = document.querySelector("video.processed");
  const canvas = new OffscreenCanvas(32, 24);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  globalThis.seen = [];
  const look = () => {
    context.drawImage(video, 0, 0, 32, 24);
    const { data } = context.getImageData(0, 0, 32, 24);
    const sums = [0, 0, 0];
    for (let at = 0; at < data.length; at += 4) for (const part of [0, 1, 2]) sums[part] += data[at + part] / 768;
    globalThis.seen.push(sums);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}"""
MANY = 12  # pictures that are shown of each
NEAR = 0.4  # a picture's colours are nearer than this share of how far the styles are apart


def red(picture: Pixels) -> Pixels:
    return np.asarray(picture * [0.2, 0.2, 0.5] + [0, 0, 120], np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn scene in red light, which no style keeps; its colours hardly change."""
    path = tmp_path_factory.mktemp("clips") / "scene.webm"
    with FileWriter(path, expect={"video"}) as file:
        for number in range(60):
            file.write(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                                  picture=Picture.from_bgr(red(draw(number, 320, 240)))))
    return path


def colours(visitor: Visitor, page: Page) -> NDArray[np.float64]:
    """Mean colour (3,) once it has settled."""
    page.evaluate("globalThis.seen = []")
    visitor.until(f"globalThis.seen.length > {MANY}")
    return np.asarray(np.median(page.evaluate("globalThis.seen"), axis=0), np.float64)


def test_styles_change_without_a_flash(visit: Visit, server: str, clip: Path) -> None:
    visitor = visit()
    page = visitor.open(link(server, []))
    page.mouse.click(5, 5)  # browsers play no file before somebody touches the page
    page.locator("#file-input").set_input_files(clip)
    visitor.until("document.querySelector('#line-in').textContent.endsWith('.webm')")
    page.evaluate(WATCH)
    plain = colours(visitor, page)
    looks = [plain]
    for name in ("great-wave", "starry-night"):
        arrange(visitor, server, [{"stage": "style", "name": name}])
        page.wait_for_function("(before) => globalThis.seen.length && Math.hypot(...globalThis.seen.at(-1).map("
                               "(part, at) => part - before[at])) > 12", arg=looks[-1].tolist())
        looks.append(colours(visitor, page))
    _, wave, night = looks
    apart = float(np.linalg.norm(wave - night))

    def strange(colour: Any) -> bool:
        """No mixture of the two: pictures of neither style."""
        way = float(np.clip(np.dot(colour - night, wave - night) / apart**2, 0, 1))
        return float(np.linalg.norm(colour - night - way * (wave - night))) > NEAR * apart

    assert apart > 12
    assert strange(plain)
    assert strange(np.zeros(3))
    page.evaluate("globalThis.seen = []")
    arrange(visitor, server, [{"stage": "style", "name": "great-wave"}])
    page.wait_for_function("([wave, near]) => globalThis.seen.filter((one) => Math.hypot(...one.map((part, at) => "
                           f"part - wave[at])) < near).length > {MANY}", arg=[wave.tolist(), NEAR * apart])
    assert not [colour for colour in np.array(page.evaluate("globalThis.seen")) if strange(colour)]
