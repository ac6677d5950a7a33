"""Captions, a conversation, downloads and the code for builders, in a real browser that hears a spoken clip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright

from aimass_stream.hearing.recognizers import RECOGNIZERS

from ..support import prompter
from ..support.browser import CHROMIUM, Visitor, camera_clip
from ..support.hub import TestHub, offered, weights
from ..support.speech import speak, write_wav
from .conftest import KEY, Visit, serving
from .test_pipeline import names

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

QUESTION = "What time is it?"
PAUSE = 7.0  # s behind the question, before the clip begins again
BEGIN = 1.5  # s of quiet before it
GREETING = "This is a long story about a lighthouse, the sea, and the people who lived beside it. " * 5
FILES = {"model.bin": bytes(range(256)) * 4_000}


@pytest.fixture(scope="module")
def listened(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone hears a question, and then nothing for a while."""
    folder = tmp_path_factory.mktemp("voice")
    clip, camera = folder / "question.wav", folder / "camera.y4m"
    camera_clip(camera)
    quiet = [np.zeros((round(seconds * 48_000), 1), np.int16) for seconds in (BEGIN, PAUSE)]
    write_wav(clip, np.concatenate([quiet[0], speak(QUESTION), quiet[1]]))
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[
        "--no-sandbox", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}",
        f"--use-file-for-fake-audio-capture={clip}"])
    yield opened
    opened.close()


@pytest.fixture
def hearing(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server whose recogniser hears the question, however busy the machine is."""
    for name in list(RECOGNIZERS):
        monkeypatch.delitem(RECOGNIZERS, name)
    monkeypatch.setitem(RECOGNIZERS, "prompted", "tests.support.prompter:Prompted")
    prompter.SCRIPT.clear()
    prompter.SCRIPT.extend(["what time is it"] * 20)
    return server


@pytest.fixture
def person(listened: Browser) -> Iterator[Visitor]:
    visitor = Visitor(listened, permissions=["camera", "microphone", "clipboard-read", "clipboard-write"])
    yield visitor
    visitor.close()
    assert not visitor.complaints


def _link(pipeline: str) -> str:
    return f"#pipeline={pipeline.replace(chr(34), '%22')}"


def test_talk_gives_a_spoken_reply(person: Visitor, hearing: str) -> None:
    page = person.open(f"{hearing}/{_link('[]')}", picture=False)
    person.until("document.body.dataset.state === 'live'")
    button = page.get_by_role("button", name="Talk to it")
    button.click()
    person.until("document.querySelector('.bubble.assistant p')?.textContent.startsWith('It is ')", 30)
    assert page.locator(".bubble.you p").first.inner_text() == "what time is it"
    assert names(page) == ["assistant"]
    assert page.locator(".chip").first.inner_text().split() == ["Clock", "time"]
    person.until("/\\d+ ms/.test(document.querySelector('.bubble.assistant .latency')?.textContent)")
    assert page.locator("#talk-badge").inner_text().startswith("Heard by prompted")
    assert page.locator("video.processed").evaluate("video => video.muted") is False
    person.until("document.getElementById('talk-live').textContent.startsWith('It is')")
    said = page.locator("#captions-list li span").first.inner_text()
    assert said == "what time is it"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as SRT").click()
    srt = Path(download.value.path()).read_text()
    assert re.match(r"1\n\d\d:\d\d:\d\d,\d{3} --> ", srt)
    assert said in srt
    page.get_by_role("button", name="Copy what was said").click()
    assert said in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="End the conversation").click()
    person.until("document.querySelectorAll('.stage').length === 0")
    with page.expect_download() as download:  # what was said stays
        page.get_by_role("button", name="Download as VTT").click()
    assert said in Path(download.value.path()).read_text()
    assert page.locator("video.processed").evaluate("video => video.muted")


def test_stop_ends_a_reply(person: Visitor, hearing: str) -> None:
    pipeline = f'[{{"stage":"assistant","greeting":"{GREETING.strip()}"}}]'
    page = person.open(f"{hearing}/{_link(pipeline)}", picture=False)
    person.until("document.body.dataset.state === 'live'")
    page.get_by_role("button", name="Talk to it").click()
    page.get_by_role("button", name="Stop speaking").click(timeout=30_000)
    person.until("document.querySelector('.bubble.assistant.interrupted s')?.textContent.includes('lighthouse')")
    person.until("document.getElementById('talk-state').dataset.state === 'listening'")
    assert page.locator("#talk-stop").is_hidden()


def test_captions_over_the_clip_hear_the_microphone(person: Visitor, hearing: str) -> None:
    page = person.open(f"{hearing}/{_link('[]')}")
    captions = page.get_by_role("button", name="Captions")
    captions.click()
    person.until("document.querySelector('#captions p')?.textContent.startsWith('what time')", 30)
    over = page.evaluate("""(() => {
      const place = (name) => document.querySelector(name).getBoundingClientRect();
      const [box, words] = [place("#monitor"), place("#captions p")];
      return words.height === 0 || (words.top > box.top + box.height / 2 && words.bottom <= box.bottom);
    })()""")
    assert over, "they do not stand in the lower half of the picture"
    assert captions.get_attribute("aria-pressed") == "true"
    assert page.locator("#line-in").inner_text() == "Clip, with your microphone"
    assert page.locator("video.processed").evaluate("video => video.muted")
    person.until("document.getElementById('captions-live').textContent === 'what time is it'")
    assert page.locator("#captions-list li span").first.inner_text() == "what time is it"
    assert page.locator("#captions-engine").inner_text().startswith("Heard by prompted")
    captions.click()
    page.locator("#captions").wait_for(state="hidden")
    assert names(page) == []
    assert page.locator("#line-in").inner_text() == "Clip, made in this page"


def test_captions_before_a_conversation_come_back_after_it(person: Visitor, hearing: str) -> None:
    link = _link('[{"stage":"asr"}]')
    page = person.open(f"{hearing}/{link}", picture=False)
    person.until("document.body.dataset.state === 'live'")
    panel = page.locator("#captions-panel")
    assert "Nobody speaks in the clip" in panel.inner_text()
    panel.get_by_role("button", name="Use your microphone").click()
    person.until("document.getElementById('line-in').textContent === 'Clip, with your microphone'")
    page.get_by_role("button", name="Talk to it").click()
    person.until("document.getElementById('talk-state').dataset.state === 'listening'")
    assert names(page) == ["assistant"]
    page.get_by_role("button", name="End the conversation").click()
    person.until("document.getElementById('line-in').textContent === 'Clip, with your microphone'")
    assert names(page) == ["asr"]


def test_who_may_not_be_heard_is_told_so(listened: Browser) -> None:
    with serving(max_listeners=0) as url:
        person = Visitor(listened, permissions=["microphone"])
        page = person.open(f"{url}/{_link('[]')}", picture=False)
        person.until("document.body.dataset.state === 'live'")
        page.get_by_role("button", name="Talk to it").click()
        person.until("document.getElementById('talk-state').dataset.state === 'refused'")
        told = "This server already listens to as many sessions as it may (0). Try again later."
        assert page.locator("#talk-state").inner_text() == told
        page.get_by_role("button", name="Talk to it").wait_for()
        assert names(page) == []
        page.get_by_role("button", name="Captions").click()
        person.until(f"document.querySelector('.nothing.bad')?.textContent === {told!r}")
        assert page.locator("#captions-button").get_attribute("aria-pressed") == "false"
        assert names(page) == []
        page.evaluate("(hash) => { location.hash = hash; }", _link('[{"stage":"assistant"}]'))
        page.locator(".stage.wrong").get_by_text(told).wait_for()
        person.close()
        assert not person.complaints


def test_unsure_and_unsettled_words_are_told_apart(visitor: Visitor) -> None:
    shown = visitor.page.evaluate("""async () => {
      const { Transcript } = await import("/web/js/transcript.js");
      const { spans } = await import("/web/js/captions.js");
      const { h } = await import("/web/js/dom.js");
      const transcript = new Transcript();
      const word = (text, confidence) => ({ text, start: 1, end: 2, confidence });
      const around = { text: "", engine: "e", model: "m", language: "en", speaker: "audio-0", final: false };
      const tell = (type, data) => transcript.hear({ type, seq: 1, pts: null, track: "audio-0",
        data: { ...around, ...data } });
      tell("transcript.partial", { utterance: "a", words: [word("maybe", 0.9)] });
      tell("transcript.committed", { utterance: "a", words: [word("sure", 0.9), word("unsure", 0.2)] });
      tell("transcript.partial", { utterance: "a", words: [word("open", null)] });
      const [said] = transcript.utterances;
      const line = h("p", {}, ...spans(said, [...said.committed, ...said.partial]));
      tell("transcript.committed", { utterance: "a", words: [], final: true });
      tell("transcript.partial", { utterance: "a", words: [word("late", 1)] });
      const words = [word("好", 1), word("的", 1)];
      tell("transcript.committed", { utterance: "b", words, language: "zh", final: true });
      return { html: line.innerHTML, text: line.textContent, all: transcript.text };
    }""")
    assert shown["text"] == "sure unsure open"
    assert re.search(r'<span class="unsure"[^>]*>unsure</span>', shown["html"])
    assert '<span class="partial">open</span>' in shown["html"]
    assert shown["all"] == "sure unsure\n好的"


def test_backticks_become_code(visitor: Visitor) -> None:
    shown = visitor.page.evaluate("""async () => {
      const { h, prose } = await import("/web/js/dom.js");
      return h("p", {}, ...prose("Sends `audio.level` <b>events</b>.")).innerHTML;
    }""")
    assert shown == "Sends <code>audio.level</code> &lt;b&gt;events&lt;/b&gt;."


def test_downloads_are_shown_while_they_run(visit: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from aimass_stream.weights import WeightFile

    some = weights(WeightFile("model.bin", "model.bin", len(FILES["model.bin"])), title="Some weights")
    with offered(monkeypatch, FILES, some) as hub, serving(hub=hub.url, data_dir=tmp_path) as url:
        _fetch(visit(), url, hub)


def _fetch(visitor: Visitor, url: str, hub: TestHub) -> None:
    page = visitor.open(url, picture=False)
    visitor.until("document.body.dataset.state === 'live'")
    page.get_by_role("button", name="Speech models").click()
    page.locator("#models .engines").first.wait_for()
    assert re.search(r"asr-nano-en Whisper nano.*% of people's words wrong", page.locator("#models").inner_text())
    hub.files.clear()
    page.get_by_role("button", name="Fetch Some weights").click()
    page.locator("[data-weights=some-weights] .bad").get_by_text("has no file model.bin").wait_for()
    hub.files.update(FILES)
    hub.piece_pause = 0.08
    page.get_by_role("button", name="Fetch Some weights").click()
    visitor.until("!document.querySelector('[data-weights=some-weights] .bad')")
    visitor.until("document.querySelector('#fetching progress')?.value > 0")
    assert re.search(r"Fetching some-weights\s*\d+ % of 1 MB", page.locator("#fetching").inner_text())
    hub.piece_pause = 0
    visitor.until("document.querySelector('.toast')?.textContent.includes('some-weights is here')")
    visitor.until("document.querySelector('[data-weights=some-weights] .good')?.textContent === 'here'")
    assert page.locator("#fetching").is_hidden()
    page.goto("about:blank")  # the server goes first, and nobody is to ask it then


def test_builders_find_address_and_key_filled_in(visit: Visit, guarded: str) -> None:
    visitor = visit()
    visitor.page.goto(guarded)
    visitor.page.get_by_role("textbox", name="API key").fill(KEY)
    visitor.page.get_by_role("button", name="Continue").click()
    visitor.until("document.getElementById('build-key').textContent === '••••••••'")
    page, code = visitor.page, "#build-code pre"
    page.get_by_label("write my key into the code").check()
    for purpose in ("Converse", "Transcribe", "Speak"):
        page.get_by_role("radio", name=purpose).click()
        for language in ("curl", "Python", "JavaScript"):
            page.locator("#build-code").get_by_role("tab", name=language).click()
            text = page.locator(code).inner_text()
            assert f"{guarded}/v1" in text
            assert KEY in text
            if language == "Python":
                compile(text, "snippet", "exec")
            assert ("key of ten minutes" in text) == ((purpose, language) == ("Converse", "curl"))
    page.get_by_label("write my key into the code").uncheck()
    assert KEY not in page.locator(code).inner_text()
    assert KEY not in page.locator("#build-key").inner_text()
    visitor.complaints.clear()  # the refusal before there was a key


def test_the_code_for_a_page_connects(person: Visitor, hearing: str) -> None:
    page = person.open(f"{hearing}/{_link('[]')}", picture=False)
    page.locator("#build-code").get_by_role("tab", name="JavaScript").click()
    code = page.locator("#build-code pre").inner_text()
    with page.expect_console_message(lambda message: message.type == "log") as first:  # the code writes down events
        page.evaluate(f"async () => {{ {code} }}")
    assert first.value.args[0].json_value()["type"] == "session.created"


def test_everything_fits_a_phone_and_has_a_name(person: Visitor, hearing: str) -> None:
    page = person.page
    page.set_viewport_size({"width": 390, "height": 844})
    person.open(f"{hearing}/{_link('[]')}", picture=False)
    person.until("document.body.dataset.state === 'live'")
    page.get_by_role("button", name="Talk to it").press("Enter")
    person.until("document.getElementById('talk-badge').hidden === false", 20)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.get_by_role("button", name="Speech models").inner_text().strip() == "Models"
    fold = page.locator(".stage .fold")
    assert fold.evaluate("(title) => getComputedStyle(title, '::after').content") == "none"  # nothing is cut off
    page.evaluate("document.getElementById('key-dialog').showModal()")
    assert page.evaluate("document.getElementById('key-dialog').offsetWidth") == 390
    page.evaluate("document.getElementById('key-dialog').close()")
    unnamed: list[Any] = page.evaluate("""[...document.querySelectorAll("#talk, #captions-panel, #build, .bar")]
      .flatMap((part) => [...part.querySelectorAll("button, input, select, [tabindex='0']")])
      .filter((control) => !(control.getAttribute("aria-label") ?? control.textContent).trim())
      .filter((control) => !control.labels?.length)
      .map((control) => control.outerHTML)""")
    assert unnamed == []
    assert page.locator("[aria-live=polite]").count() >= 3
    page.keyboard.press("Enter")
    person.until("document.getElementById('talk-button').getAttribute('aria-pressed') === 'false'")
