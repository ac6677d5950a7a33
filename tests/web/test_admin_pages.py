"""What admins look after, and what was used: people, the log, jobs, charts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Page, expect

from aimass_stream.apps.seeds import REVIEWER

from ..support.accounts import PASSWORD
from ..support.axe import faults
from ..support.options import settings
from ..support.server import Running, serve
from .conftest import KEY, Visit

pytestmark = pytest.mark.browser

SECONDS = 30_000  # ms; the machine may be busy


@pytest.fixture(scope="module")
def place() -> Iterator[Running]:
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(accounts=True, api_key=KEY))) as running):
        portal.call(running.state.accounts.own, REVIEWER, "reviewer", "review of apps")
        yield running


def accept(page: Page, link: str) -> None:
    page.goto(link)
    page.fill("[name=password]", PASSWORD)
    page.click("main .primary")
    page.wait_for_url("**/account", timeout=SECONDS)


def test_somebody_is_invited_looked_after_and_sent_away(place: Running, visit: Visit) -> None:
    owner = {"Authorization": f"Bearer {KEY}"}
    invited = httpx.post(f"{place.url}/v1/accounts", json={"name": "root", "role": "admin"}, headers=owner).json()
    admin = visit()
    page = admin.page
    accept(page, f"{place.url}/invitation#{invited['token']}")
    page.click(".top >> text=Admin")
    page.click("#invite summary")
    page.fill("#invite [name=name]", "grace")
    page.click("#invite .primary")
    link = page.locator("#invite output")
    expect(link).to_contain_text("/invitation#inv_", timeout=SECONDS)
    assert not faults(page)

    guest = visit()
    accept(guest.page, link.inner_text())
    expect(guest.page.locator(".top")).not_to_contain_text("Admin")
    answer = guest.page.request.get(f"{place.url}/admin/users")
    assert (answer.status, "<h1>Forbidden</h1>" in answer.text()) == (403, True)
    page.goto(f"{place.url}/admin/users?q=aimass-reviewer")
    expect(page.locator("tbody .tag").first).to_have_text("the server's own")
    expect(page.locator("tbody button")).to_have_count(0)
    page.goto(f"{place.url}/admin/users?q=grace")
    page.select_option("tbody [name=role]", "developer")
    with page.expect_navigation():
        page.click("tbody >> text=Save")
    expect(page.locator("tbody [name=role]")).to_have_value("developer", timeout=SECONDS)
    page.click("tbody >> text=Disable")
    page.click("#sure-yes")
    expect(page.locator("tbody .tag")).to_have_text("disabled", timeout=SECONDS)
    guest.page.goto(f"{place.url}/account")
    assert "/sign-in" in guest.page.url

    page.click(".head >> text=Quotas")
    page.fill("[aria-label='Requests a minute: grace']", "77")
    with page.expect_navigation():
        page.click("[aria-label='Save: grace']")
    expect(page.locator("[aria-label='Requests a minute: grace']")).to_have_value("77")
    expect(page.locator("[aria-label='Sessions a minute: grace']")).to_have_value("")  # as usual
    page.fill("[aria-label='Requests a minute: grace']", "99999999999999999999999")
    page.click("[aria-label='Save: grace']")
    wrong = page.locator(".wrong:visible")
    expect(wrong).to_contain_text("Requests is 0 to 9007199254740991.", timeout=SECONDS)
    beneath, row = wrong.bounding_box(), page.locator("tr:has([aria-label='Save: grace'])").bounding_box()
    assert beneath is not None
    assert row is not None
    assert beneath["y"] >= row["y"] + row["height"]
    assert not faults(page)
    page.click(".head >> text=Nodes")
    expect(page.locator(".sums dd").first).to_have_text("0 of 32")
    page.emulate_media(color_scheme="dark")
    assert not faults(page)

    page.click("text=Log")
    page.fill("[name=what]", "user.")
    page.keyboard.press("Enter")
    page.wait_for_url("**what=user.**")
    expect(page.locator("tbody tr").filter(has_text="role developer")).to_have_count(1)
    assert not faults(page)
    page.click("text=Jobs")
    expect(page.locator(".empty")).to_be_visible()
    assert not faults(page)
    admin.complaints.clear()  # the browser tells its console of the refusal


def test_a_team_shares_keys_and_what_it_may_use(place: Running, visit: Visit) -> None:
    owner = {"Authorization": f"Bearer {KEY}"}
    visitors = [visit(locale=locale, viewport={"width": 390, "height": 844}) for locale in ("en", "zh-CN")]
    ida, joe = (visitor.page for visitor in visitors)
    for name, page in (("ida", ida), ("joe", joe)):
        invited = httpx.post(f"{place.url}/v1/accounts", json={"name": name, "role": "developer"}, headers=owner).json()
        accept(page, f"{place.url}/invitation#{invited['token']}")
    ida.click("text=All teams")
    ida.fill("#new-team [name=name]", "sea-lab")
    ida.click("#new-team .primary")
    expect(ida.locator("h1")).to_have_text("sea-lab", timeout=SECONDS)
    ida.fill("#add [name=user]", "nobody")
    ida.click("#add > .button")
    expect(ida.locator("#add .wrong")).to_have_text("There is no user 'nobody'.", timeout=SECONDS)
    ida.fill("#add [name=user]", "joe")
    ida.click("#add > .button")
    expect(ida.locator(".lines:has([name=role]) > li")).to_have_count(2, timeout=SECONDS)
    ida.click("#new-key summary")
    ida.click("#new-key .primary")
    key = ida.locator("#new-key output")
    expect(key).to_contain_text("aim_", timeout=SECONDS)
    shared = {"Authorization": f"Bearer {key.inner_text()}"}
    assert httpx.get(f"{place.url}/v1/accounts/me", headers=shared).json()["team"] in ida.url
    assert not faults(ida)
    joe.goto(ida.url)
    expect(joe.locator("tbody tr")).to_have_count(1)
    expect(joe.locator("#add")).to_have_count(0)  # who is a member adds nobody
    assert joe.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(joe)
    joe.click("text=退出 >> nth=0")
    joe.click("#sure-yes")
    joe.wait_for_url("**/teams", timeout=SECONDS)
    assert joe.request.get(ida.url).status == 404
    assert joe.request.get(f"{place.url}/usage?of=key_of_somebody").status == 403
    visitors[0].complaints.clear()  # the browser tells its console of each refusal


def test_how_the_node_does_is_for_admins(place: Running) -> None:
    owner = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{place.url}/v1/node").status_code == 401
    told = httpx.get(f"{place.url}/v1/node", headers=owner).json()
    assert (told["state"], told["sessions"]) == ("ready", 0)
    assert told["memory"]["process"] < told["memory"]["total"]
    shown = httpx.get(f"{place.url}/admin/nodes", headers=owner).text
    assert [words in shown for words in ("This is the server that answered.", told["host"])] == [True, True]


def test_what_was_used_is_drawn(place: Running, visit: Visit) -> None:
    owner = {"Authorization": f"Bearer {KEY}"}
    invited = httpx.post(f"{place.url}/v1/accounts", json={"name": "carl", "role": "user"}, headers=owner).json()
    visitor = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = visitor.page
    accept(page, f"{place.url}/invitation#{invited['token']}")
    csrf = next(cookie["value"] for cookie in visitor.context.cookies() if cookie["name"] == "aimass_csrf")
    for _ in range(3):
        asked = page.request.post(f"{place.url}/predict/golden-hour", data={"input": "no picture"},
                                  headers={"X-CSRF-Token": csrf})
        assert asked.status == 422
    end = time.monotonic() + SECONDS / 1000
    while page.goto(f"{place.url}/usage") and page.locator(".sums dd").first.inner_text() != "3":
        assert time.monotonic() < end  # it is written every few seconds
    expect(page.locator(".chart svg")).to_have_count(4)
    expect(page.locator(".chart svg").first).to_have_attribute("aria-label", "Requests: fine 0, errors 3 (max)")
    expect(page.locator("section:has(#by-model) tbody")).to_contain_text("golden-hour")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
