"""The page's files: how they are served, and that what is generated is up to date."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from aimass_stream.api.pages import ROOT, SMALL, policy
from aimass_stream.api.small import small

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("page", ["/", "/paint", "/docs"])
def test_page_comes_with_a_strict_policy(server: str, page: str) -> None:
    answer = httpx.get(server + page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    host = server.removeprefix("http://")
    assert rules["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)  # nothing inline
    assert not re.search(r"""(src|href)="(https?:)?//""", answer.text)  # nothing from elsewhere


def test_policy_takes_no_orders_from_the_host_header() -> None:
    assert "evil" not in policy("a; script-src evil")
    assert "ws://[::1]:8000" in policy("[::1]:8000")


def test_unchanged_file_costs_no_body(server: str) -> None:
    first = httpx.get(f"{server}/web/js/app.js", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-encoding"] == "gzip"
    assert first.content == (ROOT / "js" / "app.js").read_bytes()
    etag = first.headers["etag"]
    again = httpx.get(f"{server}/web/js/app.js", headers={"Accept-Encoding": "gzip", "If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    plain = httpx.get(f"{server}/web/js/app.js", headers={"Accept-Encoding": "identity", "If-None-Match": etag})
    assert (plain.status_code, plain.content) == (200, first.content)  # other bytes have another tag
    assert httpx.head(f"{server}/").status_code == 200


@pytest.mark.parametrize("path", [
    "/web/package.json", "/web/tsconfig.json", "/web/.npmrc", "/web/types/events.d.ts", "/web/", "/web/js", "/web/js/",
    "/web/node_modules/typescript/README.md", "/web/js/%2e%2e/package.json", "/web/..%2f..%2fpyproject.toml",
    "/web/%2fetc%2fpasswd", "/web/js/%00.js", "/web/js/none.js", "/web/package-lock.json", "/web/pages/base.html",
])
def test_nothing_else_is_served(server: str, path: str) -> None:
    answer = httpx.get(server + path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_sdk_is_for_pages_from_anywhere(server: str) -> None:
    answer = httpx.get(f"{server}/sdk/aimass-stream.js")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    for name in ("package.json", "link.d.ts", "..%2fjs%2fapp.js", "none.js"):
        assert httpx.get(f"{server}/sdk/{name}").status_code == 404


def test_generated_types_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, TOOLS / "make_types.py", "--check"], capture_output=True, timeout=60,
                          env=os.environ | {"PYTHONPATH": str(TOOLS.parent)})
    assert done.returncode == 0, done.stderr.decode()


def asked_for(page: str) -> set[Path]:
    """The page, its style sheets, and every module that it or one of these imports."""
    found, wanted = set(), [ROOT / page]
    while wanted:
        file = wanted.pop()
        found.add(file)
        text = file.read_text("utf-8")
        named = [ROOT / name for name in re.findall(r'(?:href|src)="/web/((?:js|css|sdk)/[^"]+)"', text)]
        named += [(file.parent / name).resolve()
                  for name in re.findall(r'^(?:import|export) [^;]*"(\.\.?/[^"]+)";', text, re.MULTILINE)]
        wanted += [name for name in named if name not in found]
    return found


def served(file: Path) -> bytes:
    body = file.read_bytes()
    return small(body) if file.parent.name in SMALL else body


def test_modules_stay_short_and_the_pages_light() -> None:
    modules = set((ROOT / "js").glob("*.js"))
    assert all(len(module.read_text("utf-8").splitlines()) < 400 for module in modules)
    names = ["index.html", "paint.html", "docs.html",
             *(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.html"))]
    pages = [asked_for(page) for page in names]
    for files in pages:
        assert sum(len(gzip.compress(served(file))) for file in files) < 120 * 1024
    assert modules.difference(*pages) == {ROOT / "js" / "app-worker.js"}  # each is for something; that is registered


def test_the_pages_know_each_other(server: str) -> None:
    for path in ("/", "/paint", "/docs"):
        text = httpx.get(server + path).text
        assert 'href="/paint"' in text
        assert 'href="/"' in text
        assert 'href="/account"' in text
        assert 'href="/models"' in text


def test_lock_file_names_no_registry() -> None:
    lock = ROOT / "package-lock.json"
    if not lock.is_file():
        pytest.skip("the page of an installed package has no lock file")
    assert "://" not in lock.read_text("utf-8")
