"""axe-core, which looks at a page as those do who can't see it, or have no mouse."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from aimass_stream.api.pages import ROOT

SCRIPT = ROOT / "node_modules" / "axe-core" / "axe.min.js"


def faults(page: Page) -> list[Any]:
    """What is seriously wrong with the page as it is now: which rule, and the first elements."""
    if not SCRIPT.is_file():
        pytest.skip("axe-core is not here: npm ci in web/ fetches it")
    page.emulate_media(reduced_motion="reduce")
    # colours on their way from one to another have no contrast yet
    page.evaluate("() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)))")
    page.evaluate(SCRIPT.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found["violations"]
            if each["impact"] in ("serious", "critical")]
