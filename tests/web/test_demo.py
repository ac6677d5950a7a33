"""The first seconds: a clip of ours through a pipeline, before any permission."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from ..support.browser import Visitor
from .conftest import Visit

pytestmark = pytest.mark.browser


def _grey(visitor: Visitor, video: str) -> NDArray[np.float64]:
    """What a video shows, as small grey values: a busy browser may send smaller pictures than it draws."""
    return np.asarray(visitor.look(video, (212, 120)).mean(axis=2))


def _moves(visitor: Visitor, video: str) -> bool:
    """Whether its picture changes; a busy machine may take its time."""
    first = _grey(visitor, video)
    for _ in range(60):
        visitor.page.wait_for_timeout(330)
        if np.abs(_grey(visitor, video) - first).mean() > 0.5:
            return True
    return False


def test_processed_clip_plays_soon(visit: Visit, server: str) -> None:
    visitor = visit()
    begun = time.monotonic()
    page = visitor.open(server)
    assert time.monotonic() - begun < 20
    assert _moves(visitor, "processed"), "the picture stands still"
    assert np.abs(_grey(visitor, "raw") - _grey(visitor, "processed")).mean() > 8, "the picture came back as it went"
    assert page.evaluate("navigator.permissions.query({name: 'camera'}).then(({state}) => state)") == "prompt"


def test_slider_moves_by_keys_and_by_pointer(visitor: Visitor) -> None:
    page = visitor.page
    split = page.get_by_role("slider", name="Line between before and after")
    split.focus()
    before = float(split.input_value())
    page.keyboard.press("ArrowRight")
    assert float(split.input_value()) > before
    box = page.locator("#monitor").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5, steps=3)
    page.mouse.up()
    assert float(split.input_value()) == pytest.approx(25, abs=1)


def test_numbers_and_graph_come_alive(visitor: Visitor) -> None:
    page = visitor.page
    visitor.until("/^[\\d.]+ ms$/.test(document.querySelector('[data-tile=server]').textContent)")
    visitor.until("/^\\d+×\\d+/.test(document.querySelector('[data-tile=picture]').textContent)")
    visitor.until("[...document.querySelectorAll('.hops th')].some((cell) => cell.textContent === 'cartoon')")
    assert "ms" in page.locator(".stage[data-stage=cartoon] .time").inner_text()
    assert "session.created" in page.locator("#log").inner_text()


def test_hops_stand_in_the_order_frames_take(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(f"{server}/#pipeline=[{{%22stage%22:%22mirror%22}},{{%22stage%22:%22gray%22}}]")
    shown = "[...document.querySelectorAll('.hops tbody th')].map((cell) => cell.textContent).join()"
    visitor.until(f"{shown}.startsWith('network,jitter,decode,mirror,gray,encode,send')")
    page.get_by_role("button", name="Move Gray up").click()
    visitor.until(f"{shown}.startsWith('network,jitter,decode,gray,mirror,encode,send')")


def test_word_at_the_edge_hides_no_figure(visitor: Visitor) -> None:
    page = visitor.page
    page.evaluate("""() => import("/web/js/dom.js").then(({ toast }) => toast("a long word ".repeat(20)))""")
    visitor.until("document.querySelector('.total').textContent.includes('ms in all')")
    note, total = page.locator(".toast").bounding_box(), page.locator(".total").bounding_box()
    assert note is not None
    assert total is not None
    assert abs(note["x"] + note["width"] / 2 - 640) < 8
    assert total["x"] + total["width"] < note["x"]


def test_rounded_sizes_leave_no_dark_edge(visit: Visit, server: str) -> None:
    visitor = visit()
    visitor.open(f"{server}/#pipeline=[{{%22stage%22:%22crop%22,%22x%22:0.005,%22width%22:0.99}}]")
    visitor.until("getComputedStyle(document.querySelector('video.processed')).objectFit === 'fill'")
    visitor.page.locator("#views [data-view=side]").click()
    visitor.until("getComputedStyle(document.querySelector('video.processed')).objectFit === 'contain'")


def test_empty_pipeline_has_one_button_to_add_a_stage(visit: Visit, server: str) -> None:
    page = visit().open(f"{server}/#pipeline=[]")
    page.wait_for_selector(".stages .empty")
    assert page.locator("main").get_by_role("button", name="Add").count() == 1


def test_phone_has_no_sideways_scroll(visit: Visit, server: str) -> None:
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visitor.open(f"{server}/#pipeline=[{{%22stage%22:%22text%22}},{{%22stage%22:%22crop%22}}]")
    page.wait_for_selector(".stage[data-stage=crop]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for view in ("side", "result", "slider"):
        page.locator(f"#views [data-view={view}]").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#add-button").click()
    page.locator("#catalogue [data-stage=blur]").click()
    page.wait_for_selector(".stage[data-stage=blur]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_page_that_sends_nothing(visit: Visit, server: str) -> None:
    """In a browser that was never given a camera, and without a track, it still connects and hears events."""
    page = visit().page
    page.goto(f"{server}/openapi.json")  # any page of that origin will do
    answer = page.evaluate("""async () => {
      const { connect } = await import("/web/sdk/aimass-stream.js");
      const session = await connect({ url: location.origin, pipeline: [], sync: "lowest" });
      const seq = await new Promise((resolve) => session.on("session.stats", (event) => resolve(event.seq)));
      const { state } = session.status;
      await session.close();
      return [state, seq];
    }""")
    assert answer[0] == "live"
    assert answer[1] >= 2
