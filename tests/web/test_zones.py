"""Zones and lines on the page: drawn on the picture by clicks and by keys, typed, counted live; and what looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from ..support.browser import Visitor
from .conftest import Visit
from .test_pipeline import arrange, running, runs
from .test_results import DETECT, clip, look, playing

pytestmark = pytest.mark.browser

__all__ = ["clip"]  # a fixture
WATCH = DETECT | {"follow": True}
ZONES = ".stage[data-stage=detect] [data-param=zones]"
LINES = ".stage[data-stage=detect] [data-param=lines]"
CORNERS = [(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8)]


def unfolded(page: Page, stage: str = "detect") -> None:
    page.locator(f".stage[data-stage={stage}] .fold[aria-expanded=false]").click()


def spots(page: Page) -> dict[str, float]:
    """The picture that comes back, px of the screen."""
    box: dict[str, float] = page.evaluate("""async () => {
      const { pictureIn } = await import("/web/js/placing.js");
      const { x, y, width, height } = pictureIn(document.querySelector("video.processed"));
      return { x, y, width, height };
    }""")
    return box


def click(page: Page, x: float, y: float) -> None:
    box = spots(page)
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def zones(server: str, visitor: Visitor, name: str = "zones") -> Any:
    """Waits until the server's detect has some."""
    for _ in range(750):
        found = running(server, visitor)[0].get(name)
        if found:
            return found
        visitor.page.wait_for_timeout(40)
    raise AssertionError(f"the server never got {name}")


def test_a_zone_is_drawn_by_clicks_and_counts_live(visit: Visit, server: str, clip: Path) -> None:
    visitor = visit()
    page = playing(visitor, server, clip)
    arrange(visitor, server, [WATCH])
    unfolded(page)
    page.locator("#views [data-view=result]").click()
    page.locator(f"{ZONES} .zone-add .button").click()
    for corner in CORNERS:
        click(page, *corner)
    assert "more corners" in (page.locator(".placing-bar span").text_content() or "")
    click(page, *CORNERS[0])  # the first corner closes it
    [zone] = zones(server, visitor)
    assert zone["name"] == "zone 1"
    assert np.array(zone["points"]) == pytest.approx(np.array(CORNERS), abs=0.01)
    assert page.locator("svg.placing").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "Draw a zone"
    visitor.until("""(() => {
      const canvas = new OffscreenCanvas(640, 360);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(document.querySelector("canvas.results"), 0, 0, 640, 360);
      const [red, green, blue] = context.getImageData(Math.round(0.3 * 640), 270, 1, 1).data;
      return red > 160 && green > 160 && blue > 150 && red - blue < 40;
    })()""")
    layer = look(page).astype(int)
    assert layer[90, 192 - 12 : 192 + 12, :3].min(axis=1).max() > 120  # its left side
    name = page.locator(f"{ZONES} .zone-list input").first
    name.fill("door")
    runs(server, visitor, [WATCH | {"zones": [zone | {"name": "door"}]}])
    page.locator(f"{ZONES} [aria-label='Remove zone 1']").click()
    runs(server, visitor, [WATCH | {"zones": []}])
    assert visitor.peers() == 1


def test_lines_and_zones_by_keys_alone(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(server)
    arrange(visitor, server, [WATCH])
    unfolded(page)
    button = page.locator(f"{LINES} .zone-add .button")
    button.focus()
    page.keyboard.press("Enter")
    for key in ("ArrowLeft", "ArrowUp", "Space", "ArrowDown", "ArrowDown", "Shift+ArrowRight", "Space"):
        page.keyboard.press(key)
    [line] = zones(server, visitor, "lines")
    assert (line["start"], line["end"]) == ([0.48, 0.48], [0.484, 0.52])
    page.locator(f"{ZONES} .zone-add .button").focus()
    page.keyboard.press("Enter")
    for key in ("Space", "Enter", "ArrowRight", "Space", "ArrowDown", "Space", "ArrowUp", "ArrowUp", "Space",
                "Backspace"):
        page.keyboard.press(key)
    assert "zones" not in running(server, visitor)[0]  # two corners were none to Enter
    page.keyboard.press("Enter")
    [zone] = zones(server, visitor)
    assert zone["points"] == [[0.5, 0.5], [0.52, 0.5], [0.52, 0.52]]
    page.locator(f"{ZONES} .zone-add .button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert page.locator("svg.placing").count() == 0
    assert len(zones(server, visitor)) == 1


def test_corners_are_typed_and_what_is_wrong_goes_nowhere(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(server)
    arrange(visitor, server, [{"stage": "motion", "overlay": False}])
    form = ".stage[data-stage=motion] [data-param=zones]"
    page.locator(f"{form} .zone-add .link").click()
    corners = page.locator(f"{form} .corners")
    runs(server, visitor, [{"stage": "motion", "overlay": False, "zones": [
        {"name": "zone 1", "points": [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]}]}])
    for wrong in ("0 0, 1 1", "0 0, 1 1, 2 0", "here", ""):
        corners.fill(wrong)
        assert corners.get_attribute("aria-invalid") == "true"
    corners.fill("0 0.4, .3 0.4, 0.3 1, 0 1")
    assert corners.get_attribute("aria-invalid") == "false"
    runs(server, visitor, [{"stage": "motion", "overlay": False, "zones": [
        {"name": "zone 1", "points": [[0, 0.4], [0.3, 0.4], [0.3, 1], [0, 1]]}]}])


def test_a_picture_that_is_turned_afterwards_is_not_drawn_on(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(server)
    arrange(visitor, server, [WATCH, {"stage": "mirror"}])
    unfolded(page)
    page.locator(f"{ZONES} .zone-add .button").click()
    assert page.locator("svg.placing").count() == 0
    assert "type the corners" in (page.locator("#toasts").text_content() or "")


def test_what_looks_is_named_and_a_stopgap_has_a_badge(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(server)
    arrange(visitor, server, [{"stage": "detect", "engine": "opencv", "model": "opencv-people", "every": 30}])
    told = page.locator(".stage[data-stage=detect] .detector")
    told.wait_for()
    assert told.locator(".tier").text_content() == "No-weights tier"
    assert re.search(r"it is named\. Measured: average precision 0\.01 for 47 people", told.text_content() or "")
    unfolded(page)
    page.locator(".stage[data-stage=detect] [data-param=model] select").select_option(label="QR codes")
    visitor.until("document.querySelector('.stage[data-stage=detect] .detector').textContent.includes('3 px')")
    assert told.count() == 1
