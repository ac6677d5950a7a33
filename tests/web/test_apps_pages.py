"""The pages of apps: one is made, reviewed by another, published, and used by a third with a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import expect

from ..support.accounts import PASSWORD
from ..support.axe import faults
from ..support.browser import Visitor
from ..support.options import settings
from ..support.server import Running, serve
from .conftest import KEY, Visit

pytestmark = pytest.mark.browser

SECONDS = 30_000  # ms; the machine may be busy
MANIFEST: dict[str, Any] = {
    "name": "Soft focus", "summary": "A softer <picture>", "description": "**Look** here",
    "pipeline": [{"stage": "blur", "id": "soft", "sigma": 4}],
    "parameters": {"softness": {"path": "soft.sigma", "title": "How soft", "minimum": 1, "maximum": 20}},
    "permissions": ["camera"], "embed": ["https://shop.example"],
    "example": {"input": {"picture": {"draw": "EXIT"}, "count": 3}, "expect": {"video": 1, "changed": True}}}


@pytest.fixture(scope="module")
def place() -> Iterator[Running]:
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(accounts=True, api_key=KEY))) as running):
        yield running


def come(place: Running, visit: Visit, name: str, role: str, **options: Any) -> Visitor:
    """Somebody with an account, signed in."""
    owner = {"Authorization": f"Bearer {KEY}"}
    invited = httpx.post(f"{place.url}/v1/accounts", json={"name": name, "role": role}, headers=owner).json()
    visitor = visit(**options)
    visitor.page.goto(f"{place.url}/invitation#{invited['token']}")
    visitor.page.fill("[name=password]", PASSWORD)
    visitor.page.click("main .primary")
    visitor.page.wait_for_url("**/account", timeout=SECONDS)
    return visitor


def sigma(place: Running) -> Any:
    """What the only session blurs by."""
    told = httpx.get(f"{place.url}/v1/sessions", headers={"Authorization": f"Bearer {KEY}"}).json()
    return told["sessions"][0]["pipeline"][0]["sigma"]


def test_made_reviewed_published_and_used_on_a_phone(place: Running, visit: Visit) -> None:
    author = come(place, visit, "ada", "developer").page
    csrf = next(cookie["value"] for cookie in author.context.cookies() if cookie["name"] == "aimass_csrf")
    made = author.request.post(f"{place.url}/v1/apps", data={"slug": "soft-focus", "manifest": MANIFEST},
                               headers={"X-CSRF-Token": csrf})
    assert made.status == 201, made.text()
    author.goto(f"{place.url}/apps?mine=true&sort=new")
    author.click("text=Soft focus")
    assert not faults(author)
    author.click("text=Submit")
    expect(author.locator(".lines .tag")).to_have_text("submitted", timeout=SECONDS)

    reviewer = come(place, visit, "rita", "reviewer").page
    reviewer.goto(f"{place.url}/review")
    assert not faults(reviewer)
    reviewer.click("text=Approve")
    expect(reviewer.locator(".empty")).to_be_visible(timeout=SECONDS)
    author.reload()
    author.click("text=Publish")
    expect(author.locator(".lines .tag")).to_have_text("published", timeout=SECONDS)

    user = come(place, visit, "carl", "user", viewport={"width": 390, "height": 844}, color_scheme="dark",
                permissions=["camera"])
    page = user.page
    page.goto(f"{place.url}/apps")
    assert not faults(page)
    page.click("text=Soft focus")
    assert page.request.get(f"{place.url}/apps/soft-focus/app.webmanifest").json()["start_url"] == "/apps/soft-focus"
    policy = page.request.get(f"{place.url}/apps/soft-focus").headers["content-security-policy"]
    assert "frame-ancestors 'self' https://shop.example;" in policy
    page.click("#start")
    user.until("document.querySelector('#screen').videoWidth && document.querySelector('#screen').currentTime > 0.2")
    page.fill("[name=softness]", "9")
    page.keyboard.press("Tab")
    end = time.monotonic() + SECONDS / 1000
    while sigma(place) != 9:
        assert time.monotonic() < end
    assert page.locator("#settings .wrong").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
    page.click("#stop")
    expect(page.locator("#start")).to_be_visible(timeout=SECONDS)
    offline_it_says_so(user)

    author.goto(f"{place.url}/apps/soft-focus")
    author.click("#probe button")
    expect(author.locator("#probed .tag")).to_have_text("passed", timeout=SECONDS)
    drawing = author.locator("#health-charts svg").first
    expect(drawing).to_have_attribute("aria-label", re.compile("fine [12], errors 0"))
    expect(author.locator("section:has(#embed-title)")).to_contain_text("https://shop.example")
    assert not faults(author)
    reviewer.goto(f"{place.url}/apps/soft-focus")
    reviewer.fill("#suspend [name=reason]", "It <i>shakes</i>")
    reviewer.click("#suspend button")
    reviewer.click("#sure-yes")
    expect(reviewer.locator("main > .wrong")).to_have_text("It is suspended: It <i>shakes</i>", timeout=SECONDS)
    assert not faults(reviewer)
    reviewer.click("text=Resume")
    expect(reviewer.locator("#suspend")).to_be_visible(timeout=SECONDS)


def offline_it_says_so(user: Visitor) -> None:
    """The worker keeps its shell, and no page of the app, nor any answer."""
    user.until("navigator.serviceWorker.controller || navigator.serviceWorker.ready.then(() => 0)")
    user.context.set_offline(True)
    user.page.reload()
    expect(user.page.locator("h1")).to_have_text("No connection", timeout=SECONDS)
    kept = user.page.evaluate("""async () => (await Promise.all((await caches.keys()).map(
        async (name) => (await (await caches.open(name)).keys()).map(({url}) => new URL(url).pathname)))).flat()""")
    assert {path for path in kept if not path.startswith("/web/")} == {"/apps/offline"}
    user.context.set_offline(False)
    user.page.click("main .button")
    expect(user.page.locator("#start")).to_be_visible(timeout=SECONDS)
    user.complaints.clear()  # the browser tells its console that it is offline


def test_the_operator_is_asked_and_answers(place: Running, visit: Visit) -> None:
    asking = come(place, visit, "eve", "user").page
    asking.goto(f"{place.url}/account")
    asking.click("text=Ask for more")
    asking.fill("[name=subject]", "<b>Plates</b> of Norway")
    asking.click("main .primary")
    expect(asking.locator("h2")).to_have_text("<b>Plates</b> of Norway", timeout=SECONDS)
    assert not faults(asking)
    admin = come(place, visit, "olga", "admin").page
    admin.goto(f"{place.url}/requests")
    admin.fill("[name=answer]", "From Monday")
    admin.click("text=Send")
    expect(admin.locator(".panel-head .tag")).to_have_text("granted", timeout=SECONDS)
    asking.reload()
    expect(asking.locator(".panel").nth(1)).to_contain_text("From Monday")
