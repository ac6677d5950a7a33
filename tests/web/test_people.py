"""A person enrols themselves at the stage that recognises faces, is named in the picture, and deletes themselves."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a server's loop
import pytest
from playwright.sync_api import Browser, Page

from aimass_stream.frames import Pixels
from aimass_stream.inference import installed

from ..support import small_networks
from ..support.browser import Visitor
from ..support.drawn_faces import portrait
from ..support.mediapipe import needs
from ..support.picture_files import file
from ..support.sights import wall
from .conftest import serving
from .test_pipeline import arrange

pytestmark = pytest.mark.browser

SIZE = (640, 480)
ADA = portrait(1, width=640, height=480, x=320, y=220, radius=120)

# the camera of a test: a canvas that shows what `paint` is given
CAMERA = """
const canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [640, 480];
const context = canvas.getContext("2d");
let shown = null;
window.paint = async (text) => {
  const data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  shown = await createImageBitmap(new Blob([data], { type: "image/png" }));
};
setInterval(() => shown && context.drawImage(shown, 0, 0), 50);
navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    needs("mediapipe-faces")
    models = tmp_path / "models"
    models.mkdir()
    small_networks.embedder(models)
    store, before = installed(), installed().folders
    try:
        with serving(data_dir=tmp_path / "data", model_dirs=[models]) as url:
            yield url
    finally:
        store.folders = before


def show(page: Page, picture: Pixels) -> None:
    page.evaluate("paint", base64.b64encode(file(picture)).decode())


def test_enrolled_named_and_deleted(browser: Browser, server: str, tmp_path: Path) -> None:
    visitor = Visitor(browser, permissions=["camera"])
    try:
        visitor.context.add_init_script(CAMERA)
        visitor.open(server)
        page = arrange(visitor, server, [{"stage": "faces", "every": 1, "gone": 1}])
        show(page, wall(*SIZE))
        page.get_by_role("radio", name="Camera").click()
        panel = page.get_by_role("region", name="People")
        enrol, status = panel.get_by_role("button", name="Enrol me from the camera"), panel.get_by_role("status")
        assert panel.get_by_text("Nobody is enrolled.").is_visible()
        assert enrol.is_disabled()
        panel.get_by_label("Your name").fill("Ada")
        assert enrol.is_disabled()  # not without consent
        panel.get_by_role("checkbox").check()
        enrol.click()
        status.get_by_text("no face is found in picture 1").wait_for()
        assert panel.get_by_label("Your name").input_value() == "Ada"

        show(page, ADA)
        enrol.press("Enter")
        status.get_by_text("Ada is enrolled.").wait_for(timeout=30_000)
        row = panel.get_by_role("listitem")
        row.wait_for()
        assert row.count() == 1
        assert "8 pictures, agreed on" in row.inner_text()
        assert enrol.is_disabled()
        log = page.locator("#log")
        log.get_by_text("Ada came").wait_for(timeout=30_000)

        remove = row.get_by_role("button", name="Delete Ada")
        remove.click()
        assert row.count() == 1  # it asks once more
        remove.click()
        status.get_by_text("Ada is deleted, with all pictures.").wait_for()
        panel.get_by_text("Nobody is enrolled.").wait_for()
        assert row.count() == 0
        log.get_by_text("somebody who was deleted left").wait_for(timeout=30_000)
        assert not any(b"Ada" in path.read_bytes() for path in (tmp_path / "data").glob("faces*"))
        told: list[Any] = [text for text in visitor.complaints if "422" not in text]
        assert told == []
    finally:
        visitor.close()
