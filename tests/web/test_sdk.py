"""The browser SDK over WebRTC, in a page that has nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright

from aimass_stream.api.pages import ROOT
from aimass_stream.clips import draw, read_number
from aimass_stream.frames import Pixels

from ..support.browser import INSECURE, Visitor, launch
from ..support.sdk import run, sdk_page
from .conftest import KEY, Visit

pytestmark = pytest.mark.browser

CAMERA = "const [camera] = (await sdk.capture()).getVideoTracks(); window.camera = camera; show('raw', camera);"
MIRROR = """
  await begin({ pipeline: [{ stage: "mirror" }] });
  show("processed", session.process(camera));
"""


@pytest.fixture
def guest(visit: Visit, server: str) -> Visitor:
    return sdk_page(visit(permissions=["camera", "microphone"]), server)


def mirrored(picture: Pixels) -> bool | None:
    """Whether the clip's picture is the other way round; None where it is no picture of the clip."""
    number = read_number(picture)
    if number is None:
        return None
    there = draw(number, 640, 360)[:300, :, ::-1].mean(axis=2)
    seen = picture[:300].mean(axis=2)
    straight, turned = (np.abs(seen - other).mean() for other in (there, there[:, ::-1]))
    return bool(turned < straight)


def until_mirrored(visitor: Visitor, wanted: bool) -> None:
    seen = None
    for _ in range(200):
        seen = mirrored(visitor.look("processed", (640, 360)))
        if seen is wanted:
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(f"the processed picture is {seen}")


def live(server: str) -> int:
    return len(httpx.get(f"{server}/v1/sessions").json()["sessions"])


def test_a_track_goes_in_and_the_processed_one_comes_out(guest: Visitor) -> None:
    run(guest, CAMERA + MIRROR)
    until_mirrored(guest, True)
    assert run(guest, "return [session.transport, session.epoch, session.pipeline[0].stage]") == ["webrtc", 1, "mirror"]
    run(guest, "window.out = session.process(camera); await session.update([{ stage: 'gray' }])")
    until_mirrored(guest, False)
    assert run(guest, "return session.pipeline[0].stage") == "gray"
    guest.until("Object.keys(said('session.stats').at(-1).data.hops['video-0']).some((hop) => hop.includes('gray'))")
    stats = run(guest, "return session.stats()")
    assert stats["link"]["frames"] > 0
    assert "gray" in "".join(stats["server"]["hops"]["video-0"])
    assert stats["tracks"]["video"]["away"] is False
    refused = run(guest, "return trouble(session.update([{ stage: 'blur', sigma: -1 }]))")
    assert (refused["name"], refused["reason"]) == ("ServerError", "invalid")
    assert run(guest, "return said('error').at(-1).data.field") == "pipeline[0].sigma"
    run(guest, "await session.close()")
    assert run(guest, "return [out.readyState, camera.readyState, session.status.state]") == ["ended", "live", "closed"]


def test_events_without_a_picture_back_and_words_that_are_spoken(guest: Visitor) -> None:
    run(guest, """
      const [voice] = (await sdk.capture({ audio: true })).getAudioTracks();
      await begin({ pipeline: [{ stage: "level" }, { stage: "tts" }], receive: false });
      session.send(voice);
      window.voice = voice;
      await session.say("Nine boats left the harbour.");
    """)
    guest.until("said('audio.level').some((event) => event.pts > 0) && said('speech.spoken').length")
    assert "boats" in run(guest, "return said('speech.spoken')[0].data.text")
    seqs = run(guest, "return told('event').map((event) => event.seq)")
    assert seqs == list(range(1, len(seqs) + 1))
    wrong = run(guest, "try { session.process(voice) } catch (error) { return error.reason }")
    assert wrong == "invalid"
    assert run(guest, "return peers[0].getTransceivers().map((one) => one.currentDirection)") == ["sendonly"] * 2
    run(guest, "await session.close()")


def test_sound_comes_back(guest: Visitor) -> None:
    run(guest, """
      const [voice] = (await sdk.capture({ audio: true })).getAudioTracks();
      await begin({ pipeline: [{ stage: "gain", db: -6 }] });
      const context = new AudioContext();
      await context.resume();
      const meter = context.createAnalyser();
      context.createMediaStreamSource(new MediaStream([session.process(voice)])).connect(meter);
      window.peak = 0;
      const data = new Float32Array(meter.fftSize);
      setInterval(() => { meter.getFloatTimeDomainData(data); peak = Math.max(peak, ...data.map(Math.abs)); }, 20);
    """)
    guest.until("told('away').some(({ away }) => !away)")
    run(guest, "peak = 0")
    guest.until("peak > 0.05")
    run(guest, "await session.close()")


def test_another_device_and_one_that_ends(guest: Visitor) -> None:
    """The processed track is the same one for each of them."""
    run(guest, CAMERA + MIRROR)
    until_mirrored(guest, True)
    run(guest, """
      window.out = session.process(camera);
      const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
      const context = canvas.getContext("2d");
      setInterval(() => { context.fillStyle = "#00ff00"; context.fillRect(0, 0, 320, 240); }, 30);
      window.drawn = canvas.captureStream(30).getVideoTracks()[0];
      window.same = session.process(drawn) === out;
    """)
    guest.until("same && document.querySelector('video.processed').videoWidth === 320")
    red, green, blue = guest.look("processed").reshape(-1, 3).mean(axis=0)
    assert green > 150 > 100 > max(red, blue)
    run(guest, "camera.stop(); drawn.stop()")
    guest.until("told('ended').length")
    assert run(guest, "return [out.readyState, told('ended')[0].error.reason]") == ["ended", "track-ended"]
    ended = run(guest, "return trouble((async () => session.process(camera))())")
    assert (ended["name"], ended["reason"]) == ("SourceError", "track-ended")
    assert "process()" in ended["next"]
    run(guest, "await session.close()")


def test_who_gives_up_while_connecting_leaves_nothing(guest: Visitor, server: str) -> None:
    before = live(server)
    for delay in (0, 20, 60):
        given_up = run(guest, """
          const stop = new AbortController();
          const opening = trouble(sdk.connect({ url: location.origin, signal: stop.signal }));
          await new Promise((resolve) => setTimeout(resolve, given[0]));
          stop.abort();
          return opening;
        """, delay)
        assert given_up is None or given_up["error"] == "AbortError"
    late = run(guest, """
      const stop = new AbortController();
      const session = await sdk.connect({ url: location.origin, signal: stop.signal });
      stop.abort();
      return [session.status.state, (await trouble(session.update([]))).reason];
    """)
    assert late == ["closed", "closed"]
    already = run(guest, "return trouble(sdk.connect({ url: location.origin, signal: AbortSignal.abort() }))")
    assert already["error"] == "AbortError"
    guest.until("peers.every((peer) => peer.connectionState === 'closed')")
    for _ in range(200):  # one whose offer was on its way ends when nobody comes
        if live(server) == before:
            break
        guest.page.wait_for_timeout(50)
    assert live(server) == before


def test_who_gives_up_where_nothing_gets_through_is_gone_at_once(guest: Visitor) -> None:
    run(guest, """
      const stop = new AbortController();
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(given) { super({ ...given, iceTransportPolicy: "relay" }); } // and there is no relay
        async setRemoteDescription(answer) {
          await super.setRemoteDescription(answer);
          stop.abort();
        }
      };
      await trouble(sdk.connect({ url: location.origin, transport: "webrtc", signal: stop.signal }));
    """)
    guest.until("peers.length === 1 && peers[0].connectionState === 'closed'", 4)  # and not after all 8 seconds


def test_a_page_that_is_left_while_it_connects(guest: Visitor, server: str) -> None:
    before = live(server)
    with guest.page.expect_navigation():
        run(guest, """
          void sdk.connect({ url: location.origin });
          const leave = () => {
            if (peers[0]?.remoteDescription) location.href = "/readyz"; // answered, and not connected yet
            else setTimeout(leave);
          };
          leave();
        """)
    for _ in range(200):
        if live(server) == before:
            return
        guest.page.wait_for_timeout(50)
    raise AssertionError("its session stayed")


def test_ten_connections_leave_nothing_behind(guest: Visitor, server: str) -> None:
    before = live(server)
    left = run(guest, CAMERA + """
      window.refs = [];
      for (let n = 0; n < 10; n++) {
        const session = await sdk.connect({ url: location.origin, pipeline: [{ stage: "mirror" }] });
        session.on("event", () => session.id);
        refs.push(new WeakRef(session), new WeakRef(session.process(camera)));
        await session.close();
      }
      peers.length = 0;
      return camera.readyState;
    """)
    assert left == "live"
    assert live(server) == before
    cdp = guest.context.new_cdp_session(guest.page)
    for _ in range(40):
        cdp.send("HeapProfiler.collectGarbage")
        if run(guest, "return refs.every((ref) => !ref.deref())"):
            break
        guest.page.wait_for_timeout(50)
    assert run(guest, "return refs.filter((ref) => ref.deref()).length") == 0


def test_pictures_of_a_track_that_is_let_go_are_closed(guest: Visitor) -> None:
    """Chromium tells every 10 s whether one was not, once it is collected."""
    run(guest, """
      const { frames } = await import("/sdk/outlet.js");
      const stream = await navigator.mediaDevices.getUserMedia({ video: true });
      const [track] = stream.getTracks();
      for (let time = 0; time < 150; time++) {
        let seen;
        const one = new Promise((resolve) => (seen = resolve));
        const stop = frames(track, (frame) => (frame.close(), seen()));
        await one;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
        stop();
      }
      track.stop();
    """)
    guest.context.new_cdp_session(guest.page).send("HeapProfiler.collectGarbage")
    guest.page.wait_for_timeout(10_500)
    assert guest.unclosed == []


def test_what_is_refused_is_said_in_words(visit: Visit, guarded: str) -> None:
    visitor = sdk_page(visit(), guarded.replace("0.0.0.0", "127.0.0.1"))
    opening = "return trouble(sdk.connect({ url: location.origin, token: given[0] }))"
    refused = run(visitor, opening, "not the key")
    assert (refused["name"], refused["reason"]) == ("ServerError", "unauthorized")
    assert run(visitor, opening, None)["reason"] == "unauthorized"
    assert run(visitor, """
      let asked = 0;
      const session = await begin({ token: async () => (asked++, given[0]) });
      await session.close();
      return asked > 0 && asked < 4;
    """, KEY)
    for version, reason in ((0, "server-too-old"), (9, "server-too-new")):
        said = run(visitor, """
          const real = window.fetch;
          window.fetch = () => Promise.resolve(Response.json({ version: "x", protocol: given[1], iceServers: [] }));
          const said = await trouble(sdk.connect({ url: location.origin, token: given[0] }));
          window.fetch = real;
          return said;
        """, KEY, version)
        assert (said["name"], said["reason"]) == ("VersionError", reason)
        assert "aimass-stream.js" in said["next"]
    nobody = run(visitor, "return trouble(sdk.connect({ url: 'http://127.0.0.1:9', retry: () => null }))")
    assert (nobody["name"], nobody["reason"]) == ("NetworkError", "server-gone")
    visitor.complaints.clear()  # Chromium logs each of them


def test_devices_that_cannot_be_had(visit: Visit, playwright: Playwright, server: str, guarded: str,
                                    tmp_path: Path) -> None:
    denied = sdk_page(visit(), server)
    said = run(denied, "return trouble(sdk.capture())")
    assert (said["name"], said["reason"]) == ("SourceError", "permission-denied")
    busy = run(denied, """
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("in use", "NotReadableError"));
      return trouble(sdk.capture({ video: true, audio: true }));
    """)
    assert busy["reason"] == "device-busy"
    assert "Close what else" in busy["next"]
    plain = sdk_page(visit(), guarded.replace("127.0.0.1", INSECURE).replace("0.0.0.0", INSECURE))
    assert run(plain, "return trouble(sdk.capture())")["reason"] == "insecure-origin"
    assert run(plain, "return trouble(sdk.captureScreen())")["reason"] == "insecure-origin"
    without: Browser = launch(playwright, tmp_path, devices=False)
    nobody = sdk_page(Visitor(without, permissions=["camera", "microphone"]), server)
    assert run(nobody, "return trouble(sdk.capture({ audio: true }))")["reason"] == "no-device"
    without.close()


def test_it_needs_nothing_else() -> None:
    modules = sorted((ROOT / "sdk").glob("*.js"))
    for module in modules:
        text = module.read_text("utf-8")
        assert len(text.splitlines()) < 400
        for named in re.findall(r"""(?:^(?:import|export)[^;]*?from |await import\()"([^"]+)";?""", text, re.MULTILINE):
            assert (ROOT / "sdk" / named).resolve() in modules, f"{module.name} imports {named}"
