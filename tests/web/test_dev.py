"""What the page says while a stage's file is worked on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Route

from aimass_stream.dev import Workbench
from aimass_stream.stages import Registry

from ..support.options import settings
from ..support.server import serve
from .conftest import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """A loaded file leaves its module and its folder's place among the paths."""
    path = sys.path[:]
    yield
    sys.path[:] = path
    sys.modules.pop("aimass_dev_mine", None)


def stage(name: str) -> str:
    return f"""from aimass_stream.functions import VideoFrame, stage

@stage
def {name}(frame: VideoFrame) -> VideoFrame:
    return frame
"""


def without_glow(route: Route) -> None:
    """The answer of a server that drops what left the file."""
    answer = route.fetch()
    stages = [stage for stage in answer.json()["stages"] if stage["name"] != "glow"]
    route.fulfill(response=answer, json={"stages": stages})


def test_file_that_changes(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(stage("glow"))
    registry = Registry()
    workbench = Workbench(file, registry)
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(), registry=registry)) as running):

        def save(text: str) -> None:
            file.write_text(text)
            portal.call(workbench.reload, running.node)

        visitor = visit()
        page = visitor.open(f"{running.url}/#pipeline=[{{%22stage%22:%22glow%22}}]")
        error = page.locator(".stage[data-stage=glow] .stage-error")
        save("def glow(:")
        error.get_by_text("SyntaxError").wait_for()
        page.locator("#sync [data-sync=lips]").click()
        visitor.until("location.hash.endsWith('lips')")
        assert error.is_visible()  # until the file is mended, whatever else is changed
        save(stage("glow"))
        error.wait_for(state="hidden")
        page.locator(".toast").get_by_text("glow was loaded again", exact=True).wait_for()
        save(stage("shine"))
        error.get_by_text("no longer in").wait_for()
        page.locator(".toast").get_by_text("shine is new").wait_for()
        page.get_by_role("button", name="Add it").click()
        page.wait_for_selector(".stage[data-stage=shine]")
        page.route("**/v1/stages", without_glow)
        save(stage("shine"))
        error.get_by_text("glow is no longer in the file").wait_for()
        visitor.close()
