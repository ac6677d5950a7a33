"""The pipeline on the page: links, live changes, order, errors at their fields, the same as code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page

from aimass_stream.api.pages import ROOT
from aimass_stream.client.files import FileWriter
from aimass_stream.clips import draw
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame

from ..support.browser import Visitor
from .conftest import Visit

pytestmark = pytest.mark.browser


def link(server: str, pipeline: Sequence[Mapping[str, Any]], sync: str = "lowest") -> str:
    return f"{server}/#pipeline={quote(json.dumps(pipeline))}&sync={sync}"


def session(visitor: Visitor) -> str:
    """The id of the session that the page's own code names."""
    return str(visitor.until("/(s_[\\w-]{20,})/.exec(document.querySelector('#code code').textContent)?.[1]"))


def running(server: str, visitor: Visitor) -> list[dict[str, Any]]:
    """What the server runs for this page, without ids."""
    stages = httpx.get(f"{server}/v1/sessions/{session(visitor)}").json()["pipeline"]
    return [{key: value for key, value in stage.items() if key != "id"} for stage in stages]


def runs(server: str, visitor: Visitor, expected: Sequence[Mapping[str, Any]]) -> None:
    """Waits until the server runs just this."""
    for _ in range(750):
        if running(server, visitor) == expected:
            return
        visitor.page.wait_for_timeout(40)
    assert running(server, visitor) == expected


def arrange(visitor: Visitor, server: str, pipeline: Sequence[Mapping[str, Any]]) -> Page:
    """Lets the open page run this, as a link pasted into its address does, without loading anything anew."""
    visitor.page.evaluate("(hash) => { location.hash = hash; }", link("", pipeline)[1:])
    runs(server, visitor, pipeline)
    return visitor.page


def names(page: Page) -> list[str]:
    return [str(card.get_attribute("data-stage")) for card in page.locator(".stage").all()]


def test_link_reopens_the_pipeline(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(link(server, [{"stage": "blur", "sigma": 3.5}, {"stage": "gray"}], "lips"))
    runs(server, visitor, [{"stage": "blur", "sigma": 3.5}, {"stage": "gray"}])
    assert page.locator("#sync [data-sync=lips]").get_attribute("aria-checked") == "true"
    page.locator(".stage[data-stage=blur] .exact").fill("6")
    runs(server, visitor, [{"stage": "blur", "sigma": 6}, {"stage": "gray"}])
    visitor.until("decodeURIComponent(location.hash).includes('\"sigma\":6')")
    again = visit()
    again.open(page.url)
    runs(server, again, [{"stage": "blur", "sigma": 6}, {"stage": "gray"}])
    info = httpx.get(f"{server}/v1/sessions/{session(again)}").json()
    assert info["sync"] == "lips"


def test_changes_are_live_and_need_no_new_connection(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "gray"}])
    _shows(visitor, colour=False)
    page.locator("#add-button").click()
    page.keyboard.type("cartoon")
    page.keyboard.press("Enter")
    page.locator(".stage[data-stage=gray] .remove").click()
    runs(server, visitor, [{"stage": "cartoon"}])
    _shows(visitor, colour=True)
    slider = page.locator(".stage[data-stage=cartoon] [data-param=shades] input[type=range]")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    runs(server, visitor, [{"stage": "cartoon", "shades": 13}])
    page.locator(".stage[data-stage=cartoon] [data-param=shades] .reset").click()
    runs(server, visitor, [{"stage": "cartoon", "shades": 8}])
    visitor.until("location.hash.includes('cartoon') && !location.hash.includes('shades')")
    assert visitor.peers() == 1


def _shows(visitor: Visitor, *, colour: bool) -> None:
    """Waits until what comes back is in colour, or is not."""
    for _ in range(400):
        picture = visitor.look("processed").astype(int)
        if (np.abs(picture[:, :, 0] - picture[:, :, 2]).mean() > 6) == colour:
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(f"the picture never came {'with' if colour else 'without'} colour")


def test_lip_sync_is_switched_live(visitor: Visitor, server: str) -> None:
    """On the server; that the SDK then shows pictures with their sound is tried with it."""
    page = arrange(visitor, server, [{"stage": "gray"}])
    for name, sync in (("Lip sync", "lips"), ("Fastest", "lowest")):
        page.get_by_role("radio", name=name).click()
        visitor.until(f"fetch('/v1/sessions/{session(visitor)}').then((answer) => answer.json()).then(({{ sync }}) => "
                      f"(window.sync = sync)) && window.sync === '{sync}'")
    shown = "document.querySelector('video.processed').currentTime"
    visitor.until(f"{shown} > {page.evaluate(shown)}")  # the picture goes on
    assert visitor.peers() == 1


def test_reordering_by_buttons_keys_and_dragging(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "gray"}, {"stage": "mirror"}, {"stage": "level"}])
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Move Mirror up").click()
    assert names(page) == ["mirror", "gray", "level"]
    page.get_by_role("button", name="Move Mirror: drag").press("ArrowDown")
    assert names(page) == ["gray", "mirror", "level"]
    grip = page.get_by_role("button", name="Move Level: drag")
    box, goal = grip.bounding_box(), page.locator(".stage[data-stage=gray]").bounding_box()
    assert box is not None
    assert goal is not None
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, goal["y"], steps=12)
    page.mouse.up()
    assert names(page) == ["level", "gray", "mirror"]
    runs(server, visitor, [{"stage": "level"}, {"stage": "gray"}, {"stage": "mirror"}])
    assert page.evaluate("document.activeElement.className") == "grip"
    assert visitor.peers() == 1


def test_refused_change_is_shown_at_its_field(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "gray"}, {"stage": "blur", "sigma": 2}])
    field = page.locator(".stage[data-stage=blur] [data-param=sigma]")
    field.locator(".exact").fill("999")
    field.locator(".field-error").wait_for()
    assert "200" in field.locator(".field-error").inner_text()
    assert running(server, visitor)[1]["sigma"] == 2
    assert "999" not in page.url
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator("#share-button").click()
    assert '"sigma":2' in unquote(page.evaluate("copied"))
    field.locator(".exact").fill("4")
    field.locator(".field-error").wait_for(state="hidden")
    runs(server, visitor, [{"stage": "gray"}, {"stage": "blur", "sigma": 4}])
    page.locator("#add-button").click()
    assert "one of which has to be in the pipeline" in page.locator("#catalogue [data-stage=captions]").inner_text()
    page.locator("#catalogue [data-stage=text]").click()
    words = page.locator(".stage[data-stage=text] [data-param=text]")
    words.locator("input").fill("{nonsense}")
    words.locator(".field-error").wait_for()
    assert "nonsense" in words.locator(".field-error").inner_text()


def test_wrong_link_names_the_field_and_can_be_mended(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(link(server, [{"stage": "blur", "sigma": -1}, {"stage": "no-such-stage"}]), picture=False)
    page.locator(".stage[data-stage=blur] .field-error").wait_for()
    assert page.locator(".stage[data-stage=no-such-stage] .stage-error").is_visible()  # both are told
    page.locator(".stage[data-stage=no-such-stage] .remove").click()
    page.locator(".stage[data-stage=blur] .exact").fill("5")
    page.wait_for_selector(".monitor.has-picture")
    runs(server, visitor, [{"stage": "blur", "sigma": 5}])
    assert page.locator("#notice").is_hidden()
    assert page.locator(".stage[data-stage=blur] .field-error").is_hidden()
    assert all("422" in complaint for complaint in visitor.complaints)  # Chromium logs each refused request
    visitor.complaints.clear()


def test_stage_that_is_not_there_is_taken_out(visit: Visit, server: str) -> None:
    visitor = visit()
    page = visitor.open(link(server, [{"stage": "gray"}, {"stage": "no-such-stage"}]), picture=False)
    page.wait_for_selector("#notice[data-reason=invalid]")
    notice = page.locator("#notice")
    assert "Correct what is marked" in notice.inner_text()
    assert notice.get_by_role("button").all_inner_texts() == ["Remove it"]
    notice.get_by_role("button", name="Remove it").click()
    page.wait_for_selector(".monitor.has-picture")
    runs(server, visitor, [{"stage": "gray"}])
    assert notice.is_hidden()
    visitor.until("location.hash && !location.hash.includes('no-such-stage')")
    assert all("422" in complaint for complaint in visitor.complaints)  # Chromium logs each refused request
    visitor.complaints.clear()


def test_change_from_elsewhere_shows_on_the_page(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "gray"}])
    change = {"pipeline": [{"stage": "gray"}, {"stage": "edges", "threshold": 250}], "sync": "lips"}
    httpx.patch(f"{server}/v1/sessions/{session(visitor)}", json=change).raise_for_status()
    page.wait_for_selector(".stage[data-stage=edges]")
    assert page.locator(".stage[data-stage=edges] .exact").input_value() == "250"
    visitor.until("document.querySelector('#sync [data-sync=lips]').getAttribute('aria-checked') === 'true'")
    assert "edges" in page.url


def test_code_does_what_the_controls_do(visitor: Visitor, server: str) -> None:
    words = {"stage": "text", "text": "it's {time}"}
    page = arrange(visitor, server, [words | {"size": 6.5}])
    card = page.locator(".stage[data-stage=text]")
    card.get_by_role("button", name="Text as code").click()
    session(visitor)
    for size, (language, run) in enumerate((("curl", _shell), ("python", _python), ("javascript", None)), start=7):
        card.locator(f"[data-language={language}]").click()
        code, count = re.subn(r'"size": [\d.]+', f'"size": {size}', card.locator("code").inner_text())
        assert count == 1
        if run is None:
            page.evaluate(f"async () => {{ {code} }}")
        else:
            run(code)
        runs(server, visitor, [words | {"size": size}])


def test_code_starts_a_session(visitor: Visitor, server: str, tmp_path: Path) -> None:
    page = arrange(visitor, server, [{"stage": "mirror"}, {"stage": "gray"}])
    page.get_by_role("radio", name="Start one").click()
    panel = page.locator("#code")
    panel.locator("[data-language=python]").click()
    with FileWriter(tmp_path / "in.mp4", expect={"video"}) as clip:
        for number in range(15):
            clip.write(VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                                  picture=Picture.from_bgr(draw(number, 320, 240))))
    code = panel.locator("code").inner_text()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True, cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(ROOT.parent)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(240, 320, 3)") >= 10
    panel.locator("[data-language=javascript]").click()
    page.evaluate(f"async () => {{ {panel.locator('code').inner_text()} }}")
    assert visitor.peers() == 2
    visitor.until("peers[1].connectionState === 'connected'")
    panel.locator("[data-language=curl]").click()
    assert f"aimass stream in.mp4 --out out.mp4 --url {server}" in panel.locator("code").inner_text()


def _shell(code: str) -> None:
    command = code.replace("curl ", "curl --fail --silent ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
