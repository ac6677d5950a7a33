"""The controls of every stage there is, made from its schema: nothing is blank, squeezed or in a program's words."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from aimass_stream.painting.inline import decoded

from ..support.browser import Visitor
from .conftest import serving

pytestmark = pytest.mark.browser

DRAW = """async () => {
  const { SchemaForm } = await import("/web/js/schema-form.js");
  const { stages } = await (await fetch("/v1/stages")).json();
  window.told = [];
  document.querySelector("main").replaceChildren(...stages.filter(({ params }) => params).map(({ name, params }) => {
    const values = {};
    const form = new SchemaForm(params, values, (field, value) => window.told.push([name, field, value]), name);
    for (const field of Object.keys(params.properties ?? {})) form.set(field, undefined);
    const card = document.createElement("div");
    card.className = "stage";
    card.dataset.stage = name;
    card.style.maxWidth = "440px";
    card.append(form.element);
    return card;
  }));
}"""
BLANK = """() => [...document.querySelectorAll(".stage :is(option, [role=radio])")]
  .filter((each) => !each.textContent.trim()).map((each) => each.closest("[data-param]").dataset.param)"""
NARROW = """() => [...document.querySelectorAll(".stage .exact")]
  .filter((each) => each.getBoundingClientRect().width < 55).map((each) => each.closest(".stage").dataset.stage)"""
OVER = """() => [...document.querySelectorAll(".stage .slider")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.closest(".stage").dataset.stage)"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = Visitor(browser)
    with serving() as server:  # one that has seen nothing but the models which are installed
        drawn = opened.open(f"{server}/paint", picture=False)
        drawn.evaluate(DRAW)
        yield drawn
    opened.close()


def field(stage: str, name: str) -> str:
    return f'.stage[data-stage="{stage}"] [data-param="{name}"]'


def test_every_choice_has_words(page: Page) -> None:
    assert page.evaluate(BLANK) == []
    assert page.locator(f"{field('faces', 'model')} [role=radio]").all_text_contents()[0] == "the best there is"
    assert "by the picture's shape" in page.locator(f"{field('background', 'model')} option").all_text_contents()


@pytest.mark.parametrize("width", [1280, 360])
def test_numbers_can_be_read_beside_their_units(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator(field("motion", "area")).get_by_text("% of the picture").count() == 1
    assert page.evaluate(NARROW) == []
    assert page.evaluate(OVER) == []


def test_styles_are_called_by_their_titles(page: Page) -> None:
    options = page.locator(f"{field('style', 'name')} option").all_text_contents()
    assert "The Starry Night, Vincent van Gogh" in options
    assert page.locator(f"{field('style', 'second')} option").all_text_contents()[0] == "none"
    for name in ("name", "second"):
        assert "URL" not in page.locator(f"{field('style', name)} .help").inner_text()


def test_a_face_without_a_name_is_not_unknown_by_so_many_per_cent(page: Page) -> None:
    words = """(found) => import("/web/js/findings.js").then(({ wordsOf }) => wordsOf(found))"""
    face = {"label": "face", "score": 0.7, "name": "unknown", "likeness": 0}
    assert page.evaluate(words, face) == "unknown"
    assert page.evaluate(words, face | {"name": "Ada", "likeness": 0.93}) == "Ada 93 %"
    assert page.evaluate(words, {"label": "cat", "score": 0.7}) == "cat 70 %"


def test_a_picture_is_given_to_put_behind_somebody(page: Page) -> None:
    place = page.locator(field("background", "picture"))
    assert place.locator("input[type=text]").count() == 0
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (900, 1200, 3), np.uint8))
    data = io.BytesIO()
    noise.save(data, "JPEG")
    place.locator("input[type=file]").set_input_files({"name": "room.jpg", "mimeType": "image/jpeg",
                                                       "buffer": data.getvalue()})
    for _ in range(750):  # no wait_for_function: the page's policy forbids what that evaluates
        if page.evaluate("window.told.length") >= 2:
            break
        page.wait_for_timeout(40)
    told: list[list[Any]] = page.evaluate("window.told.splice(0)")
    [[_, _, url], mode] = told
    assert mode == ["background", "mode", "picture"]
    assert len(base64.b64decode(url.partition(",")[2])) < 24_000  # it fits into a message, however noisy it is
    seen = decoded(url)
    assert seen.shape[0] / seen.shape[1] == pytest.approx(0.75, abs=0.02)
    assert page.locator(f"{field('background', 'mode')} [aria-checked=true]").inner_text() == "picture"
    place.get_by_label("Remove the picture").click()
    [[_, name, value]] = page.evaluate("window.told.splice(0)")
    assert (name, value) == ("picture", "")
