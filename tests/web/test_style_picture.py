"""A picture of one's own dropped onto the style stage: it is the style, live, without a gap."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aimass_stream.painting.inline import decoded
from tests.support import styles

from .conftest import Visit, serving
from .test_pipeline import link, running

pytestmark = pytest.mark.browser

DROP = """([selector, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const target = document.querySelector(selector);
  for (const kind of ["dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
}"""
NAME = '.stage[data-stage="style"] [data-param="name"]'


@pytest.fixture(scope="module")
def painting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with styles of its own."""
    folder = tmp_path_factory.mktemp("styles")
    for seed, name in enumerate(("starry-night", "scream", "udnie", "shipwreck", "quilt"), 1):
        styles.write(folder, f"style-{name}", seed=seed)
    styles.write_any(folder)
    with serving(model_dirs=[folder]) as url:
        yield url


def file(width: int, height: int, colour: str = "red") -> str:
    data = io.BytesIO()
    picture = Image.new("RGBA", (width, height), colour)
    picture.paste((0, 0, 255, 255), (0, 0, width // 2, height))
    picture.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def test_a_picture_is_dropped_onto_the_stage(visit: Visit, painting: str, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.open(link(painting, [{"stage": "style", "name": "starry-night"}]))
    visitor.until("document.querySelector('video.processed')?.videoWidth > 0")
    page.evaluate(DROP, ['.stage[data-stage="style"] .stage-head', "mine.png", "image/png", file(1200, 600)])
    visitor.until(f"document.querySelector('{NAME} img').src.startsWith('data:image/jpeg')")
    [stage] = running(painting, visitor)
    for _ in range(750):
        if stage["name"].startswith("data:"):
            break
        page.wait_for_timeout(40)
        [stage] = running(painting, visitor)
    sent = decoded(stage["name"])
    assert sent.shape == (160, 320, 3)
    assert np.abs(sent[80, 40].astype(int) - [255, 0, 0]).max() < 12
    assert page.locator(f"{NAME} select").evaluate("(select) => select.selectedOptions[0].text") == "your picture"
    assert not page.locator("#drop.over").count()
    page.locator('.stage[data-stage="style"] .code-button').click()
    shown = page.locator('.stage[data-stage="style"] .code-panel .long')
    assert shown.evaluate("(long) => long.textContent.length > 400 && long.clientWidth < 200")
    page.locator(f"{NAME} .picture-field button").click()
    visitor.until(f"document.querySelector('{NAME} img').hidden")
    for _ in range(750):
        if running(painting, visitor)[0]["name"] == "starry-night":
            break
        page.wait_for_timeout(40)
    assert running(painting, visitor)[0]["name"] == "starry-night"
    chosen = page.locator(f"{NAME} select").evaluate("(select) => select.selectedOptions[0].text")
    assert chosen.endswith("Vincent van Gogh")


def test_a_picture_is_chosen_for_the_second_style_and_what_is_none_is_told(visit: Visit, painting: str) -> None:
    visitor = visit()
    page = visitor.open(link(painting, [{"stage": "style", "name": "starry-night"}]))
    second = '.stage[data-stage="style"] [data-param="second"]'
    page.locator(f"{second} input[type=file]").set_input_files(
        {"name": "clear.png", "mimeType": "image/png", "buffer": base64.b64decode(file(40, 30, "#ff000000"))})
    visitor.until(f"document.querySelector('{second} img').src.startsWith('data:image/jpeg')")
    found = page.locator(f"{second} img").get_attribute("src")
    assert found is not None
    assert decoded(found)[15, 35].min() > 240  # what is transparent became white
    page.evaluate(DROP, [second + " .picture-field", "notes.txt", "text/plain", base64.b64encode(b"hello").decode()])
    page.get_by_text("notes.txt is no picture that this browser can read.").wait_for()
    assert page.locator(f"{second} img").get_attribute("src") == found
