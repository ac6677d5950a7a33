"""A style that comes while the page is open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from aimass_stream.inference import arrivals, installed

from ..support import styles
from ..support.options import settings
from ..support.server import serve
from .conftest import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(arrivals.watch, "__defaults__", (0.1,))
    store, before = installed(), installed().folders
    yield
    store.folders = before


def test_a_new_style_is_offered_and_taken(visit: Visit, tmp_path: Path) -> None:
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(data_dir=tmp_path))) as running):
        visitor = visit()
        page = visitor.open(f"{running.url}/#pipeline=[{{%22stage%22:%22mirror%22}}]")
        page.wait_for_selector("body[data-state=live]")
        styles.write(tmp_path / "made", "style-my-cat", title="My cat")
        (tmp_path / "models").mkdir()
        (tmp_path / "made" / "style-my-cat").rename(tmp_path / "models" / "style-my-cat")
        page.locator(".toast").get_by_text("My cat is a new style").wait_for()
        page.get_by_role("button", name="Paint with it").click()
        select = page.locator(".stage[data-stage=style] select").first
        select.wait_for()
        assert select.evaluate("select => select.selectedOptions[0].textContent") == "My cat"
        visitor.until("document.querySelector('#log').textContent.includes('My cat is new')")

        async def painted() -> None:
            async with asyncio.timeout(30):
                while running.node.sessions()[0].spec.json()[-1].get("name") != "my-cat":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

        portal.call(painted)
        visitor.close()
