"""Camera, microphone, files; recording what comes back and dropping it in again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.sync_api import Page

from aimass_stream.clips import CELLS, read_number
from aimass_stream.frames import Pixels

from ..support.browser import CLIP_PICTURES, Visitor
from .conftest import Visit
from .test_pipeline import link, names, runs

pytestmark = pytest.mark.browser

DEVICES = ["camera", "microphone"]


def camera(visit: Visit, url: str) -> Visitor:
    """A page whose camera and microphone are on."""
    visitor = visit(permissions=DEVICES)
    visitor.open(url)
    visitor.page.get_by_role("radio", name="Camera").click()
    visitor.until("document.querySelector('video.processed').videoWidth === 640")
    return visitor


def _mirrored(picture: Pixels) -> bool:
    """Whether the strip's white guard cell is at its right end."""
    height, width = picture.shape[:2]
    row = picture[height - max(8, height // 16) // 2 - 1].mean(axis=1)
    return bool(row[width // (2 * CELLS)] < 127 < row[width - width // (2 * CELLS)])


def _number(visitor: Visitor, video: str) -> tuple[int, bool]:
    """The number a video shows, and whether it is mirrored; a picture that is just changing is looked at again."""
    for _ in range(40):
        picture = visitor.look(video)
        number = read_number(picture)
        if number is not None and number < CLIP_PICTURES:
            return number, _mirrored(picture)
        visitor.page.wait_for_timeout(20)
    raise AssertionError(f"{video} shows no number")


def test_camera_comes_back_mirrored(visit: Visit, server: str) -> None:
    visitor = camera(visit, link(server, [{"stage": "mirror"}]))
    sent, sent_mirrored = _number(visitor, "raw")
    shown, shown_mirrored = _number(visitor, "processed")
    assert (sent_mirrored, shown_mirrored) == (False, True)
    assert (shown - sent) % CLIP_PICTURES < 45  # looked at later, and no more than the way there and back behind
    assert visitor.page.locator("#camera-select option").count() >= 2
    assert visitor.page.locator("#intro").is_hidden()
    assert visitor.peers() == 1  # the camera took the clip's place in the same connection
    assert not visitor.page.evaluate("document.querySelector('video.processed').muted === false")


def test_spoken_clip_moves_the_level_meter(visit: Visit, server: str) -> None:
    visitor = camera(visit, link(server, [{"stage": "level"}]))
    visitor.until("document.querySelector('#meter.alive') && "
                  "parseFloat(document.querySelector('#meter').style.getPropertyValue('--level')) > 30")


def test_microphone_alone(visit: Visit, server: str) -> None:
    visitor = camera(visit, link(server, [{"stage": "level"}]))
    visitor.page.locator("#camera-select").select_option("none")
    visitor.until("document.querySelector('video.raw').srcObject.getVideoTracks().length === 0")
    visitor.until("document.querySelector('#meter.alive')")
    assert visitor.page.locator("#notice").is_hidden()


def test_recording_brings_its_pipeline_back(visit: Visit, server: str, tmp_path: Path) -> None:
    visitor = visit()
    pipeline: list[dict[str, Any]] = [{"stage": "edges", "threshold": 140}, {"stage": "mirror"}]
    page = visitor.open(link(server, pipeline, "lips"))
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1300)
    with page.expect_download() as download:
        page.locator("#record-button").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    with av.open(str(file)) as container:
        pictures = list(container.decode(video=0))
        assert len(pictures) > 10
        assert '"threshold":140' in container.metadata["AIMASS_PIPELINE"]
    page.goto(f"{link(server, [{'stage': 'gray'}])}")
    page.wait_for_selector(".stage[data-stage=gray]")
    drop(page, file)
    page.wait_for_selector(".stage[data-stage=edges]")
    assert names(page) == ["edges", "mirror"]
    runs(server, visitor, pipeline)
    assert page.locator("#sync [data-sync=lips]").get_attribute("aria-checked") == "true"
    page.get_by_role("button", name="Play it as the source").click()
    visitor.until("document.querySelector('#line-in').textContent.endsWith('.webm')")
    visitor.until("document.querySelector('video.raw').videoWidth > 0")


def test_file_that_is_no_video_is_refused_in_words(visit: Visit, server: str, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.open(server)
    file = tmp_path / "notes.mp4"
    file.write_bytes(b"no video at all" * 50)
    page.locator("#file-input").set_input_files(file)
    page.get_by_text("This file can't be played").wait_for()
    page.locator("#notice").get_by_role("button", name="Close").click()
    visitor.until("!document.querySelector('video.raw').srcObject.getVideoTracks()[0].muted")  # the clip goes on


def drop(page: Page, file: Path) -> None:
    """Drops a file on the page."""
    page.evaluate(
        """([name, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name, { type: "video/webm" }));
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
          }
        }""", [file.name, base64.b64encode(file.read_bytes()).decode()])
