"""The page of the browser SDK's tutorial, from an origin of its own, as it stands there."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import sync_playwright

from aimass_stream.clips import read_number
from tests.support.browser import Visitor, launch
from tests.support.options import settings
from tests.support.server import serve

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL, REFERENCE = DOCS / "tutorials" / "a-processed-camera-in-your-page.md", DOCS / "api" / "sdk.md"

pytestmark = [pytest.mark.browser,
              pytest.mark.slow_loop(60_000, reason="the loop is playwright's, and tests run inside it")]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked for is no news."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the origin that it is served at."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_page_shows_a_mirrored_camera(folder: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    place, origin = folder
    [page] = re.findall(r"^```html\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    options = settings(origins=[origin])
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(options)) as running, sync_playwright() as started):
        assert page.count("http://127.0.0.1:8000") == 2
        (place / "index.html").write_text(page.replace("http://127.0.0.1:8000", running.url))
        (place / "away.html").write_text(page.replace('url: "http://127.0.0.1:8000"', 'url: "http://127.0.0.1:9"')
                                         .replace("http://127.0.0.1:8000", running.url))
        (place / "favicon.ico").write_bytes(b"")
        visitor = Visitor(launch(started, tmp_path_factory.mktemp("clips")), permissions=["camera"])
        visitor.open(origin, picture=False)
        visitor.until("/decode [0-9.]+ ms, .*mirror/.test(document.querySelector('p').textContent)")
        visitor.page.evaluate("document.querySelector('video').className = 'processed'")
        picture = visitor.look("processed", (640, 360))
        assert read_number(picture) is not None
        assert not picture[-8, :20].mean() > 127 > picture[-8, -20:].mean()  # its strip begins at the right
        visitor.page.get_by_role("button").click()
        for _ in range(200):
            picture = visitor.look("processed", (640, 360))
            if (picture.max(axis=2).astype(int) - picture.min(axis=2)).mean() < 4:
                break
            visitor.page.wait_for_timeout(30)
        assert (picture.max(axis=2).astype(int) - picture.min(axis=2)).mean() < 4
        assert not visitor.complaints
        away = visitor.context.new_page()
        away.add_init_script("const now = performance.now.bind(performance); performance.now = () => 20 * now()")
        away.goto(f"{origin}/away.html")
        away.get_by_text("No connection to this server can be made. Check that it runs").wait_for()
        assert away.evaluate("document.querySelector('video').srcObject.getVideoTracks()[0].readyState") == "live"
        visitor.close()


def test_the_reference_names_what_the_module_has() -> None:
    web = DOCS.parent / "web" / "sdk"
    reference = REFERENCE.read_text()
    session = (web / "session.js").read_text()
    for name in re.findall(r"^  (?:async )?([a-z]\w+)\(", session, re.MULTILINE):
        assert name in ("constructor", "emit") or f"`{name}(" in reference, f"{name}() is not described"
    for name in re.findall(r"@property \{[^\n]*\} \[?(\w+)\]?", session):
        assert f"`{name}`" in reference, f"the option {name} is not described"
    for name in re.findall(r"^export class (\w+)", (web / "errors.js").read_text(), re.MULTILINE):
        assert f"`{name}`" in reference, f"{name} is not described"
