"""The adapters' example pages, as they are, from an origin of their own: getUserMedia, LiveKit, Jitsi, the element."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Playwright

from aimass_stream.api.pages import ROOT
from aimass_stream.clips import draw

from ..support.browser import INSECURE, SHARED_TAB, Visitor, launch
from ..support.folder import serving_folder
from ..support.sdk import until_dark
from .conftest import Visit, serving
from .test_sdk import live, until_mirrored

pytestmark = pytest.mark.browser

ADAPTERS = ROOT / "adapters"
EXAMPLES = Path(__file__).parents[2] / "examples" / "adapters"
SERVER = "http://127.0.0.1:8000"
LIMIT = 3000  # bytes of each, as gzip


@dataclass(frozen=True)
class Pages:
    folder: Path
    origin: str
    server: str

    def write(self, name: str, change: str = "", to: str = "") -> str:
        """A page with something in another way; answers its address."""
        text = (EXAMPLES / name).read_text().replace(SERVER, self.server)
        assert change in text
        (self.folder / name).write_text(text.replace(change, to) if change else text)
        return f"{self.origin}/{name}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    with serving_folder(folder) as origin, serving(origins=[origin]) as server:
        yield Pages(folder, origin, server)


def sessions(visitor: Visitor, server: str, wanted: int) -> None:
    for _ in range(300):
        if live(server) == wanted:
            return
        visitor.page.wait_for_timeout(50)
    assert live(server) == wanted


def until_painted(visitor: Visitor) -> None:
    """In the Great Wave's colours, which are far from the camera's own."""
    plain = draw(0, 64, 36)[:, :, ::-1].mean(axis=(0, 1))
    for _ in range(300):
        seen = visitor.look("processed", (64, 36))
        if seen.std() > 20 and np.linalg.norm(seen.mean(axis=(0, 1)) - plain) > 40:  # neither dark nor as it was
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(f"the picture is not painted: {seen.mean(axis=(0, 1))} for {plain}")


def watch(visitor: Visitor) -> None:
    visitor.page.evaluate("document.querySelector('video').className = 'processed'")


def test_they_are_small_and_for_pages_from_anywhere(server: str) -> None:
    for file in sorted(ADAPTERS.iterdir()):
        answer = httpx.get(f"{server}/adapters/{file.name}")
        assert len(gzip.compress(answer.content, 9)) <= LIMIT, file.name
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        code = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
        named = re.findall(r"""(?:from |import\(|new URL\()"([^"]+)",?""", code)
        assert set(named) <= {"../sdk/aimass-stream.js", ".."}, f"{file.name} takes more than the SDK's own module"
    assert httpx.get(f"{server}/adapters/none.js").status_code == 404


def test_a_page_that_knows_nothing_of_it_sends_what_is_processed(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.open(pages.write("media-devices.html", "data-pipeline", 'data-kinds="video" data-pipeline'),
                        picture=False)
    watch(visitor)
    page.get_by_role("button", name="Camera").click()
    until_mirrored(visitor, True)
    told = page.evaluate("""async () => {
      const [track] = stream.getVideoTracks();
      const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
      const device = devices.find(({ deviceId }) => deviceId === track.getSettings().deviceId);
      return [track.label === device.label, track.getSettings().width, track.getConstraints(), track.muted];
    }""")
    assert told == [True, 640, {}, False]
    page.evaluate("stream.getVideoTracks()[0].enabled = false")
    until_dark(visitor)
    page.evaluate("stream.getVideoTracks()[0].enabled = true")
    until_mirrored(visitor, True)
    page.evaluate("stream.getVideoTracks()[0].applyConstraints({ width: 320, height: 180 })")
    visitor.until("stream.getVideoTracks()[0].getSettings().width === 320")
    visitor.until("document.querySelector('video').videoWidth <= 320")
    page.evaluate("""() => {
      const [track] = stream.getVideoTracks();
      window.copy = track.clone();
      track.stop();
      here.getSenders()[0].replaceTrack(copy);
    }""")
    assert page.evaluate("[stream.active, copy.readyState, copy.getSettings().width]") == [False, "live", 320]
    until_mirrored(visitor, True)
    assert live(pages.server) == 1
    page.evaluate("copy.stop()")
    sessions(visitor, pages.server, 0)
    plain = "navigator.mediaDevices.getUserMedia({ audio: true }).then(({ active }) => active)"
    assert page.evaluate(plain)
    assert live(pages.server) == 0
    page.evaluate("""async () => {
      const old = new Promise((done, failed) => navigator.webkitGetUserMedia({ video: true }, done, failed));
      document.querySelector("video").srcObject = window.old = await old;
    }""")
    until_mirrored(visitor, True)
    assert page.evaluate("try { navigator.getUserMedia({ video: true }, null, () => 0) } catch ({ name }) { name }") \
        == "TypeError"  # the browser's own
    page.evaluate("old.getTracks()[0].stop()")
    sessions(visitor, pages.server, 0)


def test_a_strangers_call_has_a_painted_camera(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    style = '[{"stage": "style", "name": "great-wave"}]'
    page = visitor.open(pages.write("media-devices.html", '[{"stage": "mirror"}]', style), picture=False)
    watch(visitor)
    page.get_by_role("button", name="Camera").click()
    until_painted(visitor)


def test_another_device_takes_the_same_session_and_a_screen_one_of_its_own(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    shown: list[str] = []
    visitor.page.on("request", lambda request: shown.append(request.headers.get("authorization", "")))
    (pages.folder / "token.txt").write_text("a token")
    page = visitor.open(pages.write("media-devices.html", "data-pipeline", 'data-token-url="token.txt" data-pipeline'),
                        picture=False)
    watch(visitor)
    page.evaluate("""() => {
      window.begun = [];
      document.querySelector("script").addEventListener("session", ({ detail }) => begun.push(detail.id));
    }""")
    page.get_by_role("button", name="Camera").click()
    until_mirrored(visitor, True)
    page.get_by_role("button", name="Leave").click()
    page.get_by_role("button", name="Camera").click()
    until_mirrored(visitor, True)
    assert "Bearer a token" in shown
    peak = page.evaluate("""async () => {
      window.voice = await navigator.mediaDevices.getUserMedia({ audio: true });
      const context = new AudioContext();
      const meter = context.createAnalyser();
      context.createMediaStreamSource(voice).connect(meter);
      const data = new Float32Array(meter.fftSize);
      let peak = 0;
      for (let n = 0; n < 1000 && peak < 0.05; n++) {
        await new Promise((go) => setTimeout(go, 20));
        meter.getFloatTimeDomainData(data);
        peak = Math.max(peak, ...data.map(Math.abs));
      }
      return peak;
    }""")
    assert peak >= 0.05
    assert page.evaluate("begun.length") == 1
    shared = visitor.context.new_page()
    shared.set_content(f"<title>{SHARED_TAB}</title><marquee>moving words</marquee>")
    page.bring_to_front()
    page.get_by_role("button", name="Screen").click()
    visitor.until("begun.length === 2 && stream.getVideoTracks()[0].getSettings().displaySurface === 'browser'")
    before = live(pages.server)
    page.evaluate("""async () => {
      document.querySelector("script").dataset.screens = "raw";
      for (const each of (await navigator.mediaDevices.getDisplayMedia({ video: true })).getTracks()) each.stop();
    }""")
    assert (page.evaluate("begun.length"), live(pages.server)) == (2, before)
    page.evaluate("""() => {
      window.ended = 0;
      stream.getVideoTracks()[0].onended = () => ended++;
    }""")
    shared.close()
    visitor.until("ended === 1 && stream.getVideoTracks()[0].readyState === 'ended'")
    page.evaluate("voice.getAudioTracks()[0].stop()")
    sessions(visitor, pages.server, 0)


def test_errors_are_the_browsers_own_and_without_the_server_there_is_the_camera(visit: Visit, pages: Pages) -> None:
    refusal = """(wanted) => navigator.mediaDevices.getUserMedia(wanted)
      .then(() => "", (error) => `${error.constructor.name} ${error.name}`)"""
    denied = visit()
    denied.open(pages.write("media-devices.html"), picture=False)
    assert denied.page.evaluate(refusal, {"video": True}) == "DOMException NotAllowedError"
    away = visit(permissions=["camera", "microphone"])
    page = away.open(pages.write("media-devices.html", "data-pipeline", 'data-url="http://127.0.0.1:9" data-pipeline'),
                     picture=False)
    assert page.evaluate(refusal, {}) == "TypeError TypeError"
    unknown = {"video": {"deviceId": {"exact": "none"}}}
    assert page.evaluate(refusal, unknown) == "OverconstrainedError OverconstrainedError"
    watch(away)
    page.get_by_role("button", name="Camera").click()
    until_mirrored(away, False)
    assert any("Camera and microphone stay as they are." in said for said in away.complaints)
    hidden = 'data-fallback="black" data-url="http://127.0.0.1:9" data-pipeline'
    away.open(pages.write("media-devices.html", "data-pipeline", hidden), picture=False)
    assert page.evaluate(refusal, {"video": True}) == "DOMException NotReadableError"
    for name in ("getUserMedia", "webkitGetUserMedia"):
        assert page.evaluate("""(name) => new Promise((told) => {
          navigator[name]({ video: true }, () => told("a camera"), (error) => told(error.name));
        })""", name) == "NotReadableError"
    page.goto(pages.write("media-devices.html").replace("127.0.0.1", INSECURE))
    assert page.evaluate("[typeof navigator.mediaDevices, document.title]") == ["undefined", "A call with yourself"]
    away.complaints.clear()  # Chromium logs each request that found nobody


def test_what_ends_and_who_leaves_while_a_session_begins(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    visitor.context.add_init_script("""
      const original = MediaDevices.prototype.getUserMedia;
      MediaDevices.prototype.getUserMedia = async function (wanted) {
        return (window.raw = await original.call(this, wanted)); // what the adapter gets
      };
    """)
    page = visitor.open(pages.write("media-devices.html"), picture=False)
    ended = page.evaluate("""async () => {
      const opening = navigator.mediaDevices.getUserMedia({ video: true });
      while (!window.raw) await new Promise((go) => setTimeout(go));
      raw.getTracks()[0].stop();
      const [track] = (await opening).getTracks();
      return track.readyState;
    }""")
    assert ended == "ended"
    assert any("Its device was unplugged" in said for said in visitor.complaints)
    visitor.complaints.clear()
    sessions(visitor, pages.server, 0)
    with page.expect_navigation():
        page.evaluate("""() => {
          peers.length = 0;
          void navigator.mediaDevices.getUserMedia({ video: true });
          const leave = () => {
            if (peers[0]?.remoteDescription) location.href = "about:blank"; // answered, and not connected yet
            else setTimeout(leave);
          };
          leave();
        }""")
    sessions(visitor, pages.server, 0)


def test_devices_that_cannot_be_had(visit: Visit, playwright: Playwright, pages: Pages, tmp_path: Path) -> None:
    asked = """() => navigator.mediaDevices.getUserMedia({ video: true }).then(() => "", ({ name }) => name)"""
    message = "document.querySelector('#left').shadowRoot.querySelector('[part=message]').textContent"
    busy = "MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('', 'NotReadableError'); };"
    without = launch(playwright, tmp_path, devices=False)
    nobody, denied, taken = Visitor(without, permissions=["camera", "microphone"]), visit(), visit()
    taken.context.add_init_script(busy)
    for visitor, name, said in ((nobody, "NotFoundError", "None is plugged in."),
                                (denied, "NotAllowedError", "This browser did not let the page use"),
                                (taken, "NotReadableError", "Another program may be using it.")):
        visitor.open(pages.write("media-devices.html"), picture=False)
        assert visitor.page.evaluate(asked) == name
        visitor.open(pages.write("element.html"), picture=False)
        visitor.until(f"{message}.includes('{said}')")
    denied.open(pages.write("element.html").replace("127.0.0.1", INSECURE), picture=False)
    denied.until(f"{message}.includes('Browsers hand them out only to https pages')")
    without.close()
    assert live(pages.server) == 0


@pytest.mark.skipif(not (ROOT / "node_modules" / "livekit-client").exists(),
                    reason="livekit-client is not here: npm ci in web")
def test_livekits_own_tracks_are_processed(visit: Visit, pages: Pages) -> None:
    modules = pages.folder / "node_modules"
    modules.symlink_to(ROOT / "node_modules")
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.open(pages.write("livekit.html"), picture=False)
    visitor.until("window.track")
    watch(visitor)
    page.get_by_role("button", name="Processed").click()
    until_mirrored(visitor, True)
    assert page.evaluate("track.getProcessor().name") == "aimass-stream"
    assert page.evaluate("track.mediaStreamTrack === track.getProcessor().processedTrack")
    page.evaluate("async () => { await track.mute(); await track.unmute(); }")  # which lets go of the camera meanwhile
    until_mirrored(visitor, True)
    page.evaluate("track.restartTrack({ resolution: { width: 320, height: 180 } })")
    visitor.until("track.getSourceTrackSettings().width === 320 && document.querySelector('video').videoWidth === 320")
    until_mirrored(visitor, True)
    assert live(pages.server) == 1
    page.get_by_role("button", name="As it is").click()
    until_mirrored(visitor, False)
    sessions(visitor, pages.server, 0)
    peak = page.evaluate(f"""async () => {{
      const {{ createLocalAudioTrack }} = await import("livekit-client");
      const {{ AimassProcessor }} = await import("{pages.server}/adapters/livekit.js");
      const voice = await createLocalAudioTrack();
      const context = new AudioContext();
      voice.setAudioContext(context);
      const processor = new AimassProcessor({{ url: "{pages.server}", pipeline: [{{ stage: "gain", db: -6 }}] }});
      await voice.setProcessor(processor);
      const meter = context.createAnalyser();
      context.createMediaStreamSource(new MediaStream([processor.processedTrack])).connect(meter);
      const data = new Float32Array(meter.fftSize);
      let peak = 0;
      for (let n = 0; n < 1000 && peak < 0.05; n++) {{
        await new Promise((go) => setTimeout(go, 20));
        meter.getFloatTimeDomainData(data);
        peak = Math.max(peak, ...data.map(Math.abs));
      }}
      voice.stop();
      return peak;
    }}""")
    assert peak >= 0.05
    sessions(visitor, pages.server, 0)
    refused = page.evaluate(f"""async () => {{
      const {{ AimassProcessor }} = await import("{pages.server}/adapters/livekit.js");
      const opening = track.setProcessor(new AimassProcessor({{ url: "http://127.0.0.1:9" }}));
      return [await opening.catch((error) => error.reason), track.getProcessor() === undefined];
    }}""")
    assert refused == ["server-gone", True]
    visitor.complaints.clear()  # Chromium logs each request that found nobody


# What lib-jitsi-meet's JitsiLocalTrack does with an effect, in its order. npm's package of that name is of 2016, before
# there were effects; the library itself is released as an archive.
JITSI = """
class JitsiLocalTrack {
  #stream; #original = null; #effect = null; #element = null;
  constructor(stream) { this.#stream = stream; }
  get track() { return this.#stream?.getTracks()[0] ?? null; }
  attach(element) { this.#element = element; this.#show(this.#stream); }
  #show(stream) { this.#stream = stream; if (this.#element) this.#element.srcObject = stream; }
  #start(effect) {
    this.#effect = effect;
    this.#original = this.#stream;
    this.#show(effect.startEffect(this.#original));
  }
  #stop() { this.#effect.stopEffect(); this.#show(this.#original); this.#original = null; }
  async setEffect(effect) {
    if (effect && !effect.isEnabled(this)) throw new Error("Incompatible effect instance!");
    if (this.#effect) { this.#stop(); this.#effect = null; }
    if (effect) this.#start(effect);
  }
  isMuted() { return !this.#stream || (this.#effect?.isMuted?.() ?? !this.track.enabled); }
  muteByTrack(muted) { if (this.#effect?.setMuted) this.#effect.setMuted(muted); else this.track.enabled = !muted; }
  muteByRemoval() {
    if (this.#effect) this.#stop();
    this.track.stop();
    this.#show(null);
  }
  async unmute() {
    this.#show(await navigator.mediaDevices.getUserMedia({ video: true }));
    if (this.#effect) this.#start(this.#effect);
  }
}
window.JitsiMeetJS = {
  init() {},
  async createLocalTracks({ devices: [kind] }) {
    return [new JitsiLocalTrack(await navigator.mediaDevices.getUserMedia({ [kind]: true }))];
  },
};
"""


def test_jitsis_local_track_takes_the_effect(visit: Visit, pages: Pages) -> None:
    (pages.folder / "lib-jitsi-meet.min.js").write_text(JITSI)
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.open(pages.write("jitsi.html"), picture=False)
    visitor.until("window.track")
    watch(visitor)
    page.get_by_role("button", name="Processed").click()
    until_mirrored(visitor, True)
    page.evaluate("track.muteByRemoval()")
    assert page.evaluate("track.isMuted()")
    page.evaluate("track.unmute()")
    until_mirrored(visitor, True)
    page.evaluate("track.muteByTrack(true)")
    assert page.evaluate("track.isMuted()")
    until_dark(visitor)
    page.evaluate("track.muteByTrack(false)")
    until_mirrored(visitor, True)
    assert live(pages.server) == 1
    page.get_by_role("button", name="As it is").click()
    until_mirrored(visitor, False)
    sessions(visitor, pages.server, 0)
    over = page.evaluate(f"""async () => {{
      const {{ aimassEffect }} = await import("{pages.server}/adapters/jitsi.js");
      const effect = await aimassEffect({{ url: "{pages.server}" }});
      await effect.close();
      const refused = await aimassEffect({{ url: "http://127.0.0.1:9" }}).catch(({{ reason }}) => reason);
      return [await track.setEffect(effect).catch(({{ message }}) => message), track.isMuted(), refused];
    }}""")
    assert over == ["Incompatible effect instance!", False, "server-gone"]
    visitor.complaints.clear()  # Chromium logs each request that found nobody


def test_two_elements_on_one_page(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera", "microphone"])
    page = visitor.open(pages.write("element.html"), picture=False)
    page.evaluate("""() => {
      const video = document.createElement("video");
      Object.assign(video, { className: "processed", muted: true, autoplay: true });
      document.body.append(video);
      window.show = (id) => { video.srcObject = document.getElementById(id).stream; };
      window.inside = (id, part) => document.getElementById(id).shadowRoot.querySelector(`[part=${part}]`);
    }""")
    visitor.until("document.querySelector('#left').stream && inside('left', 'video').videoWidth === 640")
    page.evaluate("show('left')")
    until_mirrored(visitor, True)
    for part in ("controls", "poster"):
        assert page.evaluate(f"['left', 'right'].map((id) => inside(id, '{part}').hidden)") == [True, False]
    assert page.evaluate("getComputedStyle(inside('right', 'video')).borderRadius") == "16px"
    assert page.get_by_text("Nothing is sent yet.").is_visible()
    page.get_by_role("button", name="Begin").click()
    visitor.until("inside('right', 'video').videoWidth === 640")
    page.evaluate("show('right')")
    until_mirrored(visitor, False)
    assert page.evaluate("document.querySelector('#right').session.pipeline[0].stage") == "gray"
    assert live(pages.server) == 2
    page.evaluate("document.querySelector('#right').setAttribute('pipeline', '[{\"stage\": \"mirror\"}]')")
    until_mirrored(visitor, True)
    page.evaluate("document.querySelector('#right').setAttribute('pipeline', '[{\"stage\": \"nothing\"}]')")
    visitor.until("inside('right', 'message').textContent.includes('nothing')")
    until_mirrored(visitor, True)  # what ran goes on
    page.get_by_role("button", name="Stop").click()
    sessions(visitor, pages.server, 1)
    assert page.get_by_text("Nothing is sent yet.").is_visible()
    page.evaluate("document.querySelector('#left').remove()")
    sessions(visitor, pages.server, 0)
    page.evaluate("document.querySelector('#right').setAttribute('url', 'http://127.0.0.1:9')")
    page.get_by_role("button", name="Begin").click()
    visitor.until("inside('right', 'message').textContent.startsWith('No connection to this server')")
    assert page.get_by_role("button", name="Begin").is_visible()
    visitor.complaints.clear()  # Chromium logs each request that found nobody


def test_what_answers_no_token_is_named(visit: Visit, pages: Pages) -> None:
    visitor = visit(permissions=["camera"])
    (pages.folder / "refused.html").write_text(f"""<!doctype html><title>No token</title>
      <script type="module" src="{pages.server}/adapters/element.js"></script>
      <aimass-stream token-url="none.txt" controls></aimass-stream>""")
    page = visitor.open(f"{pages.origin}/refused.html", picture=False)
    page.evaluate("""() => {
      const element = document.querySelector("aimass-stream");
      window.states = [];
      element.addEventListener("status", ({ detail }) => states.push(detail));
      window.box = (part) => element.shadowRoot.querySelector(`[part=${part}]`).getBoundingClientRect();
    }""")
    page.get_by_role("button", name="Start").click()
    message = "document.querySelector('aimass-stream').shadowRoot.querySelector('[part=message]').textContent"
    visitor.until(f"{message} === 'none.txt answers 404, and no token. Check what the function token asks.'")
    assert page.evaluate("states") == ["connecting", "idle"]
    assert page.evaluate("document.querySelector('aimass-stream').offsetWidth") == 300  # as a video without a picture
    assert page.evaluate("box('message').bottom <= box('start').top")
    tag = pages.write("media-devices.html", "data-pipeline", 'data-token-url="none.txt" data-pipeline')
    visitor.open(tag, picture=False)
    page.get_by_role("button", name="Camera").click()
    for _ in range(200):
        if any("stay as they are. none.txt answers 404" in said for said in visitor.complaints):
            break
        page.wait_for_timeout(50)
    assert any("stay as they are. none.txt answers 404" in said for said in visitor.complaints), visitor.complaints
    visitor.complaints.clear()  # Chromium logs each request that found nothing
