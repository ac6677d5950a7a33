"""The page /embed within pages of other origins: what its parent says is done, and nobody else is heard."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Frame

from aimass_stream.settings import EXTENSION

from ..support.accounts import PASSWORD
from ..support.axe import faults
from ..support.browser import Visitor
from ..support.folder import serving_folder
from .conftest import KEY, Visit, serving
from .test_adapters import EXAMPLES, SERVER, Pages, sessions
from .test_sdk import until_mirrored

pytestmark = pytest.mark.browser

MANIFEST = {"name": "Turned", "summary": "Grey", "description": "", "pipeline": [{"stage": "gray"}],
            "permissions": ["camera", "microphone"]}
PATHS = ("/", "/paint", "/docs", "/models", "/apps", "/sign-in", "/usage", "/embed-code", "/nothing-here")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """An origin that may hold the frame; the same folder is served at `localhost`, which may not."""
    folder = tmp_path_factory.mktemp("pages")
    with serving_folder(folder) as origin, serving(origins=[origin, EXTENSION]) as server:
        yield Pages(folder, origin, server)


def inside(visitor: Visitor) -> Visitor:
    """The same visitor, who looks into the frame."""
    within = copy.copy(visitor)
    [within.page] = [frame for frame in visitor.page.frames if "/embed" in frame.url]  # type: ignore[assignment]
    return within


def show(within: Visitor) -> None:
    within.page.evaluate("""() => {
      const video = document.createElement("video");
      Object.assign(video, { className: "processed", muted: true, autoplay: true });
      Object.assign(video.style, { position: "fixed", inset: 0, width: "100%" }); // what is not in sight does not play
      video.srcObject = document.querySelector("aimass-stream").stream;
      document.body.append(video);
    }""")


def test_the_example_does_as_its_buttons_say(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.open(pages.write("frame.html"), picture=False)
    page.evaluate("""() => {
      window.told = [];
      for (const name of ["status", "event", "error"]) {
        frame.addEventListener(name, ({ detail }) => told.push([name, detail]));
      }
      window.caught = (promise) => promise.then(() => null, ({ reason, message, field }) => [reason, message, field]);
    }""")
    page.get_by_role("button", name="Start").click()
    visitor.until("frame.state === 'live'")
    within = inside(visitor)
    assert not within.page.get_by_role("button").first.is_visible()
    show(within)
    until_mirrored(within, True)
    page.get_by_role("button", name="Grey").click()
    visitor.until("told.some(([name, event]) => name === 'event' && event.type === 'session.updated')")
    for _ in range(300):
        picture = within.look("processed", (64, 36)).astype(int)
        if (picture.max(axis=2) - picture.min(axis=2)).mean() < 4:
            break
        page.wait_for_timeout(30)
    assert (picture.max(axis=2) - picture.min(axis=2)).mean() < 4
    reason, message, _ = page.evaluate("caught(frame.update([{ stage: 'nothing' }]))")
    assert (reason, "nothing" in message) == ("invalid", True)
    assert page.evaluate("caught(frame.say('hello'))") is None
    page.get_by_role("button", name="Stop").click()
    sessions(visitor, pages.server, 0)
    assert page.evaluate("caught(frame.say('hello'))") == ["closed", "It was closed.", None]
    refused = page.evaluate("caught(frame.start({ pipeline: [{ stage: 'nothing' }] }))")
    assert (refused[0], "nothing" in refused[1]) == ("invalid", True)
    assert page.evaluate("told.filter(([name]) => name === 'error').length") == 0  # each was told to who asked
    states = page.evaluate("told.filter(([name]) => name === 'status').map(([, state]) => state)")
    assert all(before != after for before, after in itertools.pairwise(states)), states
    app = httpx.post(f"{pages.server}/v1/apps", json={"slug": "turned", "manifest": MANIFEST}).json()["app_id"]
    page.evaluate("(app) => frame.start({ app: `${app}@1`, source: 'camera microphone', sound: true })", app)
    [session] = httpx.get(f"{pages.server}/v1/sessions").json()["sessions"]
    assert [each["stage"] for each in session["pipeline"]] == ["gray"]
    assert within.page.evaluate("""() => {
      const { stream, shadowRoot } = document.querySelector("aimass-stream");
      return [stream.getTracks().length, shadowRoot.querySelector("video").muted];
    }""") == [2, False]
    page.evaluate("frame.stop()")
    page.evaluate("frame.close()")
    visitor.complaints.clear()  # Chromium logs each request that was refused


WRITTEN = """<!doctype html><title>A page</title><body><script>
  window.heard = [];
  addEventListener("message", ({ origin, data }) => heard.push([origin, data]));
  window.tell = (message) => frames[0].postMessage(message, "*");
</script>"""
HELLO = json.dumps({"aimass": 1, "type": "hello"})


def written(visitor: Visitor, pages: Pages, rest: str) -> Frame:
    """A page that speaks to its frame by itself; answers the frame."""
    frame = f'<iframe title="camera" allow="camera" src="{pages.server}/embed"></iframe>'
    (pages.folder / "written.html").write_text(WRITTEN + frame + rest)
    visitor.open(f"{pages.origin}/written.html", picture=False)
    return next(frame for frame in visitor.page.frames if "/embed" in frame.url)


def heard(visitor: Visitor, count: int) -> list[Any]:
    visitor.until(f"heard.length >= {count}")
    return [json.loads(data) for _, data in visitor.page.evaluate("heard")]


def test_what_cannot_be_read_is_answered_with_what_is_wrong(visit: Visit, pages: Pages) -> None:
    visitor = visit()
    written(visitor, pages, "")
    said: list[tuple[Any, str | None]] = [
        ({"aimass": 1, "type": "hello"}, None), ("{", None), ("x" * ((1 << 20) + 1), None), ("[1]", None),
        ("null", None),
        ('{"aimass": 2, "type": "stop"}', "aimass"), ('{"aimass": 1, "type": "toString"}', "type"),
        ('{"aimass": 1}', "type"), ('{"aimass": 1, "type": "say"}', "text"),
        ('{"aimass": 1, "type": "say", "text": 3, "id": 7}', "text"),
        ('{"aimass": 1, "type": "start", "pipeline": "mirror"}', "pipeline"),
        ('{"aimass": 1, "type": "start", "pipeline": [null]}', "pipeline"),
        ('{"aimass": 1, "type": "start", "source": "cellar"}', "source"),
        ('{"aimass": 1, "type": "start", "__proto__": {}}', "__proto__"),
        ('{"aimass": 1, "type": "stop", "id": {}}', "id"), ('{"aimass": 1, "type": "token", "token": []}', "token")]
    visitor.page.evaluate("(said) => said.forEach(tell)", [message for message, _ in said])
    told = heard(visitor, len(said))
    assert [each["type"] for each in told] == ["error"] * len(said)
    assert [each["field"] for each in told] == [field for _, field in said]
    assert {each["reason"] for each in told} == {"invalid"}
    assert all(each["message"] and each["next"] and each["aimass"] == 1 for each in told)
    assert told[9]["id"] == 7
    assert told[0]["message"] == "A message is a JSON text."
    assert {origin for origin, _ in visitor.page.evaluate("heard")} == {pages.server}
    visitor.page.evaluate("tell", HELLO)
    assert heard(visitor, len(said) + 1)[-1]["type"] == "ready"  # as if nothing had been


HOSTILE = """<!doctype html><title>Hostile</title><script>
  window.heard = 0;
  addEventListener("message", () => heard++);
  const messages = ['{"aimass": 1, "type": "start"}', "{", {}, "x".repeat(1 << 21)];
  for (const message of messages) parent.frames[0].postMessage(message, "*");
</script>"""


def test_who_else_gets_hold_of_the_window_is_not_heard(visit: Visit, pages: Pages) -> None:
    """A frame of another origin within the page, and one of the page's own origin: neither is the parent."""
    (pages.folder / "hostile.html").write_text(HOSTILE)
    visitor = visit(permissions=["camera"])
    other = pages.origin.replace("127.0.0.1", "localhost")
    within = written(visitor, pages, "")
    visitor.page.evaluate("""(addresses) => Promise.all(addresses.map((address) => new Promise((loaded) => {
      const frame = document.createElement("iframe");
      Object.assign(frame, { src: address, onload: loaded });
      document.body.append(frame);
    })))""", [f"{other}/hostile.html", f"{pages.origin}/hostile.html"])
    visitor.page.evaluate("tell", HELLO)
    [ready] = heard(visitor, 1)
    assert (ready["type"], ready["state"], ready["ignored"]) == ("ready", "idle", 8)
    assert [frame.evaluate("heard") for frame in visitor.page.frames if "hostile" in frame.url] == [0, 0]
    assert within.evaluate("document.querySelector('aimass-stream').session") is None
    warned = [said for said in visitor.complaints if "was ignored" in said]
    assert len(warned) == 1
    assert "AIMASS_ORIGINS" in warned[0]
    visitor.complaints.clear()


def test_where_a_browser_shows_it_to_others_it_does_not_hear_them(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    visitor.page.route("**/embed", lambda route: route.fulfill(
        body=httpx.get(route.request.url).content, content_type="text/html"))  # as if there were no frame-ancestors
    written(visitor, pages, "")
    visitor.open(f"{pages.origin.replace('127.0.0.1', 'localhost')}/written.html", picture=False)
    within = next(frame for frame in visitor.page.frames if "/embed" in frame.url)
    within.evaluate("addEventListener('message', ({ data }) => { window.last = data; })")
    visitor.page.evaluate("['stop', 'start', 'hello'].forEach((type) => tell(JSON.stringify({ aimass: 1, type })))")
    visitor.page.evaluate("tell('last')")
    inside(visitor).until("last === 'last'")
    assert visitor.page.evaluate("heard.length") == 0
    assert within.get_by_role("button", name="Start").is_visible()
    assert any("was ignored" in said for said in visitor.complaints)
    visitor.complaints.clear()


def test_nobody_lends_it_their_rights(visit: Visit, pages: Pages) -> None:
    """A page of the same site, whose frame a browser sends the cookie of who is signed in at the server."""
    with serving(origins=[pages.origin], api_key=KEY) as server:
        owner = {"Authorization": f"Bearer {KEY}"}
        invited = httpx.post(f"{server}/v1/accounts", json={"name": "ada", "role": "user"}, headers=owner).json()
        visitor = visit(permissions=["camera"])
        accepted = visitor.context.request.post(f"{server}/v1/accounts/accept", data={
            "token": invited["token"], "password": PASSWORD})
        assert accepted.ok
        written(visitor, Pages(pages.folder, pages.origin, server), "")
        visitor.page.evaluate("tell", HELLO)
        visitor.page.evaluate("tell", '{"aimass": 1, "type": "start", "id": 1}')
        visitor.until("heard.some(([, data]) => JSON.parse(data).id === 1)")
        [answer] = [each for each in heard(visitor, 1) if each.get("id") == 1]
        assert (answer["type"], answer["reason"], answer["next"]) == (
            "error", "unauthorized", "Send the frame a connect token.")
        assert httpx.get(f"{server}/v1/sessions", headers=owner).json()["sessions"] == []


def test_no_more_than_so_many_requests_wait(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    written(visitor, pages, "")
    visitor.page.evaluate("""() => {
      for (let id = 0; id < 40; id++) tell(JSON.stringify({ aimass: 1, type: "start", id }));
    }""")
    visitor.until("new Set(heard.map(([, data]) => JSON.parse(data).id)).size === 41")  # and those that answer none
    told = {each["id"]: each for each in heard(visitor, 41) if "id" in each}
    reasons = [told[number].get("reason") for number in range(40)]
    assert reasons.count("busy") == 8
    assert reasons[31] is None  # the last one that was taken on
    visitor.page.goto("about:blank")


def test_only_listed_origins_may_hold_it_and_no_other_page_at_all(visit: Visit, pages: Pages) -> None:
    policy = httpx.get(f"{pages.server}/embed").headers["content-security-policy"]
    assert f"frame-ancestors 'self' {pages.origin};" in policy
    assert "chrome-extension" not in policy  # which has no page to show it in
    for path in PATHS:
        answer = httpx.get(f"{pages.server}{path}", headers={"Accept": "text/html"})
        assert "frame-ancestors 'self';" in answer.headers["content-security-policy"], path
    visitor = visit()
    visitor.open(f"{pages.server}/embed", picture=False)  # by itself it is a page like any other
    assert not faults(visitor.page)
    other = pages.origin.replace("127.0.0.1", "localhost")
    address = pages.write("frame.html").replace(pages.origin, other)
    visitor.page.clock.install()
    page = visitor.open(address, picture=False)
    assert not [frame for frame in page.frames if "/embed" in frame.url and frame.locator("aimass-stream").count()]
    page.get_by_role("button", name="Start").click()
    page.clock.run_for(11_000)
    visitor.until("document.querySelector('p[role=status]').textContent.includes('AIMASS_ORIGINS')")
    assert other in page.get_by_role("status").inner_text()
    visitor.complaints.clear()  # Chromium says what it did not show


def test_who_found_no_frame_finds_one_that_is_loaded_later(visit: Visit, pages: Pages) -> None:
    visitor = visit()
    page = visitor.page
    page.clock.install()
    page.route("**/embed", lambda route: route.abort())
    visitor.open(pages.write("frame.html"), picture=False)
    asked = "frame.stop().then(() => 'done', ({ reason }) => reason)"
    page.evaluate(f"void (window.first = {asked})")
    page.clock.fast_forward(11_000)
    assert page.evaluate("first") == "no-answer"
    page.unroute("**/embed")
    assert page.evaluate(f"""() => new Promise((loaded) => {{
      const held = document.querySelector("iframe");
      Object.assign(held, {{ onload: loaded, src: held.src.replace("#", "?again#") }});
    }}).then(() => {asked})""") == "done"
    visitor.complaints.clear()  # Chromium logs what was not loaded


def test_tokens_come_by_messages_or_behind_the_hash(visit: Visit, pages: Pages) -> None:
    with serving(origins=[pages.origin], api_key=KEY) as server:
        made: list[str] = []

        def mint() -> str:
            answer = httpx.post(f"{server}/v1/connect-tokens", headers={"Authorization": f"Bearer {KEY}"})
            made.append(answer.json()["token"])
            return made[-1]

        text = (EXAMPLES / "frame.html").read_text().replace(SERVER, server)
        asking = text.replace('querySelector("iframe"))', 'querySelector("iframe"), { token: () => mint() })')
        assert asking != text
        (pages.folder / "asking.html").write_text(asking)
        visitor = visit(permissions=["camera"])
        asked: list[str] = []
        visitor.page.on("request", lambda request: asked.append(request.url))
        visitor.page.expose_function("mint", mint)
        page = visitor.open(f"{pages.origin}/asking.html", picture=False)
        for _ in range(2):  # one token is for one session
            page.get_by_role("button", name="Start").click()
            visitor.until("frame.state === 'live'")
            page.get_by_role("button", name="Stop").click()
            visitor.until("frame.state === 'idle'")
        assert len(made) >= 2

        (pages.folder / "plain.html").write_text(
            f'<iframe title="camera" allow="camera" src="{server}/embed#pipeline=%5B%7B%22stage%22%3A%22mirror%22%7D%5D'
            f'&token={mint()}"></iframe>')
        visitor.open(f"{pages.origin}/plain.html", picture=False)
        frame = next(frame for frame in page.frames if "/embed" in frame.url)
        frame.get_by_role("button", name="Start").click()
        within = inside(visitor)
        within.until("document.querySelector('aimass-stream').session?.pipeline[0].stage === 'mirror'")
        assert "token" not in frame.evaluate("location.href")
        assert not [url for url in asked if "token=" in url.partition("#")[0]]
        frame.get_by_role("button", name="Stop").click()
        frame.get_by_role("button", name="Start").click()
        within.until("document.querySelector('aimass-stream').shadowRoot.textContent.includes('token')")
        visitor.complaints.clear()  # Chromium logs each request that was refused


def test_a_frame_says_what_is_not_handed_on_to_it(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    written(visitor, pages, "")
    visitor.page.evaluate("tell", HELLO)
    visitor.page.evaluate("tell", '{"aimass": 1, "type": "start", "source": "microphone", "id": 1}')
    visitor.until("heard.some(([, data]) => JSON.parse(data).id === 1)")
    [answer] = [each for each in heard(visitor, 1) if each.get("id") == 1]
    assert (answer["type"], answer["reason"]) == ("error", "permission-denied")
    assert 'allow="camera; microphone;' in answer["next"]
