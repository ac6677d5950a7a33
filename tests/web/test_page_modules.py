"""What the pages' own modules import."""

from __future__ import annotations

import re

from aimass_stream.api.pages import ROOT

SDK = re.compile(r"""["'][^"'\s]*\bsdk/([^"']+)["']""")


def test_pages_use_the_sdk_as_anybody_does() -> None:
    """By its one public module, types too."""
    used = {(path.name, name) for path in (ROOT / "js").glob("*.js") for name in SDK.findall(path.read_text("utf-8"))}
    assert {path for path, name in used if name == "aimass-stream.js"} >= {"app.js", "app-live.js", "site-api.js"}
    assert not {(path, name) for path, name in used if name != "aimass-stream.js"}
