"""Results that come as data only: drawn over the very picture that they belong to."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from aimass_stream.client.files import FileWriter
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, Pixels, VideoFrame

from ..support.browser import Visitor
from ..support.sights import code, pasted, wall
from .conftest import Visit
from .test_pipeline import arrange, link

pytestmark = pytest.mark.browser

SIZE = (640, 360)  # px
CODE = code("exit 7")  # its modules begin 16 px inside its white edge
STEP = 12  # px it moves from picture to picture, twice what a box may be off
TURN = 40  # pictures from one side to the other
DETECT: dict[str, Any] = {"stage": "detect", "engine": "opencv", "model": "opencv-codes", "overlay": False,
                          "follow": False, "deadline": 5000}
# what the layer shows, at any moment: picture and boxes in it belong together
LOOK = """() => {
  const canvas = new OffscreenCanvas(640, 360);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(document.querySelector("canvas.results"), 0, 0, 640, 360);
  const { data } = context.getImageData(0, 0, 640, 360);
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return btoa(text);
}"""
VIVID = 60  # of 255, between the strongest and the weakest of a box's three colours; the clip is nearly grey
INKED = """(() => {
  const canvas = new OffscreenCanvas(320, 180);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(document.querySelector("canvas.results"), 0, 0, 320, 180);
  const { data } = context.getImageData(0, 0, 320, 180);
  let vivid = 0;
  for (let at = 0; at < data.length; at += 4) {
    const colours = data.subarray(at, at + 3);
    vivid += Math.max(...colours) - Math.min(...colours) > 60;
  }
  return vivid > 40;
})()"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A code that goes to and fro on a wall."""
    path = tmp_path_factory.mktemp("clips") / "code.webm"
    dark = np.asarray(wall(*SIZE) // 2, np.uint8)
    with FileWriter(path, expect={"video"}) as file:
        for number in range(2 * TURN):
            left = 30 + STEP * (number if number < TURN else 2 * TURN - number)
            file.write(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                                  picture=Picture.from_bgr(pasted(dark, CODE, left, 120))))
    return path


def playing(visitor: Visitor, server: str, clip: Path, transport: str = "webrtc") -> Page:
    visitor.context.add_init_script(f"localStorage.setItem('aimass.transport', {transport!r})")
    page = visitor.open(link(server, [DETECT]))
    page.mouse.click(5, 5)  # browsers play no sound, and so no file, before somebody touches the page
    page.locator("#file-input").set_input_files(clip)
    visitor.until("document.querySelector('#line-in').textContent.endsWith('.webm')")
    return page


def look(page: Page) -> Pixels:
    """What the layer shows, (h, w, 4)."""
    return np.frombuffer(base64.b64decode(page.evaluate(LOOK)), np.uint8).reshape(SIZE[1], SIZE[0], 4)


def sides(found: Any) -> tuple[int, int] | None:
    """First and last column that is true."""
    columns = np.flatnonzero(found)
    return (int(columns[0]), int(columns[-1])) if len(columns) else None


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_boxes_are_drawn_on_the_picture_they_belong_to(visit: Visit, server: str, clip: Path, transport: str) -> None:
    visitor = visit()
    page = playing(visitor, server, clip, transport)
    compared, end = 0, time.monotonic() + 60
    places: set[int] = set()
    while compared < 40 and time.monotonic() < end:
        layer = look(page).astype(int)
        rows, opaque = layer[150:210, :, :3], layer[:, :, 3]
        white = sides(np.all(rows > 170, axis=(0, 2)))  # the white edges beside the code's modules
        drawn = sides(np.all(rows.max(axis=2) - rows.min(axis=2) > VIVID, axis=0))  # a box's sides: no plate, no corner
        if white is not None and drawn is not None:
            assert drawn == pytest.approx((white[0] + 16, white[1] - 16), abs=STEP / 2)
            assert opaque.min() == 255
            compared += 1
            places.add(white[0] // STEP)
    assert compared >= 20
    assert len(places) >= 4  # it did move
    visitor.complaints[:] = [text for text in visitor.complaints if "AudioContext" not in text]  # nobody had touched it


def test_a_picture_that_is_gone_when_it_is_told_is_left_out(visit: Visit, server: str, clip: Path) -> None:
    visitor = visit()
    visitor.context.add_init_script("""
      const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
      HTMLVideoElement.prototype.requestVideoFrameCallback = function (told) {
        return ask.call(this, (...given) => {
          if (window.unplug && this.matches(".processed")) this.srcObject = window.unplug = null;
          told(...given);
        });
      };
    """)
    page = playing(visitor, server, clip)
    visitor.until(INKED)
    page.evaluate("window.unplug = true")
    visitor.until("window.unplug === null")
    assert [text for text in visitor.complaints if "AudioContext" not in text] == []
    visitor.complaints.clear()


def test_nothing_is_drawn_twice_or_where_it_is_no_longer_true(visit: Visit, server: str, clip: Path) -> None:
    visitor = visit()
    page = playing(visitor, server, clip)
    visitor.until(INKED)
    arrange(visitor, server, [DETECT | {"overlay": True}])
    visitor.until(f"!{INKED}")
    arrange(visitor, server, [DETECT, {"stage": "gray"}])
    visitor.until(INKED)
    arrange(visitor, server, [DETECT, {"stage": "mirror"}])
    visitor.until(f"!{INKED}")
    arrange(visitor, server, [{"stage": "gray"}, DETECT | {"every": 3}])
    visitor.until(INKED)
    for view in ("side", "result", "slider"):
        page.locator(f"#views [data-view={view}]").click()
        video, layer = page.evaluate("""() => ["video.processed", "canvas.results"].map((selector) => {
          const part = document.querySelector(selector);
          const { x, y, width, height } = part.getBoundingClientRect();
          const { objectFit, clipPath, opacity } = getComputedStyle(part);
          return [x, y, width, height, objectFit, clipPath, opacity];
        })""")
        assert layer == video
    arrange(visitor, server, [])
    visitor.until(f"!{INKED}")


def test_a_result_is_found_by_its_pictures_clock(visitor: Visitor) -> None:
    found = visitor.page.evaluate("""async () => {
      const { Results, bare, tickOf } = await import("/web/js/results.js");
      const results = new Results();
      const note = { width: 4, height: 4, detections: [] };
      const turn = 2 ** 32 / 90000; // s after which RTP timestamps begin anew
      results.add(1, [note]);
      results.add(turn - 0.1, [{ ...note, every: 3 }]);
      results.add(2 * turn + 1 / 30, [note]);
      const tick = (result) => result && result.tick;
      const before = [tick(results.at(90000)), tick(results.at(93000)), tick(results.at(tickOf(turn + 0.1))),
        tick(results.at(tickOf(turn + 0.5))), tick(results.at(3000)), tick(results.at(undefined))];
      for (let count = 0; count < 1000; count += 1) results.add(100 + count, [note]);
      const odd = [null, 3, {}, { ...note, drawn: true }, { ...note, detections: [{ box: [1, 2, 3] }] },
        { ...note, detections: [null] }, { ...note, width: "wide" }];
      return [...before, tick(results.at(90000)), odd.filter((value) => bare({ value }).length).length,
        bare({ detect: note, level: -3 }).length];
    }""")
    held = 2**32 - 9000
    assert found == [90000, None, held, None, 3000, 3000, None, 0, 1]
