"""A page with the SDK in a real Chromium, and what all sections that measure in it share."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Error, sync_playwright

from tests.support.browser import CHROMIUM, Visitor, launch

from ..platform.own import FAILURES as BROKEN

SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); window.sockets.push(this); }
};
"""
FAILURES = (*BROKEN, Error)  # that a section tells instead of a figure
TRANSPORTS = ("webrtc", "websocket")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Without devices: pages make their own pictures and sounds. Raises `ConnectionError` where there is none."""
    if not CHROMIUM.exists():
        raise ConnectionError(f"{CHROMIUM} is not here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright, Path(folder), devices=False)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page(browser: Browser, base: str) -> Iterator[Visitor]:
    """A page of the server's own origin that has nothing but the SDK, and was touched: so it may play sound."""
    visitor = Visitor(browser)
    try:
        visitor.context.add_init_script(SOCKETS)
        visitor.page.goto(f"{base}/healthz")
        visitor.page.mouse.click(5, 5)
        visitor.page.evaluate(SCRIPT)
        yield visitor
    finally:
        visitor.close()


def run(visitor: Visitor, script: str, *given: Any) -> Any:
    """The body of an async function in the page; `given` is what it was given."""
    return visitor.page.evaluate("async (given) => {" + script + "}", list(given))


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p95, the largest, and how many; all as they come."""
    if not len(values):
        return None
    found = {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95)}
    return {**found, "max": round(float(max(values)), 1), "count": len(values)}


def failure(error: BaseException) -> dict[str, str]:
    """In place of figures."""
    return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
