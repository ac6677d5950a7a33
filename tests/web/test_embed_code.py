"""The page /embed-code: what it writes runs as it stands there, in a page of another origin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from ..support.axe import faults
from ..support.browser import Visitor
from ..support.folder import serving_folder
from .conftest import KEY, Visit, serving
from .test_adapters import Pages
from .test_site import PHONE

pytestmark = pytest.mark.browser

SECONDS = 30_000  # ms; the machine may be busy
OWNER = {"Authorization": f"Bearer {KEY}"}
PIPELINE = '[{"stage":"mirror"},{"stage":"gray"}]'
OPENING = {  # what a visitor does to such a page
    "frame": "", "element": "", "module": "",
    "script": "<script>navigator.mediaDevices.getUserMedia({ video: true }).then((it) => { window.it = it })</script>"}
MANIFEST = {"name": "Seen and heard", "summary": "Both", "description": "", "pipeline": [{"stage": "mirror"}],
            "permissions": ["microphone", "camera"]}

# as browsers do, who want a click for it
SHARED = """MediaDevices.prototype.getDisplayMedia = async () => {
  if (!navigator.userActivation.isActive) throw new DOMException("", "InvalidStateError");
  return new MediaStream();
};"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    with serving_folder(folder) as origin, serving(origins=[origin], api_key=KEY, builtin_apps=True) as server:
        yield Pages(folder, origin, server)


def come(visitor: Visitor, pages: Pages, link: str) -> Page:
    """In a tab that was given the server's key on the page `/`."""
    visitor.page.goto(f"{pages.server}/healthz")
    visitor.page.evaluate("(key) => sessionStorage.setItem('aimass.key', key)", KEY)
    visitor.page.goto(f"{pages.server}/embed-code#{link}")
    expect(visitor.page.locator("#what")).not_to_be_empty(timeout=SECONDS)
    return visitor.page


def until_running(page: Page, server: str, *stages: str) -> None:
    """These, in the only session, which is ended then."""
    told = None
    for _ in range(300):
        told = httpx.get(f"{server}/v1/sessions", headers=OWNER).json()["sessions"]
        if [[stage["stage"] for stage in each["pipeline"]] for each in told] == [list(stages)]:
            assert httpx.delete(f"{server}/v1/sessions/{told[0]['id']}", headers=OWNER).status_code == 204
            return
        page.wait_for_timeout(50)
    raise AssertionError(told)


def test_each_of_what_it_writes_runs_elsewhere(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone", "clipboard-read", "clipboard-write"])
    page = come(visitor, pages, f"pipeline={quote(PIPELINE)}&latency=80")
    expect(page.locator("#what")).to_have_text(PIPELINE)
    assert str(page.locator("#change").get_attribute("href")).endswith("&latency=80")
    assert ' latency="80"' in page.locator("#element").inner_text()
    assert ' data-latency="80" data-kinds="video" data-screens="raw"' in page.locator("#script").inner_text()
    token = "none yet"
    for kind, opening in OPENING.items():
        page.bring_to_front()
        page.click("#mint")
        text = f"document.getElementById('{kind}').textContent"
        visitor.until(f"{text}.includes('act_') && !{text}.includes('{token}')")
        assert "within" in page.locator("#left").inner_text()
        page.click(f"[data-copy={kind}]")
        written = page.evaluate("navigator.clipboard.readText()")
        assert written == page.locator(f"#{kind}").inner_text()
        token = written.partition("act_")[2][:40]
        (pages.folder / f"{kind}.html").write_text(f"<!doctype html><title>{kind}</title>{written}{opening}")
        other = visitor.context.new_page()
        other.goto(f"{pages.origin}/{kind}.html")
        if kind == "frame":
            other.frame_locator("iframe").get_by_role("button", name="Start").click()
        elif kind == "element":
            other.get_by_role("button", name="Start").click()
        until_running(page, pages.server, "mirror", "gray")
        if kind == "module":  # its visitor is told, too: that it was ended, or, so early, that it can't begin anew
            told = re.compile("Connect again|another token")
            expect(other.get_by_role("status")).to_contain_text(told, timeout=SECONDS)
        other.close()


def test_opened_by_itself_it_offers_what_can_be_done(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.page
    page.goto(f"{pages.server}/embed-code")
    chosen, shown = page.locator("#choice option:checked"), page.locator("#what")
    expect(chosen).to_have_text("Painted", timeout=SECONDS)
    expect(shown).to_have_text('[{"stage":"style"}]')
    assert """pipeline='[{"stage":"style"}]'""" in page.locator("#element").inner_text()
    for button, told in (("#mint", "#trouble"), ("#start", "#failed")):
        page.click(button)
        expect(page.locator(told)).to_have_text("This server asks for a key: enter an API key above, or sign in.")
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    page.wait_for_selector("#choice optgroup[label=Apps]", state="attached", timeout=SECONDS)
    assert not page.locator("#trouble").is_visible()
    page.click("#start")
    expect(page.locator("#state")).to_have_text("Live", timeout=SECONDS)
    page.select_option("#choice", label="Mirror")  # at once in the preview, too
    expect(shown).to_have_text('[{"stage":"mirror"}]')
    until_running(page, pages.server, "mirror")
    page.click("#stop")
    page.select_option("#choice", label="Live captions")
    expect(page.locator("#source")).to_have_value("camera microphone", timeout=SECONDS)
    expect(page.locator("#frame")).to_contain_text("/embed#app=")
    page.go_back()
    expect(chosen).to_have_text("Mirror")
    page.evaluate("location.hash = 'pipeline=[]'")
    expect(chosen).to_have_text("No effect")
    expect(shown).to_have_text("Nothing is done: what is sent comes back as it is.")


def test_for_a_page_that_stays_tokens_come_from_its_own_server(visit: Visit, pages: Pages, tmp_path: Path) -> None:
    visitor = visit(permissions=["camera"])
    page = come(visitor, pages, f"pipeline={quote(PIPELINE)}")
    page.select_option("#by", "own")
    assert 'data-token-url="/aimass-token"' in page.locator("#script").inner_text()
    for kind in ("frame", "module"):
        assert "if (!answer.ok) throw new Error" in page.locator(f"#{kind}").inner_text()
    (tmp_path / "own.py").write_text(page.locator("#server").inner_text() + "\n\nprint(aimass_token())\n")
    done = subprocess.run([sys.executable, tmp_path / "own.py"], env=os.environ | {"AIMASS_API_KEY": KEY},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("act_"), done.stderr

    page.fill("#address", "localhost:9801")
    expect(page.locator("#listed")).to_contain_text("http:// or https://")
    page.fill("#address", f"{pages.origin}/help?me")
    expect(page.locator("#listed")).to_contain_text("is listed")
    page.fill("#address", "https://shop.example/help")
    expect(page.locator("#setting")).to_have_text(f"AIMASS_ORIGINS={pages.origin},https://shop.example aimass serve")

    page.click("#start")  # the preview has tokens of its own
    expect(page.locator("#state")).to_have_text("Live", timeout=SECONDS)
    page.click("#stop")
    expect(page.locator("#state")).to_have_text("", timeout=SECONDS)


def test_a_link_brings_no_markup_along(visit: Visit, pages: Pages) -> None:
    visitor = visit()
    page = come(visitor, pages, "pipeline=" + quote('[{"stage": "</script><b id=\'bad\'>&amp;"}]'))
    page.select_option("#by", "own")
    written = {kind: page.locator(f"#{kind}").inner_text() for kind in OPENING}
    for kind, text in written.items():
        (pages.folder / f"marked-{kind}.html").write_text(f"<!doctype html><title>{kind}</title>{text}")
        other = visitor.context.new_page()
        other.goto(f"{pages.origin}/marked-{kind}.html", wait_until="commit")
        other.wait_for_load_state("domcontentloaded")
        assert other.locator("#bad").count() == 0, kind
        other.close()
    assert "'</script>" not in written["module"]
    assert not page.locator("#unread").is_visible()
    page.evaluate("location.hash = '#pipeline=nonsense'")
    expect(page.locator("#unread")).to_contain_text("can't be read")


def test_a_module_says_what_is_wrong_and_asks_for_a_screen_at_a_click(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    page = come(visitor, pages, f"pipeline={quote(PIPELINE)}&sync=lips")
    page.select_option("#by", "own")
    for source in ("camera", "screen"):
        page.select_option("#source", source)
        written = page.locator("#module").inner_text()
        assert 'sync: "lips"' in written
        # a file of its own each: of one that is changed within a second the browser keeps what was there before
        (pages.folder / f"{source}.html").write_text(f"<!doctype html><title>{source}</title>{written}")
        other = visitor.context.new_page()
        if source == "screen":
            other.add_init_script(SHARED)
        other.goto(f"{pages.origin}/{source}.html")
        if source == "screen":
            other.get_by_role("button", name="Start").click()
        expect(other.get_by_role("status")).to_contain_text("/aimass-token answers 404, and no token.", timeout=SECONDS)
        other.close()
    visitor.complaints.clear()  # Chromium logs each request that found nothing


def test_in_chinese_on_a_phone_for_who_has_no_key(visit: Visit, pages: Pages) -> None:
    visitor = visit(viewport=PHONE, color_scheme="dark", locale="zh-CN")
    page = visitor.page
    page.goto(f"{pages.server}/embed-code#pipeline={quote(PIPELINE)}")
    expect(page.locator("h1")).to_have_text("嵌入")
    assert not faults(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    boxes = [page.locator(part).bounding_box() for part in ("#set", "#frame")]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] < boxes[1]["y"]
    page.click("#mint")
    expect(page.locator("#trouble")).to_contain_text("请在上方输入 API 密钥", timeout=SECONDS)
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#element")).to_contain_text("act_", timeout=SECONDS)
    expect(page.locator("#trouble")).to_be_hidden()
    page.click("#sign-in")
    page.wait_for_url("**/sign-in?next=%2Fembed-code%23pipeline**", timeout=SECONDS)


def test_the_front_page_and_apps_lead_there(visit: Visit, server: str) -> None:
    visitor = visit(permissions=["camera"])
    page = visitor.open(f"{server}/#pipeline={quote(PIPELINE)}")
    page.click("#embed-link")
    expect(page.locator("#what")).to_have_text(PIPELINE, timeout=SECONDS)
    assert page.locator("#by").input_value() == "nothing"
    assert "token" not in page.locator("#frame").inner_text()
    made = httpx.post(f"{server}/v1/apps", json={"slug": "seen-and-heard", "manifest": MANIFEST})
    app = made.raise_for_status().json()
    page.goto(f"{server}/apps/{app['app_id']}")
    page.click("text=In a page of your own")
    expect(page.locator("#what")).to_have_text(f"{app['app_id']}@1", timeout=SECONDS)
    assert page.locator("#source").input_value() == "camera microphone"
    httpx.delete(f"{server}/v1/apps/{app['app_id']}")
