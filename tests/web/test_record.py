"""What a session keeps of what was seen, on the page: the heat map, and tables to save."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from .conftest import Visit
from .test_pipeline import arrange
from .test_results import DETECT, clip, playing

pytestmark = pytest.mark.browser

__all__ = ["clip"]  # a fixture
WATCH = DETECT | {"follow": True}
# how many of the map's pixels are as warm as it gets, and how large it is
WARM = """() => {
  const image = document.querySelector(".kept img");
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let warm = 0;
  for (let at = 0; at < data.length; at += 4) warm += data[at] > 200 && data[at] - data[at + 2] > 60;
  return [canvas.width, canvas.height, warm];
}"""


def test_the_heat_map_is_shown_renewed_and_put_away(visit: Visit, server: str, clip: Path) -> None:
    visitor = visit()
    page = playing(visitor, server, clip)
    arrange(visitor, server, [WATCH])
    panel = page.get_by_role("region", name="What was seen")
    button = panel.get_by_role("button", name="Heat map")
    figure = panel.locator("figure")
    assert figure.is_hidden()
    button.click()
    figure.wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    visitor.until(f"({WARM})()[2] > 100")  # it comes anew until something was followed for a while
    assert page.evaluate(WARM)[:2] == [640, 360]
    assert panel.locator(".kept-status").text_content() == ""
    button.press("Enter")
    assert figure.is_hidden()
    assert button.get_attribute("aria-pressed") == "false"


def test_tracks_are_saved_as_a_table(visit: Visit, server: str, clip: Path, tmp_path: Path) -> None:
    visitor = visit()
    page = playing(visitor, server, clip)
    arrange(visitor, server, [WATCH])
    button = page.get_by_role("region", name="What was seen").get_by_role("button", name="Save tracks")
    seen: list[dict[str, str]] = []
    for _ in range(100):
        with page.expect_download() as saved:
            button.click()
        saved.value.save_as(tmp_path / "tracks.csv")
        assert saved.value.suggested_filename == "tracks.csv"
        seen = list(csv.DictReader((tmp_path / "tracks.csv").read_text(encoding="utf-8").splitlines()))
        if seen:
            break
        page.wait_for_timeout(100)
    assert {row["label"] for row in seen} == {"QR code"}
    assert {row["what"] for row in seen} == {"seen"}
