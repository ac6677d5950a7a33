"""A promised latency on the page: the field, the line, the chip at the stage that works with less, who is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from ..support.options import settings
from ..support.server import serve
from ..test_promise import registry
from .conftest import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """URL of a server with stages that take long, or say that they do."""
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(), registry=registry())) as running):
        yield running.url


def link(server: str, stages: list[str], latency: int = 0) -> str:
    pipeline = quote(json.dumps([{"stage": stage} for stage in stages]))
    return f"{server}/#pipeline={pipeline}" + (f"&latency={latency}" if latency else "")


def test_a_promise_is_asked_for_shown_and_lifted(visit: Visit, slow: str) -> None:
    visitor = visit()
    page = visitor.open(link(slow, ["dear", "heavy"]))
    chip = page.locator(".stage[data-stage=heavy] .rung")
    assert chip.is_hidden()
    field, state = page.get_by_label("Keep under"), page.locator("#promise-state")
    field.fill("7")
    field.press("Enter")
    assert "from 10 to 5000" in state.inner_text()
    field.fill("700")
    field.press("Enter")
    chip.wait_for(state="visible", timeout=40_000)
    assert chip.inner_text() == "little"
    assert "hardly computes" in str(chip.get_attribute("title"))
    chip.focus()
    visitor.until("document.activeElement.classList.contains('rung')")
    visitor.until("document.querySelector('#promise-state').textContent.startsWith('Kept: 95 of 100')", 60)
    assert "heavy works with less (hardly computes)" in state.inner_text()
    visitor.until("document.querySelector('.plot canvas').dataset.bound === '700'")
    assert page.locator(".stage[data-stage=dear] .rung").is_hidden()
    log = page.locator("#log").inner_text()
    assert "governor.stepped" in log
    assert "all → little" in log
    assert "&latency=700" in unquote(page.url)
    [session] = httpx.get(f"{slow}/v1/sessions").json()["sessions"]
    assert session["latency_ms"] == 700

    field.fill("")
    field.press("Enter")
    chip.wait_for(state="hidden")
    visitor.until("document.querySelector('.plot canvas').dataset.bound === ''")
    assert state.is_hidden()
    assert "latency" not in page.url


def test_a_link_brings_the_promise_and_who_would_break_it_is_told_what_to_leave_out(visit: Visit, slow: str) -> None:
    first = visit()
    page = first.open(link(slow, ["dear"], 5000))
    assert page.get_by_label("Keep under").input_value() == "5000"
    second = visit()
    other = second.open(link(slow, ["dear", "greedy"]), picture=False)
    other.locator("#notice").wait_for()
    told = other.locator("#notice").inner_text()
    assert "promised 5000 ms" in told
    assert "without greedy" in told
    other.get_by_role("button", name="Remove it").click()
    second.page.wait_for_selector(".monitor.has-picture", timeout=30_000)
    assert [card.get_attribute("data-stage") for card in other.locator(".stage").all()] == ["dear"]
    second.complaints = [text for text in second.complaints if "429" not in text]  # the browser's own words
