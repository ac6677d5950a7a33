"""Pages that the server writes: the way in, keys, both languages, and what those find who see with their ears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import ViewportSize, expect

import aimass_stream
from aimass_stream.api.pages import ROOT
from aimass_stream.api.site.words import SERVER, texts, told

from ..support.accounts import PASSWORD
from ..support.axe import faults
from ..support.options import settings
from ..support.server import Running, serve
from .conftest import Visit

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}  # px
SECONDS = 30_000  # ms; the machine may be busy


@pytest.fixture(scope="module")
def place() -> Iterator[Running]:
    """A server whose people sign in, and where nobody has yet."""
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(accounts=True, sign_up=True))) as running):
        yield running


def test_from_the_first_link_to_a_key_and_out_again(place: Running, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"{place.url}/account")  # who is nobody yet has to say who they are
    assert page.url == f"{place.url}/sign-in?next=%2Faccount"
    assert not faults(page)
    page.goto(f"{place.url}/sign-up#{place.state.accounts.first}")
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/models", timeout=SECONDS)
    page.goto(f"{place.url}/account")
    page.click("#new-key summary")
    page.fill("#new-key [name=title]", "<b>hall</b>")
    page.click("#new-key .primary")
    key = page.locator(".once output")
    expect(key).to_contain_text("aim_", timeout=SECONDS)
    secret = {"Authorization": f"Bearer {key.inner_text()}"}
    assert httpx.get(f"{place.url}/v1/accounts/me", headers=secret).json()["scopes"] == ["media", "models:read"]
    assert not faults(page)
    page.click("text=Done")
    expect(page.locator("tbody td").nth(1)).to_have_text("<b>hall</b>")
    assert key.count() == 0 or not key.is_visible()  # never again

    assert page.title() == "My account · AI Mass Stream"
    page.set_viewport_size(PHONE)
    # nothing is cut off
    visitor.until("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.scroll'))")
    assert not faults(page)
    page.click("tbody .button")
    page.click("#sure-yes")
    expect(page.locator("section:has(#keys-title) .empty")).to_be_visible(timeout=SECONDS)
    assert httpx.get(f"{place.url}/v1/accounts/me", headers=secret).status_code == 401

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    page.click("a[hreflang=zh]")
    expect(page.locator("h2").first).to_have_text("API 密钥")
    last = page.locator(".top .places a").last.bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()

    page.goto(place.url)  # the page of before is signed in, too: what it sends is its own
    page.wait_for_selector(".monitor.has-picture", timeout=SECONDS)
    expect(page.locator("#build-key")).to_have_text("one of yours")
    assert "AIMASS_API_KEY" in page.locator("#build-code pre").inner_text()
    page.goto(f"{place.url}/account")
    page.click(".head .button")
    page.wait_for_url("**/sign-in", timeout=SECONDS)
    page.goto(f"{place.url}/account")
    assert "/sign-in" in page.url


def test_a_wrong_password_is_told_where_it_was_typed(place: Running, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"{place.url}/sign-in?next=//evil.example/")
    expect(page.locator(".lead")).to_be_visible()  # no path on this server
    page.goto(f"{place.url}/sign-in")
    page.fill("[name=name]", "nobody")
    page.fill("[name=password]", "nothing at all")
    page.click("main .primary")
    expect(page.locator(".wrong")).to_contain_text("wrong", timeout=SECONDS)
    expect(page.locator(".wrong")).to_have_attribute("role", "alert")
    visitor.complaints.clear()  # the browser tells its console of each refusal


@pytest.mark.parametrize(("asked", "spoken"), [
    ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,zh;q=0.5", "en"), ("fr, zh;q=0.2", "zh"), ("fr", "en"), (";;q=x", "en")])
def test_the_language_is_what_the_browser_likes_best(place: Running, asked: str, spoken: str) -> None:
    answer = httpx.get(f"{place.url}/sign-in", headers={"Accept-Language": asked})
    assert answer.headers["content-language"] == spoken
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)  # nothing inline


def test_an_address_that_leads_nowhere_is_a_page_for_a_browser_alone(place: Running) -> None:
    seen = {"Accept": "text/html,*/*;q=0.8"}
    page = httpx.get(f"{place.url}/nothing-here", headers=seen)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not Found</h1>" in page.text
    assert "There is no such page." in page.text
    assert "没有这个页面。" in httpx.get(f"{place.url}/nothing-here", headers=seen | {"Accept-Language": "zh"}).text
    wrong = httpx.post(f"{place.url}/sign-in", headers=seen | {"Origin": place.url})
    assert (wrong.status_code, "<h1>Method Not Allowed</h1>" in wrong.text, "allow" in wrong.headers) == (
        405, True, True)
    for path, accept in (("/nothing-here", "*/*"), ("/v1/nothing", "text/html"), ("/v2/nothing", "text/html")):
        answer = httpx.get(f"{place.url}{path}", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_everything_that_is_said_is_said_in_chinese() -> None:
    known = texts("zh")
    files = [*(ROOT / "pages").glob("*.html"), *(ROOT / "js").glob("*.js")]
    pages = [text for file in files if "site-words.js" in (text := file.read_text("utf-8")) or file.suffix == ".html"]
    said = {found for text in pages for found in re.findall(r'\bsay\("([^"]+)"', text)}
    assert len(said) > 50
    assert not said - set(known)
    for text, own in known.items():  # what is put in is put into both
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", own))


def test_answers_of_the_server_are_known_by_heart() -> None:
    """Each of those in the table is one that the server still gives."""
    source = "".join(path.read_text("utf-8") for path in Path(aimass_stream.__file__).parent.rglob("*.py"))
    source += (ROOT / "sdk" / "errors.js").read_text("utf-8")
    answers = [text.removeprefix(SERVER) for text in texts("zh") if text.startswith(SERVER)]
    assert len(answers) > 20
    parts = [part for answer in answers for part in re.split(r"\{\w+\}", answer) if len(part) > 4]
    assert not [part for part in parts if part not in source]
    assert told("there is no user 'ada'", "zh") == "没有用户 'ada'"
    assert told("there is no user 'ada'", "en") == "there is no user 'ada'"
    assert told("(.+?){x}", "zh") == "(.+?){x}"
