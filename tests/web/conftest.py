"""One browser and two servers for all tests of the page.

The servers' loops run in threads of their own. Playwright's synchronous interface runs its loop in this thread and
calls the tests from inside it, so what the tests compute counts as that loop's work: they are marked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Browser, Playwright, sync_playwright

from ..support.browser import Visitor, launch
from ..support.options import settings
from ..support.server import serve

KEY = "a key for tests"

Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow_loop(60_000, reason="the loop is playwright's, and tests run inside it"))


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = launch(playwright, tmp_path_factory.mktemp("clips"))
    yield opened
    opened.close()


@contextmanager
def serving(*, described: bool = False, **options: Any) -> Iterator[str]:
    """A real server with these settings; answers its URL."""
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings(**options), described=described)) as running):
        yield running.url


@pytest.fixture(scope="package")
def server() -> Iterator[str]:
    """URL of an ordinary server."""
    with serving(described=True) as url:
        yield url


@pytest.fixture(scope="package")
def guarded() -> Iterator[str]:
    """URL of a server that is open to the world, wants a key, and has room for one session."""
    with serving(host="0.0.0.0", api_key=KEY, max_sessions=1) as url:
        yield url


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: str) -> Iterator[Visitor]:
    """One page for all tests of a module, with its devices granted; its console must stay empty."""
    opened = Visitor(browser, permissions=["camera", "microphone"])
    opened.open(server)
    yield opened
    opened.close()
    assert not opened.complaints


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages; afterwards none of them may have complained in its console, unless it was told to."""
    visitors: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, **options))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.close()
    assert not [complaint for visitor in visitors for complaint in visitor.complaints]
