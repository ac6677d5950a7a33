"""The tutorial about other people's pages: each as it stands there, from the site that stands there; the React hook."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from aimass_stream.api.pages import ROOT

from ..support.browser import Visitor
from .conftest import KEY, Visit, serving
from .test_adapters import SERVER, Pages, until_painted
from .test_sdk import until_mirrored

pytestmark = pytest.mark.browser

DOCS = Path(__file__).parents[2] / "docs"
ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"
SECONDS = 30_000  # ms; the machine may be busy
OWNER = {"Authorization": f"Bearer {KEY}"}


def blocks(path: str, language: str, after: str = "") -> list[str]:
    text = (DOCS / path).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text[text.index(after):], re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The folder with what the tutorial has put there so far, and the server that it has started there."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    origin = f"http://localhost:{port}"
    with serving(origins=[origin], api_key=KEY) as server:
        [own] = blocks("tutorials/embed-in-a-page.md", "python")
        assert own.count("9000") == 1
        (folder / "server.py").write_text(own.replace(SERVER, server).replace("9000", str(port)))
        (folder / "favicon.ico").write_bytes(b"")
        for name, page in zip(("script", "element", "frame", "react"),
                              blocks("tutorials/embed-in-a-page.md", "html"), strict=True):
            (folder / f"{name}.html").write_text(page.replace(SERVER, server))
        running = subprocess.Popen([sys.executable, "server.py"], cwd=folder, stderr=subprocess.DEVNULL,
                                   env=os.environ | {"AIMASS_API_KEY": KEY})
        yield Pages(folder, origin, server)
        running.terminate()
        running.wait()


def first_answer(address: str) -> httpx.Response:
    """Of a site that may be starting still."""
    return httpx.Client(transport=httpx.HTTPTransport(retries=8)).get(address)


def come(visitor: Visitor, site: Pages, name: str) -> None:
    first_answer(site.origin)
    visitor.open(f"{site.origin}/{name}.html", picture=False)


def sessions(site: Pages) -> list[str]:
    told = httpx.get(f"{site.server}/v1/sessions", headers=OWNER).json()["sessions"]
    return [each["id"] for each in told]


def until_none(visitor: Visitor, site: Pages) -> None:
    for _ in range(300):
        if not sessions(site):
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(sessions(site))


def test_a_script_tag_an_element_and_a_frame(visit: Visit, site: Pages) -> None:
    visitor = visit(permissions=["camera"])
    come(visitor, site, "script")
    visitor.page.evaluate("document.querySelector('video').className = 'processed'")
    until_painted(visitor)
    come(visitor, site, "element")
    visitor.page.get_by_role("button", name="Start").click()
    visitor.until("document.querySelector('aimass-stream').shadowRoot.querySelector('video').videoWidth === 640")
    visitor.page.get_by_role("button", name="Stop").click()
    come(visitor, site, "frame")
    visitor.page.get_by_role("button", name="Start").click()
    expect(visitor.page.get_by_role("status")).to_have_text("live", timeout=SECONDS)
    visitor.page.goto("about:blank")
    until_none(visitor, site)


def test_where_the_site_gets_no_token_it_says_so(site: Pages) -> None:
    port = free_port()
    own = (site.folder / "server.py").read_text().replace(site.origin.rpartition(":")[2], str(port))
    with subprocess.Popen([sys.executable, "-c", own], stderr=subprocess.DEVNULL,
                          env=os.environ | {"AIMASS_API_KEY": "another key"}) as running:
        answer = first_answer(f"http://127.0.0.1:{port}/aimass-token")
        running.terminate()
    assert answer.status_code == 503
    assert "AI Mass Stream gives no token: HTTP Error 401" in answer.text


COUNT = """
window.opened = [];
const { getUserMedia } = MediaDevices.prototype;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await getUserMedia.call(this, wanted);
  opened.push(...stream.getTracks());
  return stream;
};
"""


@pytest.mark.skipif(not (ROOT / "node_modules" / "react-dom").exists(), reason="React is not here: npm ci in web")
def test_the_hook_in_react(visit: Visit, site: Pages) -> None:
    [hook] = [block for block in blocks("api/embed.md", "js", "## React") if "useAimassStream" in block]
    [camera] = blocks("api/embed.md", "jsx", "## React")
    [main] = blocks("tutorials/embed-in-a-page.md", "jsx")
    for name, text in (("use-aimass-stream.js", hook), ("camera.jsx", camera), ("main.jsx", main)):
        (site.folder / name).write_text(text.replace("https://SERVER", site.server).replace(SERVER, site.server))
    tutorial = (DOCS / "tutorials" / "embed-in-a-page.md").read_text()
    [options] = re.findall(r"npx esbuild (.*)", tutorial)
    subprocess.run([ESBUILD, *options.replace("'", "").split()], cwd=site.folder, check=True, capture_output=True,
                   env=os.environ | {"NODE_PATH": str(ROOT / "node_modules")})
    visitor = visit(permissions=["camera"])
    visitor.context.add_init_script(COUNT)
    come(visitor, site, "react")
    page, words = visitor.page, visitor.page.get_by_role("status")
    expect(words).to_have_text("live", timeout=SECONDS)
    page.evaluate("document.querySelector('video').className = 'processed'")
    until_mirrored(visitor, True)
    assert page.evaluate("opened.length") == 1  # though StrictMode has mounted it twice
    [only] = sessions(site)
    page.get_by_role("button", name="Grey").click()
    for _ in range(300):
        stages = httpx.get(f"{site.server}/v1/sessions/{only}", headers=OWNER).json()["pipeline"]
        if [each["stage"] for each in stages] == ["mirror", "gray"]:
            break
        page.wait_for_timeout(50)
    assert [each["stage"] for each in stages] == ["mirror", "gray"]
    assert sessions(site) == [only]
    page.get_by_role("button", name="Camera").click()
    until_none(visitor, site)
    assert page.evaluate("opened.map(({ readyState }) => readyState)") == ["ended"]
    page.evaluate("""() => {
      const [, camera] = document.querySelectorAll("button");
      camera.click();
      setTimeout(() => camera.click()); // while it is being opened
    }""")
    visitor.until("opened.length === 2 && opened[1].readyState === 'ended'")
    until_none(visitor, site)
