"""What the page says and does when something is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Playwright, Route

from ..support.browser import INSECURE, Visitor, launch
from ..support.options import settings
from ..support.server import serve
from .conftest import KEY, Visit, serving
from .test_pipeline import link, session

pytestmark = pytest.mark.browser


def notice(visitor: Visitor, reason: str) -> str:
    """The words over the picture, once they are about this."""
    visitor.page.wait_for_selector(f"#notice[data-reason={reason}]")
    return visitor.page.locator("#notice").inner_text()


def test_permission_denied(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(server)
    page.get_by_role("radio", name="Camera").click()
    assert "Permission was not given" in notice(visitor, "permission-denied")
    assert page.get_by_role("radio", name="Clip").get_attribute("aria-checked") == "true"
    page.locator("#notice").get_by_role("button", name="Close").click()
    assert page.locator("#notice").is_hidden()


def test_what_the_server_does_not_have_is_said(visit: Visit, server: str) -> None:
    visitor = visit()
    visitor.page.route("**/v1/webrtc/offer", lambda route: route.fulfill(
        status=404, json={"title": "Not found", "status": 404, "detail": "there is no voice 'x'", "field": "pipeline"}))
    visitor.open(server, picture=False)
    assert "There is no voice 'x'." in notice(visitor, "not-found")
    visitor.complaints.clear()  # Chromium logs the refused request


def test_no_camera(playwright: Playwright, server: str, tmp_path: Path) -> None:
    browser = launch(playwright, tmp_path, devices=False)
    visitor = Visitor(browser, permissions=["camera", "microphone"])
    visitor.open(server)
    visitor.page.get_by_role("radio", name="Camera").click()
    assert "was found" in notice(visitor, "no-device")
    assert not visitor.complaints
    browser.close()


def test_key_is_asked_for_and_a_full_server_is_waited_for(visit: Visit, guarded: str) -> None:
    first = visit()
    page = first.open(guarded, picture=False)
    dialog = page.locator("#key-dialog")
    dialog.wait_for()
    assert "or sign in" in dialog.inner_text()
    assert page.locator("#build-key").inner_text() == "this server asks for one"
    assert dialog.evaluate("(sheet) => sheet.scrollWidth <= sheet.clientWidth && sheet.scrollLeft === 0")
    page.locator("#key-input").fill("not the key")
    page.keyboard.press("Enter")
    page.get_by_text("That key is not the right one").wait_for()
    page.locator("#key-input").fill(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector(".monitor.has-picture")
    assert page.evaluate("sessionStorage.getItem('aimass.key')") == KEY
    assert "Authorization: Bearer $AIMASS_API_KEY" in page.locator("#code code").inner_text()
    assert KEY not in page.content()
    second = visit()
    second.context.add_init_script(f"sessionStorage.setItem('aimass.key', {KEY!r})")
    second.open(guarded, picture=False)
    assert "busy" in notice(second, "busy")
    second.until("/next try in \\d+ s/.test(document.querySelector('#status').textContent)")
    first.page.close()  # its session ends with it
    second.page.locator("#notice").get_by_role("button", name="Try now").click()
    second.page.wait_for_selector(".monitor.has-picture")
    owner = {"Authorization": f"Bearer {KEY}"}
    (running,) = httpx.get(f"{guarded}/v1/sessions", headers=owner).json()["sessions"]
    httpx.delete(f"{guarded}/v1/sessions/{running['id']}", headers=owner).raise_for_status()
    assert "Ended by request." in notice(second, "closed")
    second.page.locator("#notice").get_by_role("button", name="Connect again").click()
    second.page.wait_for_selector(".monitor.has-picture")
    for visitor in (first, second):  # Chromium logs each 401 and 429
        visitor.complaints[:] = [text for text in visitor.complaints if not re.search("status of 4(01|29)", text)]


def test_insecure_origin(visit: Visit, guarded: str) -> None:
    visitor = visit()
    visitor.context.add_init_script(f"sessionStorage.setItem('aimass.key', {KEY!r})")
    page = visitor.open(guarded.replace("127.0.0.1", INSECURE))
    page.get_by_role("radio", name="Camera").click()
    assert "--tls self" in notice(visitor, "insecure-origin")


def way(visitor: Visitor) -> str:
    """By what the page says that it is connected."""
    return visitor.page.locator("#transport-select option:checked").inner_text()


def test_no_udp(visit: Visit, server: str) -> None:
    """The answer's candidates are taken away, as a firewall would take the packets."""
    visitor = visit()
    page = visitor.page

    def unreachable(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["sdp"] = re.sub(r"a=candidate:.*\r\n", "", body["sdp"])
        route.fulfill(response=answer, json=body)

    page.route("**/v1/webrtc/offer", unreachable)
    page.clock.install()
    visitor.open(server, picture=False)
    page.wait_for_selector("#code code:has-text('s_')")
    page.mouse.click(5, 5)  # browsers play no sound before somebody touches the page, and say so
    page.clock.fast_forward(4_500)
    page.wait_for_selector(".monitor.has-picture")
    assert way(visitor) == "Websocket, automatic"
    visitor.until("/^\\d+×\\d+/.test(document.querySelector('[data-tile=picture]').textContent)")
    before = session(visitor)
    with page.expect_response("**/v1/webrtc/offer"):
        page.get_by_label("Connected by").select_option("WebRTC")
    page.clock.fast_forward(9_000)
    assert "UDP" in notice(visitor, "media-blocked")
    page.unroute("**/v1/webrtc/offer")
    page.clock.fast_forward(4_000)
    page.wait_for_selector(".monitor.has-picture")
    assert page.locator("#notice").is_hidden()
    assert session(visitor) == before
    visitor.open(server)
    assert way(visitor) == "WebRTC"  # it is remembered


def test_cut_connection_comes_back_to_the_same_session(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(link(server, [{"stage": "gray"}]))
    before = session(visitor)
    page.evaluate("peers.at(-1).close()")
    visitor.until("peers.length === 2")
    page.wait_for_selector(".monitor.has-picture")
    assert session(visitor) == before
    assert httpx.get(f"{server}/v1/sessions/{before}").json()["state"] == "live"


def test_server_goes_and_comes_back(visit: Visit) -> None:
    visitor = visit(permissions=["microphone"])
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings())) as running):
        url = running.url
        page = visitor.open(link(url, [{"stage": "gray"}]))
        before = session(visitor)
        port = url.rsplit(":", 1)[1]
        page.get_by_role("button", name="Talk to it").click()
        visitor.until("document.querySelector('#talk-state').textContent === 'Listening'")
        visitor.until("document.querySelector('[data-tile=server]').textContent !== '–'")
        portal.start_task_soon(running.node.drain, 1)
        visitor.until("document.querySelector('.toast')?.textContent === 'The server is stopping, 1 s left'")
    assert "does not answer" in notice(visitor, "server-gone")
    assert page.locator("#talk-state").inner_text() == "Waiting for the server"
    assert page.locator("[data-tile=server]").inner_text() == "–"
    page.get_by_role("button", name="End the conversation").click()
    with serving(port=int(port)) as url:
        visitor.page.locator("#notice").get_by_role("button", name="Try now").click()
        visitor.page.wait_for_selector(".monitor.has-picture")
        assert visitor.page.locator("#notice").is_hidden()
        assert session(visitor) != before
        assert visitor.page.locator(".stage[data-stage=gray]").is_visible()
        visitor.close()
    visitor.complaints.clear()  # Chromium logs every request that found nobody


def test_no_webrtc(visit: Visit, server: str) -> None:
    visitor = visit()
    visitor.context.add_init_script("delete window.RTCPeerConnection;"
                                    "localStorage.setItem('aimass.transport', 'webrtc')")
    visitor.open(server, picture=False)
    assert "no WebRTC" in notice(visitor, "no-webrtc")
    visitor.page.get_by_role("button", name="Use any transport").click()
    visitor.page.wait_for_selector(".monitor.has-picture")
    assert way(visitor) == "Websocket, automatic"


SENTENCES = {
    "colours@2 is in use: by the alias production": "colours@2 is in use: by the alias production.",
    "colours is in use: by the alias production": "colours is in use: by the alias production.",
    "colours has no version 'beta'": "colours has no version 'beta'.",
    "half.png is cut off": "half.png is cut off.",
    "the password is wrong": "The password is wrong.",
    "an address is name@host": "An address is name@host.",
}


def test_a_sentence_begins_large_unless_with_a_name(visit: Visit, server: str) -> None:
    page = visit().page
    page.goto(f"{server}/docs")
    assert page.evaluate("""async (all) => {
      const { sentence } = await import("/web/sdk/errors.js");
      return all.map(sentence);
    }""", list(SENTENCES)) == list(SENTENCES.values())
