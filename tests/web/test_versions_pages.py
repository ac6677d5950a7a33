"""What becomes of a version: converted, watched and judged; and of one that is code."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import expect

from ..support.axe import faults
from ..support.model_files import linear
from ..support.model_hub import _examined
from ..support.options import settings
from ..support.server import Running, serve
from .conftest import Visit

pytestmark = pytest.mark.browser

SECONDS = 30_000  # ms; the machine may be busy
ASKED, ROWS = 18, 16  # requests, and rows of each: enough for a histogram


class Calls:
    """Whose pickle is code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.fixture(scope="module")
def place() -> Iterator[Running]:
    """On loopback without accounts: who comes is the machine's owner."""
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings())) as running):
        running.state.hub.importer._examined = _examined  # without a process of its own
        with httpx.Client(base_url=running.url, timeout=SECONDS / 1000) as http:
            submitted(http, "fish", "model.onnx", linear(bias=1))
            http.put("/v1/hub/models/fish/aliases/production", json={"version": 1}).raise_for_status()
            submitted(http, "code", "model.pt", pickle.dumps({"weights": Calls()}))
        yield running


def submitted(http: httpx.Client, name: str, file: str, data: bytes) -> None:
    http.post("/v1/hub/models", json={"name": name}).raise_for_status()
    upload = http.post("/v1/uploads", json={"name": file, "size": len(data)}).json()["id"]
    http.patch(f"/v1/uploads/{upload}", content=data, headers={
        "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}).raise_for_status()
    manifest = {"example": {"x": [[1, 2, 3]]}} if file.endswith("onnx") else {}
    http.post(f"/v1/hub/models/{name}/versions", json={"uploads": {file: upload}, "manifest": manifest}
              ).raise_for_status()
    end = time.monotonic() + SECONDS / 1000
    while http.get(f"/v1/hub/models/{name}/versions/1").json()["state"] == "checking":
        assert time.monotonic() < end


def test_a_version_is_judged_and_watched(place: Running, visit: Visit) -> None:
    with httpx.Client(base_url=place.url) as http:
        http.put("/v1/hub/models/fish/feedback", json={"collect_samples": True}).raise_for_status()
        for number in range(ASKED):
            place.state.watch.sampler._due.clear()  # which looks at some inputs a second
            rows = [[number + row / 16, 1, row] for row in range(ROWS)]
            assert http.post("/predict/fish", json={"input": rows}).status_code == 200
    visitor = visit()
    page = visitor.page
    page.goto(f"{place.url}/models/fish")
    page.click("#try .primary")
    page.check("#judge [name=along]", timeout=SECONDS)
    page.click("#judge >> text=No")
    expect(page.locator("#judge [role=status]")).to_have_text("Thank you.", timeout=SECONDS)
    assert not faults(page)
    page.click(".head >> text=How it does")
    expect(page.locator(".sums dd").first).to_have_text(str(ASKED + 1), timeout=SECONDS)
    expect(page.locator(".histogram")).to_have_count(3)
    expect(page.locator(".histogram .first")).not_to_have_count(0)
    assert not [text for text in page.locator(".histogram text").all_text_contents() if "e" in text]
    expect(page.locator(".said")).to_contain_text("with a sample")
    page.click("#alerts summary")
    page.fill("#rule [name=webhook]", "http://127.0.0.1:9/")
    page.click("#rule .primary")
    expect(page.locator("#rule .wrong")).to_be_visible(timeout=SECONDS)
    page.fill("#rule [name=webhook]", "")
    page.click("#rule .primary")
    expect(page.locator("#alerts li")).to_contain_text("Share of errors > 0.05", timeout=SECONDS)
    assert not faults(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
    page.click("#alerts [data-remove]")
    expect(page.locator("#alerts .empty")).to_be_visible(timeout=SECONDS)
    visitor.complaints.clear()  # the browser tells its console of the refusal


def test_a_version_is_converted(place: Running, visit: Visit) -> None:
    page = visit().page
    page.goto(f"{place.url}/models/fish")
    page.click(".head >> text=Convert")
    assert not faults(page)
    page.click("section:has(#kind-prune) .primary")
    row = page.locator("section:has(#made-title) tbody tr")
    expect(row).to_contain_text("prune", timeout=3 * SECONDS)
    expect(row.locator("td").nth(6)).to_contain_text("0.9")  # how alike the answers are
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
    row.locator(".button").click()
    expect(page.locator("h1")).to_have_text("Compare versions")


def test_what_is_code_is_decided_on(place: Running, visit: Visit) -> None:
    page = visit().page
    page.goto(f"{place.url}/admin/quarantine")
    expect(page.locator("pre")).to_contain_text("system")
    assert not faults(page)
    page.fill("[name=reason]", "It <i>runs</i> a shell")
    page.select_option("[name=verdict]", "reject")
    page.click("main .primary")
    expect(page.locator(".empty")).to_be_visible(timeout=SECONDS)
    page.goto(f"{place.url}/models?q=code")
    expect(page.locator(".card .tag.bad")).to_have_text("refused")
    page.goto(f"{place.url}/models/code")
    expect(page.locator("tbody tr")).to_contain_text("It <i>runs</i> a shell")
