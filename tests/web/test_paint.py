"""The page that paints: by name, like another picture, a video; with mouse, keyboard, clipboard and camera."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from aimass_stream import clips
from aimass_stream.api import images, lessons
from aimass_stream.inference import FolderStore, installed
from aimass_stream.training import judge

from ..support import laborious, painters, styles
from ..support.browser import Visitor
from ..support.picture_files import file
from ..support.video_files import write_video
from .conftest import KEY, Visit

pytestmark = pytest.mark.browser

SECONDS = 60  # the machine may be busy
RESTS = "document.querySelector('#doing').hidden"
PAINTED = f"document.querySelector('#wipe.has-picture') && !document.querySelector('#result-bar').hidden && {RESTS}"
SCENE = file(clips.draw(40, 160, 120))


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    folder = tmp_path_factory.mktemp("styles")
    for seed, (name, title) in enumerate({"starry-night": "The Starry Night", "great-wave": "The Great Wave",
                                          "udnie": "Udnie"}.items()):
        styles.write(folder, f"style-{name}", seed=seed, title=title)
        Image.fromarray(clips.draw(seed, 64, 48)).save(folder / f"style-{name}" / "sample.jpg")
    styles.write_any(folder)
    store, before = installed(), installed().folders
    store.folders = (folder,)
    yield store
    store.folders = before


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: str, shelf: FolderStore) -> Iterator[Visitor]:
    """One page for most tests here; each begins with another picture or style."""
    opened = Visitor(browser, permissions=["camera"], accept_downloads=True)
    opened.open(f"{server}/paint", picture=False)
    yield opened
    opened.close()
    assert not opened.complaints


@pytest.fixture
def page(visitor: Visitor, server: str) -> Page:
    visitor.page.goto(f"{server}/paint")
    visitor.page.wait_for_selector("#style-list li")
    return visitor.page


def give(page: Page, tile: str, data: bytes = SCENE, name: str = "scene.png", kind: str = "image/png") -> None:
    page.locator(f"#{tile} input[type=file]").set_input_files(
        {"name": name, "mimeType": kind, "buffer": data})


def painted(visitor: Visitor) -> str:
    """Waits; answers which style it is."""
    visitor.until(PAINTED, SECONDS)
    return visitor.page.inner_text("#result-title")


def shows(page: Page, selector: str, text: str) -> None:
    page.locator(selector).get_by_text(text).first.wait_for(timeout=SECONDS * 1000)


def test_a_scene_in_a_style_by_its_chinese_name(visitor: Visitor, page: Page) -> None:
    page.click("#scene-button")
    assert "Starry Night" in painted(visitor) or "Great Wave" in painted(visitor)
    assert page.locator("#distances tbody tr").count() == 3
    page.fill("#style-input", "神奈川")
    assert page.locator("#style-list li:not(.far)").count() == 1
    page.press("#style-input", "Enter")
    title = "document.querySelector('#result-title').textContent"
    visitor.until(f"{PAINTED} && {title}.startsWith('The Great Wave')", SECONDS)
    assert page.inner_text("#meant") == "The Great Wave, Katsushika Hokusai, 1831"
    assert page.locator("#style-great-wave").get_attribute("aria-selected") == "true"
    link = page.locator("#live-link").get_attribute("href")
    assert link is not None
    assert "great-wave" in link
    assert "-F style=great-wave" in page.inner_text("#code")
    bars = page.locator("#distances tr[data-style=great-wave] .distance")
    assert bars.count() == 2
    assert [bar.split()[-2:] for bar in bars.all_inner_texts()]


def test_near_misses_are_understood_and_nonsense_is_told(visitor: Visitor, page: Page) -> None:
    page.fill("#style-input", "stary nihgt")
    shows(page, "#meant", "The Starry Night")
    assert page.inner_text("#meant") == "Do you mean The Starry Night? Enter takes it."
    page.press("#style-input", "Enter")
    assert page.input_value("#style-input") == "The Starry Night"
    page.fill("#style-input", "Mona Lisa")
    shows(page, "#meant", "No style is called so")
    assert "Udnie" in page.inner_text("#meant")
    page.fill("#style-input", "")
    page.press("#style-input", "ArrowDown")
    page.press("#style-input", "ArrowDown")
    active = page.locator("#style-input").get_attribute("aria-activedescendant")
    page.press("#style-input", "Enter")
    assert page.locator("#style-list [aria-selected=true]").get_attribute("id") == active


def test_strength_mixes_what_is_shown_and_what_is_downloaded(visitor: Visitor, page: Page) -> None:
    give(page, "yours")
    page.click("#style-udnie")
    painted(visitor)
    whole = downloaded(page)
    page.focus("#strength")
    for _ in range(3):
        page.keyboard.press("PageDown")
    share = float(page.input_value("#strength")) / 100
    assert 0.5 < share < 1
    assert page.inner_text("#strength-out") == f"{share:.0%}".replace("%", " %")
    mixed, scene = downloaded(page), clips.draw(40, 160, 120)[:, :, ::-1]
    assert np.abs(mixed - (share * whole + (1 - share) * scene)).mean() < 1
    opacity = page.evaluate("getComputedStyle(document.querySelector('#wipe')).getPropertyValue('--strength')")
    assert float(opacity) == pytest.approx(share)
    page.focus("#wipe .split")
    before = page.evaluate("document.querySelector('#wipe').style.getPropertyValue('--split')")
    page.keyboard.press("PageUp")
    assert page.evaluate("document.querySelector('#wipe').style.getPropertyValue('--split')") != before
    visitor.until(RESTS, SECONDS)


def downloaded(page: Page) -> Any:
    with page.expect_download() as waiting:
        page.click("#download-button")
    assert waiting.value.suggested_filename == "scene-udnie.png"
    return np.asarray(Image.open(waiting.value.path()).convert("RGB"), float)


def test_like_another_picture(visitor: Visitor, page: Page) -> None:
    give(page, "yours")
    page.click("[data-how=picture]")
    give(page, "like", file(np.full((60, 80, 3), (140, 60, 30), np.uint8)), "blue.png")
    style = painted(visitor)
    assert "Nearest style here: " in page.inner_text("#found")
    assert style.split(",")[0] in page.inner_text("#found")
    assert page.locator("#legend li").all_inner_texts() == ["your picture", "the style's picture", "painted"]
    assert page.locator("#distances tbody tr").first.locator(".distance").count() == 3
    assert "Your two pictures are" in page.inner_text("#meaning")
    page.click("[data-by=picture]")
    visitor.until(f"{PAINTED} && document.querySelector('#result-title').textContent === 'Like blue.png'", SECONDS)
    assert "-F by=picture" in page.inner_text("#code")
    visitor.until("document.querySelector('#live-link').href.includes('data%3Aimage%2Fjpeg')")
    page.locator("#like").get_by_role("button", name="Take away").click()
    page.wait_for_selector("#like .tile-drop")


DROP = """([selector, data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const target = selector ? document.querySelector(selector) : document.body;
  for (const kind of ["dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""
PASTE = """([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


def test_pictures_are_dropped_and_pasted(visitor: Visitor, page: Page) -> None:
    data = base64.b64encode(SCENE).decode()
    page.evaluate(DROP, ["", data, "anywhere.png", "image/png"])
    shows(page, "#yours", "anywhere.png")
    page.evaluate(PASTE, [data, "pasted.png", "image/png"])
    shows(page, "#yours", "pasted.png")
    page.click("[data-how=picture]")
    page.evaluate(PASTE, [data, "style.png", "image/png"])
    shows(page, "#like", "style.png")
    page.evaluate(DROP, ["#like", data, "dropped.png", "image/png"])
    shows(page, "#like", "dropped.png")
    shows(page, "#yours", "pasted.png")
    painted(visitor)
    page.evaluate(DROP, ["#like", data, "film.mp4", "video/mp4"])
    shows(page, "#trouble", "not from a video")
    assert not page.locator("#drop").is_visible()


def test_the_camera_takes_a_picture(visitor: Visitor, page: Page) -> None:
    page.click("#style-udnie")
    page.get_by_role("button", name="Take one with the camera").first.click()
    page.get_by_role("button", name="Take the picture").click()
    shows(page, "#yours", "camera.png")
    assert "640 × 360" in page.inner_text("#yours .tile-about")
    painted(visitor)


def test_what_the_browser_cannot_show_and_what_nobody_can(visitor: Visitor, page: Page) -> None:
    page.click("#style-udnie")
    give(page, "yours", file(clips.draw(3, 100, 80), "TIFF"), "scan.tiff", "image/tiff")
    painted(visitor)
    assert page.evaluate("document.querySelector('#wipe .raw').naturalWidth") == 100  # the server turned it
    page.evaluate("""() => {
      window.said = [];
      const doing = document.querySelector("#doing-text");
      new MutationObserver(() => window.said.push(doing.textContent)).observe(doing, { childList: true });
    }""")
    give(page, "yours", SCENE[:-3000], "half.png")
    shows(page, "#trouble", "cut off or broken")
    assert page.evaluate("window.said")[0] == "Looking at it"  # at once, while nothing is known of it yet
    assert "half.png" in page.inner_text("#trouble")  # as it is called, though a sentence begins with it
    assert page.locator("#result-bar").is_hidden()
    give(page, "yours", b"", "nothing.png")
    shows(page, "#trouble", "empty")
    assert "empty" in page.inner_text("#yours .tile-about")
    visitor.complaints[:] = [line for line in visitor.complaints if "422" not in line]  # Chromium's own line


def test_a_video_is_painted_and_played(visitor: Visitor, page: Page, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.webm", range(0, 2000, 100), size=(240, 180), codec="libvpx", sound="libopus")
    page.click("#style-udnie")
    give(page, "yours", clip.read_bytes(), "clip.webm", "video/webm")
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.querySelector("#doing-text").textContent))
        .observe(document.querySelector("#doing-text"), { childList: true });
      window.glances = 0;
      new MutationObserver(() => (window.glances += document.querySelectorAll(".glance").length))
        .observe(document.querySelector("#wipe .layers"), { childList: true });
    }""")
    page.click("#video-button")
    page.wait_for_selector("#cancel-button:visible")
    assert "Udnie" in painted(visitor)
    said = page.evaluate("window.said")
    assert any(line.startswith("Painting: ") and " of " in line for line in said), said
    assert page.evaluate("window.glances") > 0
    visitor.until("[...document.querySelectorAll('#wipe video')].length === 2")
    visitor.until("document.querySelector('#wipe video.processed').currentTime > 0.3")
    page.click("#play-button")
    assert page.evaluate("document.querySelector('#wipe video.processed').paused")
    assert page.locator("#play-button").get_attribute("aria-label") == "Play"
    with page.expect_download() as waiting:
        page.click("#download-button")
    assert waiting.value.suggested_filename == "clip-udnie.mp4"
    assert "/v1/videos/style" in page.inner_text("#code")


def test_a_video_that_is_cancelled_or_none(visitor: Visitor, page: Page, server: str, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", range(0, 20_000, 100), size=(480, 360))
    page.click("#style-udnie")
    give(page, "yours", clip.read_bytes(), "clip.mp4", "video/mp4")
    page.click("#video-button")
    shows(page, "#doing-text", "Painting: ")
    page.click("#cancel-button")
    assert page.locator("#doing").is_hidden()
    end = time.monotonic() + SECONDS
    while any(job["state"] == "running" for job in jobs(server)):
        assert time.monotonic() < end
        page.wait_for_timeout(30)
    give(page, "yours", b"no video at all", "words.mp4", "video/mp4")
    page.click("#video-button")
    shows(page, "#trouble", "words.mp4 is no video file")
    visitor.complaints[:] = [line for line in visitor.complaints if "422" not in line]


def jobs(server: str) -> list[dict[str, Any]]:
    return list(httpx.get(f"{server}/v1/jobs").json()["jobs"])


def test_a_style_is_learned_from_a_picture(page: Page, visitor: Visitor, server: str, shelf: FolderStore,
                                           tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With previews, also by a page that is opened meanwhile; what is learned there is tests/api's."""
    monkeypatch.setattr(lessons, "learn", laborious.learns)
    for module in (lessons, images):
        monkeypatch.setattr(module, "check", lambda: None)
    monkeypatch.setattr(lessons, "folder_of", lambda settings: installed().get("style-udnie").folder.parent)
    monkeypatch.setattr(judge, "CHECKOUT", painters.judge(tmp_path))
    page.reload()
    page.wait_for_selector("#style-list li")
    give(page, "yours")
    page.click("[data-how=picture]")
    assert page.locator("#lesson").is_hidden()
    give(page, "like", name="wall.png")
    page.fill("#lesson-name", "Our wall")
    page.press("#lesson-name", "Enter")
    shows(page, "#lesson-text", "Learning: step")
    page.reload()
    page.wait_for_selector("#lesson-preview:visible")
    enough = shelf.folders[0] / laborious.ENOUGH
    enough.touch()
    visitor.until("document.querySelector('#style-list [aria-selected=true]')?.dataset.name === 'our-wall'", SECONDS)
    assert page.input_value("#style-input") == "Our wall"
    assert page.locator("#lesson").is_hidden()
    end = time.monotonic() + SECONDS
    while "our-wall" not in offered(server):
        assert time.monotonic() < end
        page.wait_for_timeout(100)
    enough.unlink()


def offered(server: str) -> list[str]:
    """What the live page offers."""
    stages = {stage["name"]: stage for stage in httpx.get(f"{server}/v1/stages").json()["stages"]}
    return list(stages["style"]["params"]["properties"]["name"]["enum"])


def test_a_server_that_can_not_learn_says_so_before_it_is_asked(visit: Visit, server: str, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "check", lambda: None)
    monkeypatch.setattr(judge, "CHECKOUT", tmp_path / "nowhere")
    page = visit().open(f"{server}/paint", picture=False)
    page.wait_for_selector("#style-list li")
    page.click("[data-how=picture]")
    give(page, "like", name="wall.png")
    shows(page, "#lesson-unable", "aimass models pull squeezenet-1.0")
    assert page.locator("#lesson-form").is_hidden()


def test_bars_of_the_style_before_are_marked_until_the_new_one_is_measured(visitor: Visitor, page: Page) -> None:
    give(page, "yours")
    page.click("#style-udnie")
    painted(visitor)
    stale = "document.querySelector('#measured').classList.contains('stale')"
    assert not page.evaluate(stale)
    assert page.evaluate(f"() => {{ document.querySelector('#style-great-wave').click(); return {stale}; }}")
    visitor.until(f"{PAINTED} && !{stale}", SECONDS)


def test_on_a_phone_in_the_dark(visit: Visit, server: str) -> None:
    visitor = visit(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page = visitor.open(f"{server}/paint", picture=False)
    page.wait_for_selector("#style-list li")
    page.click("#scene-button")
    painted(visitor)
    page.tap("#style-udnie")
    shown = "document.querySelector('#wipe').getBoundingClientRect()"
    visitor.until(f"{shown}.top >= -1 && {shown}.bottom <= innerHeight + 1", SECONDS)  # it has scrolled there
    painted(visitor)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colours = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colours)
    page.click("#theme-button")
    assert page.evaluate(colours) != dark
    page.locator(".places a", has_text="Live").click()
    page.wait_for_selector("#monitor")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_key_is_asked_for(visit: Visit, guarded: str) -> None:
    visitor = visit()
    page = visitor.open(f"{guarded}/paint", picture=False)
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-input", KEY)
    page.press("#key-input", "Enter")
    page.wait_for_selector("#style-list li img")
    assert page.locator("#trouble").is_hidden()
    visitor.complaints[:] = [line for line in visitor.complaints if "401" not in line]


def test_without_styles_that_is_told(visit: Visit, server: str, shelf: FolderStore,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "folders", ())
    page = visit().open(f"{server}/paint", picture=False)
    shows(page, "#meant", "No style is installed on this server.")


def test_the_snippets_are_what_they_say(page: Page, visitor: Visitor) -> None:
    """In all three languages, with the file's own name, and safe in a shell."""
    give(page, "yours", SCENE, "it's me.png")
    page.click("#style-udnie")
    painted(visitor)
    told = {}
    for language in ("curl", "python", "javascript"):
        page.click(f"[data-language={language}]")
        told[language] = page.inner_text("#code pre")
    assert r"-F 'image=@it'\''s me.png'" in told["curl"]
    compile(told["python"], "snippet", "exec")
    assert json.dumps("it's me.png") in told["python"]
    assert 'form.append("style", "udnie");' in told["javascript"]
    page.click("[data-language=curl]")
    assert io.StringIO(told["curl"]).readline().startswith("curl http")
