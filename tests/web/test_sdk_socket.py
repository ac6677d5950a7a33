"""The browser SDK over a websocket, for networks that let no UDP through."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import WebSocketRoute

from ..support.browser import Visitor
from ..support.sdk import run, sdk_page
from .conftest import KEY, Visit
from .test_sdk import CAMERA, MIRROR, live, until_mirrored
from .test_sdk_back import in_order

pytestmark = pytest.mark.browser

SOCKET = MIRROR.replace("begin({", "begin({ transport: 'websocket',")
SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); window.sockets.push(this); }
};
"""
CODERS = """
window.coders = [];
for (const name of ["AudioEncoder", "AudioDecoder", "VideoEncoder", "VideoDecoder"]) {
  window[name] = class extends window[name] {
    name = name;
    made = 0;
    constructor({ output, error }) {
      super({ error, output: (...given) => { this.made++; output(...given); } });
      coders.push(this);
    }
  };
}
"""
WITHOUT_VP8 = "VideoEncoder.isConfigSupported = async ({ codec }) => ({ supported: codec !== 'vp8' });"
DRAWN = """
  window.canvas = document.createElement("canvas");
  window.turn = (width, height) => Object.assign(canvas, { width, height });
  turn(640, 360);
  const context = canvas.getContext("2d");
  setInterval(() => { context.fillStyle = "#00ff00"; context.fillRect(0, 0, canvas.width, canvas.height); }, 30);
  await begin({ transport: given[0] });
  show("processed", session.process(canvas.captureStream(30).getVideoTracks()[0]));
  window.shown = () => {
    const { videoWidth, videoHeight } = document.querySelector("video.processed");
    return `${videoWidth}x${videoHeight}`;
  };
"""
PEAK = """
  const context = new AudioContext();
  await context.resume();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([session.process(voice)])).connect(meter);
  window.peak = 0;
  const data = new Float32Array(meter.fftSize);
  setInterval(() => { meter.getFloatTimeDomainData(data); peak = Math.max(peak, ...data.map(Math.abs)); }, 20);
"""


def guest_of(visit: Visit, server: str, *scripts: str) -> Visitor:
    visitor = visit(permissions=["camera", "microphone"])
    for script in (SOCKETS, *scripts):
        visitor.context.add_init_script(script)
    return sdk_page(visitor, server)


@pytest.mark.parametrize(("without", "codecs"), [
    ("", ["vp8", "opus"]),
    (WITHOUT_VP8, ["h264", "opus"]),
    ("delete window.VideoEncoder; delete window.AudioEncoder;", ["jpeg", "pcm_s16le"]),
], ids=["webcodecs", "h264", "jpeg-and-pcm"])
def test_pictures_and_sound_both_ways(visit: Visit, server: str, without: str, codecs: list[str]) -> None:
    guest = guest_of(visit, server, without)
    run(guest, CAMERA + SOCKET + "const [voice] = (await sdk.capture({ audio: true })).getAudioTracks();" + PEAK)
    until_mirrored(guest, True)
    assert run(guest, "return [session.transport, peers.length]") == ["websocket", 0]
    guest.until("told('away').filter(({ kind, away }) => kind === 'audio' && !away).length")
    run(guest, "peak = 0")
    guest.until("peak > 0.05")
    run(guest, "await session.update([{ stage: 'gray' }])")
    until_mirrored(guest, False)
    stats = run(guest, "return session.stats()")
    assert stats["link"]["codec"] == codecs[0]
    assert (stats["link"]["width"], stats["link"]["height"]) == (640, 360)
    in_order(guest)
    before = live(server)
    run(guest, "await session.close()")
    assert live(server) == before - 1


def test_coders_that_fail_have_others_in_their_place(visit: Visit, server: str) -> None:
    guest = guest_of(visit, server, CODERS)
    run(guest, CAMERA + SOCKET + "const [voice] = (await sdk.capture({ audio: true })).getAudioTracks();" + PEAK)
    guest.until("new Set(coders.filter(({ made }) => made > 5).map(({ name }) => name)).size === 4")
    run(guest, """
      for (const coder of coders.splice(0)) {
        if (coder.name === "VideoDecoder") {
          coder.decode(new EncodedVideoChunk({ type: "key", timestamp: 0, data: new Uint8Array(9) }));
          continue; // configured anew, it would throw at what comes next
        }
        coder.configure({ codec: "nothing", sampleRate: 48000, numberOfChannels: 1, width: 640, height: 360 });
      }
    """)
    guest.until("new Set(coders.filter(({ made }) => made > 25).map(({ name }) => name)).size === 4")
    run(guest, "peak = 0")
    guest.until("peak > 0.05")
    until_mirrored(guest, True)
    assert run(guest, "return [sockets.length, coders.length]") == [1, 4]
    run(guest, "await session.close()")
    assert set(run(guest, "return coders.map(({ state }) => state)")) == {"closed"}


@pytest.mark.parametrize(("transport", "without"), [("webrtc", ""), ("websocket", ""), ("websocket", WITHOUT_VP8)],
                         ids=["webrtc", "websocket", "h264"])
def test_a_track_that_is_turned_while_it_flows(visit: Visit, server: str, transport: str, without: str) -> None:
    """And a window that is shared, of any size."""
    guest = guest_of(visit, server, without, CODERS)
    run(guest, DRAWN, transport)
    guest.until("shown() === '640x360'")
    run(guest, "turn(360, 640)")
    guest.until("shown() === '360x640'")
    if transport == "websocket":  # WebRTC takes its time with so large ones
        run(guest, "turn(1367, 769)")
        guest.until("shown() === '1366x768'")
        assert run(guest, "return coders.filter(({ name }) => name === 'VideoEncoder').length") == 1
    assert run(guest, "return [peers.length + sockets.length, session.epoch]") == [1, 1]
    run(guest, "await session.close()")


def test_a_socket_that_is_cut_and_a_camera_of_another_size(visit: Visit, server: str) -> None:
    guest = guest_of(visit, server)
    run(guest, CAMERA + SOCKET)
    until_mirrored(guest, True)
    run(guest, "window.id = session.id; sockets.at(-1).close(3000)")
    guest.until("sockets.length === 2 && session.status.state === 'live'")
    until_mirrored(guest, True)
    told = run(guest, "return [session.id === id, told('epoch').at(-1).resumed, told('missed').length]")
    assert told == [True, True, 0]
    in_order(guest)
    run(guest, """
      const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
      const context = canvas.getContext("2d");
      setInterval(() => { context.fillStyle = "#00ff00"; context.fillRect(0, 0, 320, 240); }, 30);
      session.process(canvas.captureStream(30).getVideoTracks()[0]);
    """)
    guest.until("document.querySelector('video.processed').videoWidth === 320")
    run(guest, "await session.close()")
    assert run(guest, "return sockets.every((one) => one.readyState > 1)")


def test_where_no_udp_gets_through(visit: Visit, server: str) -> None:
    """The session that WebRTC has begun goes on over a websocket."""
    guest = guest_of(visit, server, """
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(given) { super({ ...given, iceTransportPolicy: "relay" }); } // and there is no relay
      };
    """)
    run(guest, CAMERA + MIRROR)
    assert run(guest, "return [session.transport, session.epoch]") == ["websocket", 1]
    until_mirrored(guest, True)
    run(guest, "await session.close(); delete window.RTCPeerConnection; window.RTCPeerConnection = undefined")
    forced = run(guest, "return trouble(sdk.connect({ url: location.origin, transport: 'webrtc' }))")
    assert (forced["name"], forced["reason"]) == ("NetworkError", "no-webrtc")
    run(guest, "await (await begin()).close()")
    assert run(guest, "return told('status').at(-1).state") == "closed"


def test_what_a_websocket_refuses_and_who_gives_up(visit: Visit, guarded: str, server: str) -> None:
    guest = guest_of(visit, guarded.replace("0.0.0.0", "127.0.0.1"))
    opening = "return trouble(begin({ transport: 'websocket', token: given[0], pipeline: given[1] }))"
    assert run(guest, opening, "not the key", [])["reason"] == "unauthorized"
    wrong = run(guest, opening, KEY, [{"stage": "nothing"}])
    assert (wrong["reason"], "nothing" in wrong["message"]) == ("invalid", True)
    assert run(guest, opening, KEY, []) is None
    run(guest, "await session.close()")
    plain, before = guest_of(visit, server), live(server)
    given_up = run(plain, """
      const stop = new AbortController();
      const now = performance.now.bind(performance);
      let asked = 0;
      const said = await trouble(sdk.connect({
        url: location.origin, transport: "websocket", signal: stop.signal, pipeline: [{ stage: "nothing" }],
        token: async () => (asked++ && stop.abort(), null),
        retry: () => {
          performance.now = () => now() + 6000; // a token is asked for again
          return 0;
        },
      }));
      await new Promise((go) => setTimeout(go));
      performance.now = now;
      return [said.error, asked, sockets.length];
    """)
    assert given_up == ["AbortError", 2, 1]
    for delay in (0, 30):
        given_up = run(plain, """
          const stop = new AbortController();
          setTimeout(() => stop.abort(), given[0]);
          return trouble(sdk.connect({ url: location.origin, transport: "websocket", signal: stop.signal }));
        """, delay)
        assert given_up is None or given_up["error"] == "AbortError"
    plain.until("sockets.every((one) => one.readyState > 1)")
    for _ in range(200):
        if live(server) == before:
            break
        plain.page.wait_for_timeout(50)
    assert live(server) == before
    for visitor in (guest, plain):
        visitor.complaints.clear()  # Chromium logs sockets that were closed before they opened


def greeting(version: int) -> Callable[[WebSocketRoute], None]:
    """A server that welcomes everybody and speaks that version."""
    said = json.dumps({"type": "hello", "session_id": "s_x", "resume_token": "x", "version": version})

    def met(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: socket.send(said))

    return met


def test_a_server_of_another_version(visit: Visit, server: str) -> None:
    """Which says so only in its hello: what was asked before, another one answered."""
    guest = sdk_page(visit(), server)
    for version, reason in ((0, "server-too-old"), (9, "server-too-new")):
        guest.page.route_web_socket("**/v1/stream", greeting(version))
        found = run(guest, "return trouble(sdk.connect({ url: location.origin, transport: 'websocket' }))")
        assert (found["name"], found["reason"]) == ("VersionError", reason)
        assert "aimass-stream.js" in found["next"]
