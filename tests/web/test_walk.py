"""The whole walk by pages: a model goes up, is tried, serves, goes back; it becomes an app that somebody uses live."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Page, ViewportSize, expect

from tests.clients.running import PYTHON as STOCK
from tests.clients.running import stock
from tests.test_model_tutorial import blocks

from ..support.accounts import PASSWORD
from ..support.axe import faults
from ..support.browser import Visitor
from ..support.command import clean
from ..support.options import settings
from ..support.server import Running, serve
from .conftest import Visit

pytestmark = [pytest.mark.browser, stock]

SECONDS = 30_000  # ms; the machine may be busy
PHONE: ViewportSize = {"width": 390, "height": 844}  # px
MANIFEST = {"options": {"labels": ["red", "green", "blue"], "colour": "rgb", "activation": "none"}}


@pytest.fixture(scope="module")
def place() -> Iterator[Running]:
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(accounts=True))) as running):
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the files of the tutorials."""
    made = tmp_path_factory.mktemp("walk")
    for name in ("your-own-model.md", "from-a-model-to-an-app.md"):
        for language, written, saved in blocks(name):
            if language in ("python", "json"):
                (made / saved).write_text(written)
    for colours in ("bgr", "rgb"):
        subprocess.run([sys.executable, "colours.py", colours], cwd=made, env=clean(), check=True, timeout=60)
        (made / colours).mkdir()
        (made / "colours.onnx").rename(made / colours / "colours.onnx")
    return made


def upload(page: Page, file: Path, name: str = "") -> None:
    """Up, until it is checked; then the model's own page."""
    if name:
        page.fill("[name=name]", name)
        page.fill("[name=task]", "classification")
        page.select_option("[name=visibility]", "public")
    page.set_input_files("#files", file)
    page.click("text=What files don't tell")
    page.fill("#manifest", json.dumps(MANIFEST))
    page.click("main .primary")
    expect(page.locator("#verdict")).to_contain_text("can be deployed", timeout=2 * SECONDS)
    page.click("#verdict a")


def asked(page: Page, folder: Path) -> list[str]:
    """What the model's page is answered of the sea: the shares of red, green and blue."""
    page.set_input_files("#try input", folder / "sea.png")
    page.click("#try button")
    expect(page.locator("#answer .bar-row")).to_have_count(3, timeout=SECONDS)
    return page.locator("#answer .bar-row").all_inner_texts()


def invited(ada: Page, place: Running, visit: Visit, name: str, role: str, **options: object) -> Visitor:
    """Somebody whom ada invites, signed in."""
    csrf = next(cookie["value"] for cookie in ada.context.cookies() if cookie.get("name") == "aimass_csrf")
    made = ada.request.post(f"{place.url}/v1/accounts", data={"name": name, "role": role},
                            headers={"X-CSRF-Token": csrf})
    visitor = visit(permissions=["camera"], **options)
    visitor.page.goto(f"{place.url}/invitation#{made.json()['token']}")
    visitor.page.fill("[name=password]", PASSWORD)
    visitor.page.click("main .primary")
    visitor.page.wait_for_url("**/account", timeout=SECONDS)
    return visitor


def used(visitor: Visitor) -> None:
    """Live until processed pictures have come."""
    visitor.page.click("#start")
    visitor.until("document.querySelector('#screen').videoWidth && document.querySelector('#screen').currentTime > 0.2")
    visitor.page.click("#stop")
    expect(visitor.page.locator("#start")).to_be_visible(timeout=SECONDS)


def test_from_a_file_to_somebody_with_a_phone(place: Running, visit: Visit, folder: Path) -> None:
    ada = visit().page
    ada.goto(f"{place.url}/sign-up#{place.state.accounts.first}")
    ada.fill("[name=name]", "ada")
    ada.fill("[name=password]", PASSWORD)
    ada.keyboard.press("Enter")
    ada.wait_for_url("**/models", timeout=SECONDS)

    ada.goto(f"{place.url}/models/new")
    upload(ada, folder / "bgr" / "colours.onnx", "colours")
    assert "red" in asked(ada, folder)[0]  # before it is deployed
    ada.click("#deploy > .primary")
    expect(ada.locator("aside .lines li").first).to_contain_text("production → 1", timeout=SECONDS)
    ada.goto(f"{place.url}/account")
    ada.click("#new-key summary")
    ada.fill("#new-key [name=title]", "curl")
    ada.click("#new-key .primary")
    expect(ada.locator(".once output")).to_contain_text("aim_", timeout=SECONDS)
    key = ada.locator(".once output").inner_text()
    with (folder / "sea.png").open("rb") as sea:
        told = httpx.post(f"{place.url}/predict/colours", files={"input": sea}, timeout=30,
                          headers={"Authorization": f"Bearer {key}"})
    assert told.json() == {"output": [1.0, 0.0, 0.0]}
    triton = subprocess.run([STOCK, "ask.py", place.url.removeprefix("http://"), key], cwd=folder, timeout=60,
                            capture_output=True, text=True, check=True)
    assert triton.stdout == "tritonclient: [[1.0, 0.0, 0.0]] by version 1\n"

    ada.goto(f"{place.url}/models/colours/upload")
    upload(ada, folder / "rgb" / "colours.onnx")
    ada.select_option("#deploy [name=version]", "2")
    ada.click("#deploy > .primary")
    expect(ada.locator("aside .lines li").first).to_contain_text("production → 2", timeout=SECONDS)
    assert "blue" in asked(ada, folder)[0]
    ada.click("aside .lines >> text=Roll back")
    expect(ada.locator("aside .lines li").first).to_contain_text("production → 1", timeout=SECONDS)

    bob = invited(ada, place, visit, "bob", "developer")
    bob.page.goto(f"{place.url}/apps")
    bob.page.click("#new-title")
    bob.page.fill("[name=manifest]", (folder / "app.json").read_text())
    bob.page.click("text=Make a draft")
    bob.page.click("text=What colour is it", timeout=SECONDS)
    used(bob)
    bob.page.click("text=Submit")
    expect(bob.page.locator(".lines .tag").first).to_have_text("submitted", timeout=SECONDS)
    rita = invited(ada, place, visit, "rita", "reviewer").page
    rita.goto(f"{place.url}/review")
    rita.click("text=Approve")
    expect(rita.locator(".empty")).to_be_visible(timeout=SECONDS)
    bob.page.reload()
    bob.page.click("text=Publish")
    expect(bob.page.locator(".lines .tag").first).to_have_text("published", timeout=SECONDS)

    carl = invited(ada, place, visit, "carl", "user", viewport=PHONE)
    carl.page.goto(f"{place.url}/apps")
    carl.page.click("text=What colour is it")
    used(carl)
    assert carl.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(carl.page)

    deadline = time.monotonic() + SECONDS / 1000
    while True:  # it is written now and then
        [total] = ada.request.get(f"{place.url}/v1/usage").json()["rows"]
        if (total["requests"], total["sessions"]) == (3, 2):
            break
        assert time.monotonic() < deadline, total
        ada.wait_for_timeout(100)
    ada.goto(f"{place.url}/usage")
    assert [ada.locator(".sums dd").nth(each).inner_text() for each in (0, 2)] == ["3", "2"]
    by_key = ada.locator("section[aria-labelledby=by-key]")
    expect(by_key).to_contain_text("curl")
    carl.page.goto(f"{place.url}/usage")
    assert carl.page.locator(".sums dd").all_inner_texts()[2] == "1"
