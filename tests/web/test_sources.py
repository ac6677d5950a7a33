"""Camera, microphone, files; recording what comes back and dropping it in again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.sync_api import Page

from aimass_stream.clips import CELLS, read_number
from aimass_stream.frames import Pixels

from ..support.browser import CLIP_PICTURES, SHARED_TAB, Visitor
from ..support.speech import speak, write_wav
from .conftest import Visit
from .test_pipeline import arrange, names, runs

pytestmark = pytest.mark.browser

def _mirrored(picture: Pixels) -> bool:
    """Whether the strip's white guard cell is at its right end."""
    height, width = picture.shape[:2]
    row = picture[height - max(8, height // 16) // 2 - 1].mean(axis=1)
    return bool(row[width // (2 * CELLS)] < 127 < row[width - width // (2 * CELLS)])


def _shape(visitor: Visitor, ratio: float) -> None:
    """Waits until pictures of this shape come back; a busy browser may send smaller ones than it takes."""
    visitor.until(f"(({{ videoWidth, videoHeight }}) => Math.abs(videoWidth / videoHeight - {ratio}) < 0.006)"
                  "(document.querySelector('video.processed'))")


def _number(visitor: Visitor, video: str) -> tuple[int, bool]:
    """The number a video shows, and whether it is mirrored; a picture that is just changing is looked at again."""
    for _ in range(400):
        picture = visitor.look(video)
        number = read_number(picture)
        if number is not None and number < CLIP_PICTURES:
            return number, _mirrored(picture)
        visitor.page.wait_for_timeout(20)
    raise AssertionError(f"{video} shows no number")


def test_camera_comes_back_mirrored(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "mirror"}, {"stage": "level"}])
    page.evaluate("""async () => {
      navigator.mediaDevices.dispatchEvent(new Event("devicechange")); // somebody plugs one in before it is chosen
      await navigator.mediaDevices.enumerateDevices();
    }""")
    page.get_by_role("radio", name="Camera").click()
    _shape(visitor, 16 / 9)
    sent, sent_mirrored = _number(visitor, "raw")
    shown, shown_mirrored = _number(visitor, "processed")
    assert (sent_mirrored, shown_mirrored) == (False, True)
    # looked at later, and no more than the way there and back behind; that may take longer than the look
    assert (shown - sent + 8) % CLIP_PICTURES < 45
    assert page.locator("#camera-select option").count() >= 2
    assert page.locator("#intro").is_hidden()
    assert visitor.peers() == 1  # the camera took the clip's place in the same connection
    assert page.evaluate("document.querySelector('video.processed').muted")  # a microphone hears loudspeakers


def test_spoken_clip_moves_the_level_meter(visitor: Visitor) -> None:
    """Follows the test above: the microphone is on."""
    visitor.until("document.querySelector('#meter.alive') && "
                  "parseFloat(document.querySelector('#meter').style.getPropertyValue('--level')) > 30")


def test_microphone_alone(visitor: Visitor) -> None:
    visitor.page.locator("#camera-select").select_option("none")
    visitor.until("document.querySelector('video.raw').srcObject.getVideoTracks().length === 0")
    visitor.until("document.querySelector('#meter.alive')")
    assert visitor.page.locator("#notice").is_hidden()
    visitor.page.get_by_role("radio", name="Clip").click()
    visitor.until("document.querySelector('video.raw').videoWidth === 848")


def test_microphone_only_asks_for_no_camera(visit: Visit, server: str) -> None:
    visitor = visit(permissions=["microphone"])
    page = visitor.open(f"{server}/#pipeline=[{{%22stage%22:%22level%22}}]")
    page.get_by_role("radio", name="Microphone only").click()
    page.get_by_text("Sound only").wait_for()
    visitor.until("document.querySelector('#meter.alive') && "
                  "parseFloat(document.querySelector('#meter').style.getPropertyValue('--level')) > 30")
    assert visitor.peers() == 1
    visitor.until("peers[0].getSenders().map(({ track }) => track?.kind).filter(Boolean).join() === 'audio'")
    assert page.evaluate("document.querySelector('video.processed').muted")  # a microphone hears loudspeakers
    assert [page.locator(f"#{name}-select").is_visible() for name in ("camera", "microphone", "size")] == [
        False, True, False]
    select = page.locator("#microphone-select")
    visitor.until("document.querySelectorAll('#microphone-select option').length > 1")
    assert "none" not in select.evaluate("(select) => [...select.options].map(({ value }) => value)")
    other = select.evaluate("(select) => [...select.options].find(({ selected }) => !selected).value")
    select.select_option(other)
    track = "document.querySelector('video.raw').srcObject.getAudioTracks()[0]"
    visitor.until(f"{track}.readyState === 'live' && {track}.getSettings().deviceId === {other!r}")
    assert page.locator("#line-in").inner_text() == page.evaluate(f"{track}.label")
    page.get_by_role("radio", name="Camera").click()  # which this page may not
    page.wait_for_selector("#notice[data-reason=permission-denied]")
    assert page.get_by_role("radio", name="Microphone only").get_attribute("aria-checked") == "true"
    assert page.evaluate(f"{track}.readyState") == "live"
    page.locator("#notice").get_by_role("button", name="Close").click()
    page.get_by_role("radio", name="Clip").click()
    page.wait_for_selector(".monitor.has-picture")
    assert page.locator("#pickers").is_hidden()


def test_another_source_leaves_a_conversation_audible(visit: Visit, server: str) -> None:
    visitor = visit(permissions=["microphone"])
    page = visitor.open(f"{server}/#pipeline=[]")
    page.get_by_role("button", name="Talk to it").click()
    visitor.until("!document.querySelector('video.processed').muted")
    page.get_by_role("radio", name="Microphone only").click()
    page.get_by_text("Sound only").wait_for()
    assert not page.evaluate("document.querySelector('video.processed').muted")
    assert page.locator("#line-in").inner_text() == page.evaluate(
        "document.querySelector('video.raw').srcObject.getAudioTracks()[0].label")
    page.get_by_role("button", name="End the conversation").click()
    visitor.until("document.querySelector('video.processed').muted")
    sent = "peers[0].getSenders().find(({ track }) => track?.kind === 'audio').track"
    visitor.until(f"{sent} === document.querySelector('video.raw').srcObject.getAudioTracks()[0]")


def _unclosed(visitor: Visitor) -> list[str]:
    """Two sources in turn; Chromium tells every 10 s whether a picture was collected that nobody closed."""
    visitor.unclosed.clear()
    for kind in ("microphone", "clip") * 25:
        visitor.page.evaluate("""async (kind) => {
          document.querySelector(`#sources [data-source=${kind}]`).click();
          const raw = document.querySelector("video.raw");
          const pictures = () => raw.srcObject.getVideoTracks().length;
          while (pictures() !== (kind === "clip" ? 1 : 0)) await new Promise(requestAnimationFrame);
          if (kind === "clip") for (let n = 0; n < 8; n++) await new Promise((go) => raw.requestVideoFrameCallback(go));
        }""", kind)
    visitor.context.new_cdp_session(visitor.page).send("HeapProfiler.collectGarbage")
    visitor.page.wait_for_timeout(10_500)
    return visitor.unclosed


def test_pictures_of_a_source_that_is_left_are_closed(visit: Visit, server: str) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    visitor.context.add_init_script("localStorage.setItem('aimass.transport', 'websocket')")
    visitor.open(f"{server}/#pipeline=[]")
    assert not all(_unclosed(visitor) for _ in range(2))  # a busy Chromium forgets one by itself


def test_screen_is_shared_until_it_ends(visitor: Visitor, server: str) -> None:
    page = arrange(visitor, server, [{"stage": "gray"}])
    shown = visitor.context.new_page()
    shown.set_content(f"<title>{SHARED_TAB}</title><marquee>moving words</marquee>")
    page.bring_to_front()
    page.get_by_role("radio", name="Screen").click()
    visitor.until("document.querySelector('#sources [data-source=screen]').getAttribute('aria-checked') === 'true'")
    visitor.until("document.querySelector('video.raw').videoWidth > 900")
    _shape(visitor, page.evaluate("(({ videoWidth, videoHeight }) => videoWidth / videoHeight)"
                                  "(document.querySelector('video.raw'))"))
    assert visitor.peers() == 1
    shown.close()
    visitor.until("document.querySelector('#sources [data-source=clip]').getAttribute('aria-checked') === 'true'")
    visitor.until("document.querySelector('video.raw').videoWidth === 848")


def test_recording_brings_its_pipeline_back(visitor: Visitor, server: str, tmp_path: Path) -> None:
    pipeline: list[dict[str, Any]] = [{"stage": "edges", "threshold": 140}, {"stage": "mirror"}]
    page = arrange(visitor, server, pipeline)
    page.get_by_role("radio", name="Lip sync").click()
    page.get_by_role("button", name="Record").click()
    count = "document.querySelector('video.processed').getVideoPlaybackQuality().totalVideoFrames"
    enough = page.evaluate(count) + 15
    page.wait_for_timeout(1500)
    visitor.until(f"{count} > {enough}")
    with page.expect_download() as download:
        page.locator("#record-button").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    with av.open(str(file)) as container:
        pictures = list(container.decode(video=0))
        assert len(pictures) > 3
        assert '"threshold":140' in container.metadata["AIMASS_PIPELINE"]
    with av.open(str(file)) as packets:  # of sound as well: of pictures, a busy browser throws the last ones away
        last = max(packet.pts * packet.time_base for packet in packets.demux() if packet.pts is not None)
        assert packets.duration is not None
        assert packets.duration / av.time_base == pytest.approx(float(last), rel=0.25)
    arrange(visitor, server, [{"stage": "gray"}])
    assert page.locator("#sync [data-sync=lips]").get_attribute("aria-checked") == "false"
    drop(page, file)
    page.wait_for_selector(".stage[data-stage=edges]")
    assert names(page) == ["edges", "mirror"]
    runs(server, visitor, pipeline)
    assert page.locator("#sync [data-sync=lips]").get_attribute("aria-checked") == "true"
    page.get_by_role("button", name="Play it as the source").click()
    visitor.until("document.querySelector('#line-in').textContent.endsWith('.webm')")
    visitor.until("document.querySelector('video.raw').videoWidth > 0")


def test_file_that_is_no_video_is_refused_in_words(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    file = tmp_path / "notes.mp4"
    file.write_bytes(b"no video at all" * 50)
    page.locator("#file-input").set_input_files(file)
    page.get_by_text("This file can't be played").wait_for()
    page.locator("#notice").get_by_role("button", name="Close").click()
    visitor.until("!document.querySelector('video.raw').paused")  # what played goes on


def test_file_with_sound_alone_leaves_no_picture(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    write_wav(tmp_path / "voice.wav", speak())
    page.locator("#file-input").set_input_files(tmp_path / "voice.wav")
    page.get_by_text("Sound only").wait_for()
    assert page.locator("video.processed").is_hidden()
    page.get_by_role("radio", name="Clip").click()
    page.wait_for_selector(".monitor.has-picture")
    assert page.get_by_text("Sound only").is_hidden()


def drop(page: Page, file: Path) -> None:
    """Drops a file on the page."""
    page.evaluate(
        """([name, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name, { type: "video/webm" }));
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
          }
        }""", [file.name, base64.b64encode(file.read_bytes()).decode()])
