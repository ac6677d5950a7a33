"""Takes docs/images/page.png: the page as it runs, with its clip, in a real Chromium.

    python tools/page_picture.py              starts a server of its own
    python tools/page_picture.py http://...   takes the picture of that one
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import sync_playwright

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "page.png"
PIPELINE = '[{"stage":"cartoon"},{"stage":"level"}]'
SECONDS = 45  # for the graph to fill; on a machine that does nothing else: its figures are in the picture


@contextmanager
def own_server() -> Iterator[str]:
    """`aimass serve` on a free port; answers its URL, which it prints when it has started."""
    process = subprocess.Popen([sys.executable, "-m", "aimass_stream", "serve", "--port", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if " is at " in line:
                yield line.split(" is at ")[1].split()[0].rstrip("/")
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait(20)


def take(url: str) -> None:
    """Write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 1480})
        page.goto(f"{url}/#pipeline={quote(PIPELINE)}")
        page.wait_for_selector(".monitor.has-picture")
        page.keyboard.press("Shift")  # somebody is there: the clip may sound, so the meter moves
        page.wait_for_timeout(SECONDS * 1000)
        shot = page.screenshot()
        browser.close()
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    picture.save(TARGET, optimize=True)


def main() -> None:
    if len(sys.argv) > 1:
        take(sys.argv[1].rstrip("/"))
        return
    with own_server() as url:
        take(url)


if __name__ == "__main__":
    main()
