"""The tutorial about LiveKit's and Jitsi's local tracks: each page as it stands there, with no meeting around it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from aimass_stream.api.pages import ROOT

from ..support.folder import serving_folder
from .conftest import Visit, serving
from .test_adapters import JITSI, SERVER, Pages, sessions, until_painted, watch
from .test_embed_tutorial import SECONDS, blocks
from .test_sdk import until_mirrored

pytestmark = pytest.mark.browser

LIBRARY = "https://jitsi.example.org/libs/lib-jitsi-meet.min.js"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The tutorial's folder; Jitsi's library lies beside its page."""
    folder = tmp_path_factory.mktemp("meeting")
    livekit, jitsi = blocks("tutorials/a-processed-camera-in-a-meeting-program.md", "html")
    assert jitsi.count(LIBRARY) == 1
    with serving_folder(folder) as origin, serving(origins=[origin]) as server:
        (folder / "livekit.html").write_text(livekit.replace(SERVER, server))
        (folder / "away.html").write_text(livekit.replace(f'url: "{SERVER}"', 'url: "http://127.0.0.1:9"')
                                          .replace(SERVER, server))
        (folder / "jitsi.html").write_text(jitsi.replace(SERVER, server).replace(LIBRARY, "lib-jitsi-meet.min.js"))
        (folder / "lib-jitsi-meet.min.js").write_text(JITSI)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        yield Pages(folder, origin, server)


@pytest.mark.skipif(not (ROOT / "node_modules" / "livekit-client").exists(),
                    reason="livekit-client is not here: npm ci in web")
def test_a_painted_camera_for_livekit(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    page = visitor.open(f"{pages.origin}/livekit.html", picture=False)
    watch(visitor)
    visitor.until("document.querySelector('video').videoWidth")
    page.get_by_role("button", name="Paint").click()
    until_painted(visitor)
    page.get_by_role("button", name="Mirror it, too").click()
    for _ in range(200):
        [session] = httpx.get(f"{pages.server}/v1/sessions").json()["sessions"]
        if [each["stage"] for each in session["pipeline"]] == ["style", "mirror"]:
            break
        page.wait_for_timeout(50)
    assert [each["stage"] for each in session["pipeline"]] == ["style", "mirror"]
    page.get_by_role("button", name="As it is").click()
    until_mirrored(visitor, False)
    sessions(visitor, pages.server, 0)
    visitor.open(f"{pages.origin}/away.html", picture=False)
    watch(visitor)
    visitor.until("document.querySelector('video').videoWidth")
    page.get_by_role("button", name="Paint").click()
    expect(page.get_by_role("status")).to_contain_text("No connection to this server can be made.", timeout=SECONDS)
    until_mirrored(visitor, False)
    visitor.complaints.clear()  # Chromium logs each request that found nobody


def test_a_mirrored_camera_for_jitsi(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    page = visitor.open(f"{pages.origin}/jitsi.html", picture=False)
    watch(visitor)
    visitor.until("document.querySelector('video').videoWidth")
    page.get_by_role("button", name="Mirror").click()
    until_mirrored(visitor, True)
    page.get_by_role("button", name="As it is").click()
    until_mirrored(visitor, False)
    sessions(visitor, pages.server, 0)
