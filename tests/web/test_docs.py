"""The page at /docs: all of openapi.json to be read, on a phone as well, with lines that work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from ..support.browser import Visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: str) -> Iterator[Visitor]:
    opened = Visitor(browser)
    opened.page.goto(f"{server}/docs")
    opened.page.wait_for_selector(".request")
    yield opened
    opened.close()
    assert not opened.complaints


def test_every_request_is_told_and_found(visitor: Visitor, server: str) -> None:
    page = visitor.page
    paths = httpx.get(f"{server}/openapi.json").json()["paths"]
    assert page.locator(".request").count() == sum(len(methods) for methods in paths.values())
    page.get_by_role("searchbox").fill("predict post")
    assert page.locator(".request:visible").count() == 2
    request = page.locator(".request:visible", has_text="/predict/{model}")
    request.locator("summary").focus()
    page.keyboard.press("Enter")
    request.get_by_text("Body, application/json").first.wait_for()
    told = request.inner_text()
    assert f"curl -X POST '{server}/predict/{{model}}'" in told
    page.get_by_role("searchbox").fill("no such thing")
    assert page.get_by_role("status").inner_text() == "0 found"
    page.get_by_role("searchbox").fill("")


def test_a_line_to_try_it_works(visitor: Visitor, server: str) -> None:
    page = visitor.page
    page.get_by_role("searchbox").fill("")
    request = page.locator(".request", has=page.get_by_text("/v2/health/live", exact=True))
    request.locator("summary").click()
    line = request.locator(".try pre").inner_text()
    assert shlex.split(line) == ["curl", f"{server}/v2/health/live"]
    assert httpx.get(shlex.split(line)[1]).json() == {"live": True}


def test_a_phone_shows_it_without_scrolling_aside_in_light_and_dark(visitor: Visitor) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 360, "height": 740})
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth <= 360")
        page.get_by_role("button", name="Light or dark").click()
    page.set_viewport_size({"width": 1280, "height": 800})
