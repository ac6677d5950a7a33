"""The browser extension in a real Chromium, on a page that knows nothing of it and may connect to nobody."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Playwright, Worker

from aimass_stream import __version__
from aimass_stream.api.extension import pack
from aimass_stream.api.pages import ROOT
from aimass_stream.settings import EXTENSION, Settings

from ..support.axe import faults
from ..support.browser import SHARED_TAB, Visitor, launch_extended
from ..support.folder import serving_folder
from ..support.popup import Popup
from .conftest import KEY, serving
from .test_adapters import EXAMPLES, watch
from .test_sdk import until_mirrored

pytestmark = pytest.mark.browser

SOURCE = ROOT / "extension"
TUTORIAL = ROOT.parent / "docs" / "tutorials" / "a-processed-camera-on-any-site.md"
LINE = re.compile(r"<!-- This line.*?</script>\n", re.DOTALL)  # all that the example has of us
# what a strict page has: it may run its own scripts, and connect to nobody
POLICY = ("default-src 'none'; script-src 'nonce-own' 'strict-dynamic'; media-src blob:; connect-src 'none'; "
          "require-trusted-types-for 'script'; trusted-types 'none'")
NOBODY = "http://127.0.0.1:9"
TYPED = {  # and what is meant
    "stream.example.org": "https://stream.example.org/", " localhost:8000 ": "http://localhost:8000/",
    "192.168.1.5:8000/": "http://192.168.1.5:8000/", "[::1]:8000": "http://[::1]:8000/",
    "HTTPS://10.0.0.1": "https://10.0.0.1/", "http://example.org/aimass": "http://example.org/aimass",
    "": None, "two words": None, "ftp://localhost": None}
GONE = "No connection to this server can be made. Check its address, that it runs, and that this device is online."
REFUSAL = "navigator.mediaDevices.getUserMedia({ video: true }).then(() => '', ({ name }) => name)"
LEFT_ALONE = """async () => {
  const opened = [await navigator.mediaDevices.getDisplayMedia({ video: true }),
    await navigator.mediaDevices.getUserMedia({ audio: true })];
  for (const track of opened.flatMap((stream) => stream.getTracks())) track.stop();
}"""
OPEN = "chrome.storage.session.get(null).then((kept) => Object.keys(kept).filter((key) => key.startsWith('open')))"
REFUSAL_IN_A_FRAME = """new Promise((told) => {
  const { contentWindow } = document.body.appendChild(document.createElement("iframe"));
  contentWindow.navigator.webkitGetUserMedia({ video: true }, () => told(""), ({ name }) => told(name));
})"""


def sessions(server: str) -> list[str]:
    """The first stage of each."""
    answer = httpx.get(f"{server}/v1/sessions", headers={"Authorization": f"Bearer {KEY}"})
    return [session["pipeline"][0]["stage"] for session in answer.json()["sessions"]]


def until_sessions(visitor: Visitor, server: str, wanted: list[str]) -> None:
    for _ in range(200):
        if sessions(server) == wanted:
            return
        visitor.page.wait_for_timeout(50)
    assert sessions(server) == wanted


@pytest.fixture(scope="module")
def keyed() -> Iterator[str]:
    with serving(api_key=KEY, builtin_apps=True) as url:
        yield url


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the example's page without its line, under a strict policy."""
    folder = tmp_path_factory.mktemp("plain")
    text, count = LINE.subn("", (EXAMPLES / "media-devices.html").read_text())
    assert count == 1
    text = text.replace('<meta charset="utf-8">',
                        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">')
    (folder / "call.html").write_text(text.replace("<script>", '<script nonce="own">'))
    with serving_folder(folder) as origin:
        yield f"{origin}/call.html"


@pytest.fixture(scope="module")
def extended(playwright: Playwright, keyed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A page in a browser that has the served extension. Nobody can press the browser's own question for a permission
    here, so that the two hosts are permitted by its manifest."""
    folder = tmp_path_factory.mktemp("extended")
    made = folder / "extension"
    zipfile.ZipFile(io.BytesIO(httpx.get(f"{keyed}/adapters/extension.zip").content)).extractall(made)
    manifest = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps(manifest | {"host_permissions": ["http://127.0.0.1/*"]}))
    context = launch_extended(playwright, folder, made)
    yield Visitor(context)
    context.close()


@pytest.fixture(scope="module")
def worker(extended: Visitor) -> Worker:
    workers = extended.context.service_workers
    return workers[0] if workers else extended.context.wait_for_event("serviceworker")


def test_what_is_served_is_the_extension_whole(keyed: str) -> None:
    answer = httpx.get(f"{keyed}/adapters/extension.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="aimass-stream-extension.zip"'
    assert answer.content == pack()
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = set(archive.namelist())
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["version"] == __version__
    assert manifest["permissions"] == ["activeTab", "scripting", "storage"]
    assert "host_permissions" not in manifest
    worker = manifest["background"]["service_worker"]
    assert {worker, manifest["action"]["default_popup"], *manifest["icons"].values()} <= names
    for name in (name for name in names if name.endswith(".js")):
        code = re.sub(r"/\*.*?\*/", "", archive.read(name).decode(), flags=re.DOTALL)
        for needed in re.findall(r"""(?:from |import\()"(\.[^"]+)\"""", code):
            assert (Path("/", name).parent / needed).resolve().relative_to("/").as_posix() in names


def test_servers_know_the_extension_by_its_key() -> None:
    key = base64.b64decode(json.loads((SOURCE / "manifest.json").read_text())["key"])
    letters = "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(key).hexdigest()[:32])
    assert f"chrome-extension://{letters}" == EXTENSION
    assert Settings().allows_origin(EXTENSION, "127.0.0.1:8000")
    assert not Settings().allows_origin(EXTENSION[:-1] + "a", "127.0.0.1:8000")


def test_it_has_its_words_in_both_languages() -> None:
    english, chinese = (json.loads((SOURCE / "_locales" / language / "messages.json").read_text())
                        for language in ("en", "zh_CN"))
    assert english.keys() == chinese.keys()
    html, code = (SOURCE / "popup.html").read_text(), (SOURCE / "popup.js").read_text()
    said = set(re.findall(r'data-say="(\w+)"', html)) | set(re.findall(r'say\("(\w+)"', code))
    choices = (ROOT / "js" / "choices.js").read_text()
    presets = set(re.findall(r"^  (\w+): \[", choices, re.MULTILINE))
    groups = set(re.findall(r'say\("(\w+)"', choices))
    states = {"connecting", "live", "reconnecting", "failed"}
    assert english.keys() == said | presets | groups | states | {"name", "description"}
    for word, entry in english.items():
        assert re.findall(r"\$\w+\$", entry["message"]) == re.findall(r"\$\w+\$", chinese[word]["message"])


def test_the_popup_is_for_everybody(extended: Visitor, worker: Worker) -> None:
    page = extended.context.new_page()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{EXTENSION}/extension/popup.html")
        page.wait_for_function("document.querySelector('#site').textContent")
        assert page.locator("#site").text_content() == "Browsers let no extension into this page."
        assert not faults(page)
    addresses = page.evaluate("""async (typed) => {
      const { addressOf } = await import("./address.js");
      return typed.map((each) => addressOf(each)?.href ?? null);
    }""", list(TYPED))
    assert dict(zip(TYPED, addresses, strict=True)) == TYPED
    page.close()


def test_a_page_that_knows_nothing_of_it_sends_what_is_processed(
    extended: Visitor, worker: Worker, plain: str, keyed: str,
) -> None:
    visitor, page = extended, extended.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def camera(mirrored: bool) -> None:
        visitor.open(plain, picture=False)
        watch(visitor)
        page.get_by_role("button", name="Camera").click()
        until_mirrored(visitor, mirrored)

    camera(False)
    native = "MediaDevices.prototype.getUserMedia.toString().includes('[native code]')"
    assert page.evaluate(native)

    with Popup(visitor.context, worker, page) as popup:
        assert popup.run("document.querySelector('#on').disabled")
        assert popup.run("document.querySelector('h1').nextElementSibling.id") == "server"  # nothing works without
        assert popup.run("document.querySelector('#choice').innerText") == "Connect to the server first"
        for typed in ("", "ftp://127.0.0.1", "http://"):
            popup.run(f"url.value = '{typed}'; document.querySelector('#trouble').textContent = ''")
            popup.click("#server button")
            popup.says("#trouble", "This is no address of a server.")
        popup.run(f"url.value = '{NOBODY.removeprefix('http://')}'")
        popup.click("#server button")
        popup.says("#trouble", GONE)
        assert popup.run("url.value") == f"{NOBODY}/"
        assert popup.run("document.querySelector('#trouble').getBoundingClientRect().bottom < innerHeight + 1")
        popup.click("#on")
        popup.until("!document.querySelector('#reload').hidden")
    camera(False)
    assert not page.evaluate(native)
    assert any("Camera and microphone stay as they are." in said for said in visitor.complaints)
    with Popup(visitor.context, worker, page) as popup:
        popup.says("#states", f"There is no processed picture. {GONE}")
        popup.click("#strict")
        assert page.evaluate(REFUSAL) == "NotReadableError"
        assert page.evaluate(REFUSAL_IN_A_FRAME) == "NotReadableError"
        popup.click("#strict")
        popup.run(f"url.value = '{keyed}'")
        popup.click("#server button")
        popup.says("#trouble", "This server needs an API key: enter it under Server.")
        popup.run("token.value = 'no key of this server'")
        popup.click("#server button")
        popup.says("#trouble", "The key or token is wrong.")
        popup.until("document.querySelector('#trouble').getBoundingClientRect().bottom < innerHeight + 1")
        popup.run(f"token.value = '{KEY}'")
        popup.click("#server button")
        popup.says("#connected", "Connected to version")
        offered = popup.run("[...document.querySelectorAll('option')].map(({ value }) => value)")
        grouped = popup.run("[...document.querySelectorAll('optgroup')].map(({ label }) => label)")
    assert offered[:1] + offered[-1:] == ["mirror", "json"]
    assert "cartoon" in offered
    assert grouped == ["Effects", "Apps"]
    camera(True)
    assert sessions(keyed) == ["mirror"]
    shared = visitor.context.new_page()
    shared.set_content(f"<title>{SHARED_TAB}</title><marquee>moving words</marquee>")
    page.bring_to_front()
    page.evaluate(LEFT_ALONE)
    assert sessions(keyed) == ["mirror"]
    with Popup(visitor.context, worker, page) as popup:
        popup.says("#states", "The processed picture is in use.")
        popup.click("#screens")
    page.evaluate(LEFT_ALONE)
    assert sessions(keyed) == ["mirror", "mirror"]
    shared.close()
    until_sessions(visitor, keyed, ["mirror"])
    assert page.evaluate("[typeof aimassHost, typeof chrome?.storage]") == ["undefined", "undefined"]
    assert not [url for url in asked if url.startswith(keyed)], "the page itself has asked the server"

    with Popup(visitor.context, worker, page) as popup:
        popup.says("#states", "The processed picture is in use.")
        popup.says("#connected", "Connected to version")
        popup.fill("#choice", "json")
        popup.fill("#json", '[{"stage": "nothing"}]')
        popup.click("#own button")
        popup.until("document.querySelector('#refused').textContent.includes('nothing')")
        until_mirrored(visitor, True)  # what ran goes on
        popup.fill("#json", '[{"stage": ')
        popup.click("#own button")
        popup.until("document.querySelector('#refused').textContent.includes('JSON')")
        popup.fill("#choice", "cartoon")
        until_sessions(visitor, keyed, ["cartoon"])
    page.goto("about:blank")
    until_sessions(visitor, keyed, [])
    camera(False)
    until_sessions(visitor, keyed, ["cartoon"])
    with Popup(visitor.context, worker, page) as popup:
        popup.until("document.querySelector('#choice').value === 'cartoon'")
        popup.click("#on")
        popup.until("!document.querySelector('#reload').hidden")
        with page.expect_event("load"):
            popup.click("#reload button")
    assert page.evaluate(native)
    camera(False)
    until_sessions(visitor, keyed, [])


def test_what_a_crashed_page_had_open_is_forgotten(extended: Visitor, worker: Worker, plain: str, keyed: str) -> None:
    page = extended.context.new_page()
    page.goto(plain)
    with Popup(extended.context, worker, page) as popup:
        popup.run(f"url.value = '{keyed}'; token.value = '{KEY}'")
        popup.click("#server button")
        popup.says("#connected", "Connected to version")
        popup.click("#on")
        popup.until("!document.querySelector('#reload').hidden")
    page.reload()
    page.evaluate("navigator.mediaDevices.getUserMedia({ video: true }).then(() => null)")
    [key] = worker.evaluate(OPEN)
    with page.expect_event("crash"), pytest.raises(PlaywrightError):
        page.goto("chrome://crash")
    page.close()
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.delete(f"{keyed}/v1/sessions/{key.split()[2]}", headers=headers).status_code == 204
    assert worker.evaluate(OPEN) == [key]
    with Popup(extended.context, worker, extended.page) as popup:
        popup.until("!document.querySelector('#choice').disabled")
        popup.fill("#choice", "mirror")
        popup.until("chrome.storage.session.get(null).then((kept) => !Object.keys(kept).length)")


def test_the_tutorial_says_what_is_there(keyed: str) -> None:
    tutorial = TUTORIAL.read_text()
    said = {" ".join(label.split()).rstrip(" .") for label in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", tutorial)}
    words = json.loads((SOURCE / "_locales" / "en" / "messages.json").read_text()).values()
    there = {re.sub(r"( \$\w+\$)?\.?$", "", entry["message"]) for entry in words}
    assert said - there == {"Developer mode", "Load unpacked", "on"}  # the browser's, and the badge
    pipeline = json.loads(re.findall(r"`(\[\{.*?\}\])`", tutorial, re.DOTALL)[0])
    stages = httpx.get(f"{keyed}/v1/stages", headers={"Authorization": f"Bearer {KEY}"}).json()["stages"]
    assert {spec["stage"] for spec in pipeline} <= {stage["name"] for stage in stages}
    address = re.findall(r"curl -O http://127.0.0.1:8000(/\S+)", tutorial)[0]
    assert httpx.get(f"{keyed}{address}").content == pack()
